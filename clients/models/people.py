"""Clients: who they are, how they are reached, and what is known of them."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.fields import CurrencyField
from accounts.models import Unit
from accounts.records import Record
from clients.querysets import ClientQuerySet


class Client(Record):
    """A person, couple or company that an institution has a relationship with."""

    class Kind(models.TextChoices):
        PERSON = "person", _("Person")
        COUPLE = "couple", _("Couple")
        COMPANY = "company", _("Company")

    class Status(models.TextChoices):
        PROSPECT = "prospect", _("Prospect")
        CLIENT = "client", _("Client")
        FORMER = "former", _("Former client")

    number = models.CharField(_("client number"), max_length=30, blank=True)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind, default=Kind.PERSON)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.PROSPECT)
    name = models.CharField(_("name"), max_length=200)
    first_name = models.CharField(_("first name"), max_length=100, blank=True)
    last_name = models.CharField(_("last name"), max_length=100, blank=True)
    birth_date = models.DateField(_("date of birth"), null=True, blank=True)
    country = models.CharField(_("country of residence"), max_length=2, blank=True)
    nationality = models.CharField(_("nationality"), max_length=2, blank=True)
    national_id = models.CharField(_("national id"), max_length=50, blank=True)
    registration_number = models.CharField(_("registration number"), max_length=50, blank=True)
    lei = models.CharField(_("LEI"), max_length=20, blank=True)
    language = models.CharField(_("language"), max_length=10, default="en")
    currency = CurrencyField(_("currency"), default="EUR")
    advisor_name = models.CharField(_("advisor"), max_length=150, blank=True)
    # Private: neither units nor users of the owner travel.
    unit = models.ForeignKey(
        Unit, verbose_name=_("unit"), null=True, blank=True, on_delete=models.PROTECT, related_name="clients"
    )
    advisor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("advisor"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="clients",
    )
    next_review_date = models.DateField(_("next review"), null=True, blank=True)

    objects = ClientQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["number"],
                # Its owner sees to those of a received one: they may change places under two agreements.
                condition=~Q(number="") & Q(origin=None),
                name="client_number_unique_per_owner",
                violation_error_message=_("This client number is taken. Choose another."),
            ),
            models.CheckConstraint(
                condition=Q(origin__isnull=False) | ~Q(name=""),
                name="client_has_name",
                violation_error_message=_("Enter the client's name."),
            ),
        ]
        indexes = [
            # Duplicates are looked up by these while a client is entered.
            models.Index(fields=["national_id"], condition=~Q(national_id=""), name="client_by_national_id"),
            models.Index(
                fields=["registration_number"],
                condition=~Q(registration_number=""),
                name="client_by_registration",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def valid_profile(self) -> "RiskProfile | None":
        """Return the newest risk profile if it may still be relied upon."""
        newest = self.risk_profiles.current().order_by("-number").first()
        return newest if newest is not None and newest.is_valid else None

    def first_contact(self, kind: str) -> "ContactDetail | None":
        """Return the one way of a kind to reach the client that a form shows: the primary, else the oldest."""
        return self.contact_details.current().filter(kind=kind).order_by("-is_primary", "pk").first()


class ClientRecord(Record):
    """A record about one client, in scope wherever the client is."""

    class Meta:
        abstract = True


class Party(ClientRecord):
    """A joint owner, representative or beneficial owner of a client."""

    class Role(models.TextChoices):
        JOINT_OWNER = "joint_owner", _("Joint owner")
        REPRESENTATIVE = "representative", _("Representative")
        BENEFICIAL_OWNER = "beneficial_owner", _("Beneficial owner")

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="parties")
    role = models.CharField(_("role"), max_length=20, choices=Role)
    name = models.CharField(_("name"), max_length=200)
    birth_date = models.DateField(_("date of birth"), null=True, blank=True)
    country = models.CharField(_("country of residence"), max_length=2, blank=True)
    national_id = models.CharField(_("national id"), max_length=50, blank=True)

    class Meta:
        ordering = ["role", "name"]
        verbose_name_plural = "parties"

    def __str__(self) -> str:
        return self.name


class ContactDetail(ClientRecord):
    """A way to reach a client."""

    class Kind(models.TextChoices):
        EMAIL = "email", _("E-mail")
        PHONE = "phone", _("Phone")
        ADDRESS = "address", _("Address")

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="contact_details")
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    value = models.CharField(_("value"), max_length=300)
    is_primary = models.BooleanField(_("primary"), default=False)

    class Meta:
        ordering = ["kind", "-is_primary"]

    def __str__(self) -> str:
        return self.value


class PayoutAccount(ClientRecord):
    """An account of the client's own that money may be paid out to, once two people have verified it."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="payout_accounts")
    iban = models.CharField(_("IBAN"), max_length=34)
    holder = models.CharField(_("account holder"), max_length=200)
    entered_by_name = models.CharField(max_length=150, blank=True)
    verified_by_name = models.CharField(max_length=150, blank=True)
    verified_at = models.DateTimeField(null=True, blank=True)
    entered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    verified_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(verified_by__isnull=True) | ~Q(verified_by=models.F("entered_by")),
                name="payoutaccount_verified_by_another",
                violation_error_message=_(
                    "Somebody else than the person who entered it verifies an account."
                ),
            )
        ]

    def __str__(self) -> str:
        return self.iban

    @property
    def is_verified(self) -> bool:
        """Say whether a second person has verified the account."""
        return self.verified_at is not None


