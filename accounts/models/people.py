"""People of one institution: users, their roles, their units, and invitations."""

from collections.abc import Iterator
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.records import new_id


class Role(models.TextChoices):
    """What a person does; each role's rights stand in ``accounts.rights``."""

    PORTFOLIO_MANAGER = "portfolio_manager", _("Portfolio manager")
    ADVISOR = "advisor", _("Advisor")
    OPERATIONS = "operations", _("Operations")
    ADMINISTRATOR = "administrator", _("Administrator")
    COMPLIANCE = "compliance", _("Compliance")


class Unit(models.Model):
    """A branch or desk in the institution's tree; rights on a unit hold for all below it."""

    class Kind(models.TextChoices):
        BRANCH = "branch", _("Branch")
        DESK = "desk", _("Desk")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(_("name"), max_length=120)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind, default=Kind.BRANCH)
    parent = models.ForeignKey(
        "self",
        verbose_name=_("part of"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="children",
    )
    # "/<id>/<id>/" from the root to this unit, kept by save(): a subtree is one prefix search.
    path = models.CharField(max_length=400, editable=False, db_index=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["parent", "name"],
                nulls_distinct=False,
                name="unit_name_unique_among_siblings",
                violation_error_message=_("There is already a unit of this name here. Choose another name."),
            )
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.path = f"{self.parent.path if self.parent else '/'}{self.id.hex}/"
        super().save(*args, **kwargs)


class UserManager(BaseUserManager["User"]):
    """Create users by e-mail address."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Create an active user; without a password the user can only sign in by invitation."""
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.full_clean(exclude=["password"])
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str, **fields: Any) -> "User":
        """Create a user who may also use Django's admin."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, email: str | None) -> "User":
        """Return the user with this e-mail address, whatever its case."""
        return self.get(email__iexact=email)


class User(AbstractBaseUser, PermissionsMixin):
    """A person who signs in by e-mail, with the roles and preferences of this institution."""

    class Theme(models.TextChoices):
        AUTO = "auto", _("As the device")
        LIGHT = "light", _("Light")
        DARK = "dark", _("Dark")

    class Writing(models.TextChoices):
        """How dates and numbers are written; texts are in English."""

        ENGLISH = "en", "31 Dec 2026, 1,234.56"
        GERMAN = "de", "31.12.2026, 1.234,56"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    email = models.EmailField(_("e-mail"), unique=True)
    full_name = models.CharField(_("full name"), max_length=150)
    job_title = models.CharField(_("job title"), max_length=150, blank=True)
    language = models.CharField(
        _("dates and numbers"), max_length=10, choices=Writing, default=Writing.ENGLISH
    )
    time_zone = models.CharField(_("time zone"), max_length=50, default="Europe/Zurich")
    theme = models.CharField(_("appearance"), max_length=5, choices=Theme, default=Theme.AUTO)
    hides_amounts = models.BooleanField(_("hide amounts"), default=False)
    is_active = models.BooleanField(_("active"), default=True)
    is_staff = models.BooleanField(_("may use the admin"), default=False)
    joined_at = models.DateTimeField(default=timezone.now, editable=False)
    # Sessions from before have ended.
    signed_out_at = models.DateTimeField(null=True, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["full_name"]

    class Meta:
        ordering = ["full_name"]
        constraints = [
            models.UniqueConstraint(
                Lower("email"),
                name="user_email_unique",
                violation_error_message=_("There is already a user with this e-mail address."),
            )
        ]

    def __str__(self) -> str:
        return self.full_name

    @property
    def locale(self) -> str:
        """Return what pages and mail are written in: English, with the dates and numbers of the choice."""
        return "en" if self.language == self.Writing.ENGLISH else f"en-{self.language}"

    @property
    def initials(self) -> str:
        """Return up to two initials of the full name."""
        words = self.full_name.split()
        return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()

    @property
    def has_second_factor(self) -> bool:
        """Say whether signing in takes more than the password."""
        return self.authenticator_set.exists()  # type: ignore[attr-defined]

    @property
    def has_credentials(self) -> bool:
        """Say whether the person has something to sign in with: no invitation may replace it."""
        return self.has_usable_password() or self.has_second_factor

    def get_session_auth_hash(self) -> str:
        """Return what a session holds for as long as it counts: until the password changes or the person is signed out."""
        return self._since_signed_out(super().get_session_auth_hash())

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        """Return the same by the earlier keys."""
        return map(self._since_signed_out, super().get_session_auth_fallback_hash())

    def _since_signed_out(self, digest: str) -> str:
        return f"{digest} {self.signed_out_at.isoformat()}" if self.signed_out_at else digest


class RoleAssignment(models.Model):
    """A role that a user has in a unit and all below it, or in the whole institution."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="role_assignments")
    role = models.CharField(_("role"), max_length=20, choices=Role)
    unit = models.ForeignKey(
        Unit,
        verbose_name=_("unit"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="role_assignments",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "role", "unit"],
                nulls_distinct=False,
                name="roleassignment_unique",
                violation_error_message=_("This person already has this role here."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_role_display()}, {self.unit}" if self.unit else self.get_role_display()


class Invitation(models.Model):
    """An offer to join, sent by e-mail; only a hash of its secret is kept."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="invitations")
    secret_hash = models.CharField(max_length=64, unique=True, editable=False)
    invited_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return str(self.user)
