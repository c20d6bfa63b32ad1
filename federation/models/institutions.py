"""The institutions of the platform."""

from typing import Any, ClassVar

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django_tenants.models import DomainMixin, TenantMixin
from django_tenants.postgresql_backend.base import _check_schema_name
from django_tenants.utils import schema_exists

from accounts.fields import CurrencyField
from accounts.records import new_id


class HostedManager(models.Manager["Institution"]):
    """Institutions with a schema here: what tenant commands go over."""

    def get_queryset(self) -> models.QuerySet["Institution"]:
        """Return the institutions that are hosted here."""
        return super().get_queryset().filter(schema_name__isnull=False)

    def called(self, name: str) -> models.QuerySet["Institution"]:
        """Return the institutions that go by a name, short or in full."""
        name = name.strip()
        return self.get_queryset().filter(Q(name__iexact=name) | Q(short_name__iexact=name))


class Institution(TenantMixin):
    """A party to agreements: hosted here as a tenant, or external, reached through the partner API.

    An external institution has no schema. Its ``id`` is what records carry as their ``origin``.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    schema_name = models.CharField(
        max_length=63, unique=True, null=True, blank=True, validators=[_check_schema_name]
    )
    # Who entered an external institution: it is that institution's contact, nobody else sees it.
    registered_by = models.ForeignKey(
        "self", null=True, blank=True, editable=False, on_delete=models.PROTECT, related_name="externals"
    )
    name = models.CharField(_("name"), max_length=120)
    short_name = models.CharField(_("short name"), max_length=40)
    lei = models.CharField(_("LEI"), max_length=20, blank=True)
    country = models.CharField(_("country"), max_length=2, default="CH")
    currency = CurrencyField(_("currency"), default="EUR")
    language = models.CharField(_("language of reports"), max_length=10, default="en")
    # The letterhead of reports made for this institution's clients.
    address = models.TextField(_("address"), blank=True)
    contact = models.CharField(_("contact"), max_length=200, blank=True)
    colour = models.CharField(_("colour"), max_length=7, default="#1f4e79")
    footer = models.TextField(_("footer of reports"), blank=True)
    # What the platform's front page says of it.
    description = models.CharField(_("in one sentence"), max_length=200, blank=True)
    is_manager = models.BooleanField(_("manages portfolios for others"), default=False)
    is_channel = models.BooleanField(_("has clients of its own"), default=False)
    is_demo = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    # `save` creates it, in the transaction that writes the row.
    auto_create_schema = False
    auto_drop_schema = False

    objects: ClassVar[HostedManager] = HostedManager()
    everyone: ClassVar[models.Manager["Institution"]] = models.Manager()

    class Meta:
        ordering = ["name"]
        base_manager_name = "everyone"
        constraints = [
            models.UniqueConstraint(
                fields=["registered_by", "name"],
                nulls_distinct=False,
                name="institution_name_unique",
                violation_error_message=_(
                    "There is already an institution of this name. Choose it from the list."
                ),
            ),
            models.CheckConstraint(
                condition=Q(registered_by__isnull=True) | Q(schema_name__isnull=True),
                name="institution_registered_only_if_external",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_hosted(self) -> bool:
        """Say whether this institution's schema is on this platform."""
        return self.schema_name is not None

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Write the row and, where it has none yet, create the schema: both are there or neither."""
        from federation import schemas

        if not self.is_hosted:
            # No schema to create: any institution may enter an external one from its own.
            kwargs.pop("verbosity", None)
            models.Model.save(self, *args, **kwargs)
        elif not self._state.adding and schema_exists(self.schema_name):
            super().save(*args, **kwargs)
        else:
            with schemas.blank_is_current(), transaction.atomic():
                super().save(*args, **kwargs)
                schemas.create(str(self.schema_name))


class Domain(DomainMixin):
    """A host name under which an institution's pages are served."""

    def __str__(self) -> str:
        return self.domain

    @property
    def url(self) -> str:
        """Return where its pages begin, without a slash at the end."""
        # A proxy that terminates TLS answers on the scheme's own port.
        port = "" if settings.PLATFORM_SCHEME == "https" or settings.PORT == 80 else f":{settings.PORT}"
        return f"{settings.PLATFORM_SCHEME}://{self.domain}{port}"