class KycStatus(ClientRecord):
    """The outcome of knowing one's client: it gates orders that buy."""

    class State(models.TextChoices):
        PENDING = "pending", _("Pending")
        APPROVED = "approved", _("Approved")
        BLOCKED = "blocked", _("Blocked")

    client = models.OneToOneField(Client, on_delete=models.CASCADE, related_name="kyc")
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.PENDING)
    checked_on = models.DateField(_("checked on"), null=True, blank=True)
    valid_until = models.DateField(_("valid until"), null=True, blank=True)
    is_politically_exposed = models.BooleanField(_("politically exposed"), default=False)
    checked_by_name = models.CharField(max_length=150, blank=True)

    class Meta:
        verbose_name = "KYC status"
        verbose_name_plural = "KYC statuses"

    def __str__(self) -> str:
        return self.get_state_display()

    @property
    def is_valid(self) -> bool:
        """Say whether the client was approved and the check has not expired."""
        is_current = self.valid_until is None or self.valid_until >= timezone.localdate()
        return self.state == self.State.APPROVED and is_current


class KycEvidence(ClientRecord):
    """What a KYC check rested on; private to the institution that made it."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="kyc_evidence")
    kind = models.CharField(_("kind"), max_length=60)
    reference = models.CharField(_("reference"), max_length=200)
    seen_on = models.DateField(_("seen on"))

    class Meta:
        verbose_name = "KYC evidence"
        verbose_name_plural = "KYC evidence"

    def __str__(self) -> str:
        return self.kind


class Questionnaire(ClientRecord):
    """The answers to a risk questionnaire; private, only the profile drawn from it is shared."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="questionnaires")
    version = models.CharField(max_length=20)
    answers = models.JSONField(default=dict)
    answered_on = models.DateField()

    class Meta:
        ordering = ["-answered_on", "-created_at"]

    def __str__(self) -> str:
        return f"{self.version} {self.answered_on}"


class RiskProfile(ClientRecord):
    """A client's risk profile: knowledge, capacity, tolerance and sustainability (ESMA 2022)."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="risk_profiles")
    number = models.PositiveIntegerField(_("version"), default=1)
    level = models.PositiveSmallIntegerField(_("risk level"))
    knowledge = models.PositiveSmallIntegerField(_("knowledge and experience"))
    capacity = models.PositiveSmallIntegerField(_("ability to bear losses"))
    tolerance = models.PositiveSmallIntegerField(_("risk tolerance"))
    horizon_years = models.PositiveSmallIntegerField(_("horizon in years"))
    sustainability = models.CharField(_("sustainability preference"), max_length=30, blank=True)
    valid_from = models.DateField(_("valid from"))
    valid_until = models.DateField(_("valid until"))

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["client", "number"], name="riskprofile_number_unique"),
            models.CheckConstraint(
                condition=Q(level__gte=1, level__lte=7), name="riskprofile_level_in_range"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.level}/7"

    @property
    def is_valid(self) -> bool:
        """Say whether the profile may be relied upon today."""
        return self.valid_until >= timezone.localdate()


class Note(ClientRecord):
    """A private note about a client."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="notes")
    text = models.TextField(_("note"))
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.text[:60]


class Task(ClientRecord):
    """Something an advisor has promised to do for a client; private."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="tasks")
    title = models.CharField(_("task"), max_length=200)
    due_date = models.DateField(_("due"))
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="tasks"
    )
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["due_date"]

    def __str__(self) -> str:
        return self.title
