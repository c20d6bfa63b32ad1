"""The relationship with clients: who they are, what they agreed to, and what they ask for."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.fields import CurrencyField, MoneyField
from accounts.models import Unit
from accounts.records import Record
from clients.calculations.states import InstructionState, MandateState, instruction_state, mandate_state
from clients.querysets import ClientQuerySet, InstructionQuerySet, MandateQuerySet

OWN = Q(origin__isnull=True)


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
                fields=["origin", "number"],
                condition=~Q(number=""),
                nulls_distinct=False,
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
        newest = self.risk_profiles.order_by("-number").first()
        return newest if newest is not None and newest.is_valid else None


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


class Mandate(Record):
    """A client's order to manage money: under an agreement by a partner, or by the institution itself.

    ``agreement`` and ``offer`` are opaque ids; the terms are kept as they were signed. The record
    is the sales side's alone: what the manager decides is a MandateDecision. The state that
    people see is computed from both (``clients.calculations.states``). ``client`` is null only on
    a received row that has been retired.
    """

    class Status(models.TextChoices):
        DRAFT = "draft", _("Draft")
        SIGNED = "signed", _("Signed")
        SUBMITTED = "submitted", _("Submitted")
        WITHDRAWN = "withdrawn", _("Withdrawn")
        CLOSING = "closing", _("Closing")

    number = models.CharField(_("mandate number"), max_length=30)
    client = models.ForeignKey(Client, null=True, on_delete=models.PROTECT, related_name="mandates")
    name = models.CharField(_("name"), max_length=120, blank=True)
    agreement = models.UUIDField(null=True, blank=True, db_index=True)
    offer = models.UUIDField(null=True, blank=True)
    offer_name = models.CharField(_("offer"), max_length=150, blank=True)
    manager_name = models.CharField(_("manager"), max_length=150, blank=True)
    terms = models.JSONField(_("terms as signed"), default=dict, blank=True)
    currency = CurrencyField(_("currency"), default="EUR")
    amount = MoneyField(_("planned amount"), null=True, blank=True)
    risk_profile = models.ForeignKey(
        RiskProfile, null=True, blank=True, on_delete=models.PROTECT, related_name="mandates"
    )
    override_reason = models.TextField(_("reason for a plan beyond the profile"), blank=True)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.DRAFT)
    submission = models.PositiveIntegerField(default=0)
    signed_on = models.DateField(_("signed on"), null=True, blank=True)
    submitted_at = models.DateTimeField(_("submitted"), null=True, blank=True)
    disclosure_text = models.CharField(_("disclosure text version"), max_length=20, blank=True)
    disclosure_authorised_on = models.DateField(_("disclosure authorised on"), null=True, blank=True)
    answer = models.TextField(_("answer to the manager"), blank=True)
    # [{"event": "submitted", "submission": 1, "at": "…", "by": "…", "text": "…"}], shared: both sides
    # see each submission, also after the next has replaced its date and answer above.
    history = models.JSONField(default=list, blank=True)
    predecessor = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="successors"
    )

    objects = MandateQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["origin", "number"],
                nulls_distinct=False,
                name="mandate_number_unique_per_owner",
                violation_error_message=_("This mandate number is taken. Choose another."),
            ),
            models.CheckConstraint(
                condition=Q(origin__isnull=False) | Q(client__isnull=False), name="mandate_has_client"
            ),
            models.CheckConstraint(
                condition=Q(origin__isnull=False)
                | ~Q(status="submitted")
                | Q(submitted_at__isnull=False, signed_on__isnull=False, submission__gte=1)
                & (Q(agreement__isnull=True) | Q(disclosure_authorised_on__isnull=False)),
                name="mandate_submitted_with_authorisation",
                violation_error_message=_(
                    "Record the signature and the client's authorisation to disclose before submitting."
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def is_draft(self) -> bool:
        """Say whether the mandate has not left the institution yet and may still be changed freely."""
        return self.status in {self.Status.DRAFT, self.Status.SIGNED}

    @property
    def state(self) -> MandateState:
        """Return the state that people see, from the mandate and its decisions (prefetch them in lists)."""
        decisions = [(each.submission, each.outcome) for each in self.decisions.all() if not each.retired_at]
        return mandate_state(self.status, self.submission, decisions)

    @property
    def state_label(self) -> str:
        """Return the state in words."""
        return str(MANDATE_STATES[self.state])

    @property
    def current_offer(self) -> uuid.UUID | None:
        """Return the offer that the mandate follows now: the last change of model that was done, or as signed."""
        done = self.instructions.filter(kind="model_change", outcomes__outcome="done")
        last = done.order_by("-outcomes__at").values_list("offer", flat=True).first()
        return last or self.offer

    def forget_decisions(self) -> None:
        """Forget decisions read before, so that ``state`` reads them again."""
        getattr(self, "_prefetched_objects_cache", {}).pop("decisions", None)


class MandateRestriction(Record):
    """Something the client does not want, or wants kept, under one mandate."""

    class Kind(models.TextChoices):
        EXCLUDE_SECURITY = "exclude_security", _("Exclude security")
        EXCLUDE_SECTOR = "exclude_sector", _("Exclude sector")
        DO_NOT_SELL = "do_not_sell", _("Do not sell")

    mandate = models.ForeignKey(Mandate, on_delete=models.CASCADE, related_name="restrictions")
    kind = models.CharField(_("kind"), max_length=20, choices=Kind)
    value = models.CharField(_("ISIN or sector"), max_length=60)
    note = models.CharField(_("note"), max_length=200, blank=True)

    class Meta:
        ordering = ["kind", "value"]
        constraints = [
            models.UniqueConstraint(
                fields=["mandate", "kind", "value"],
                name="mandaterestriction_unique",
                violation_error_message=_("This restriction is already there."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.value}"


class MandateDecision(Record):
    """What the managing side decided about a submission of a mandate; decisions are only added."""

    class Outcome(models.TextChoices):
        ACCEPTED = "accepted", _("Accepted")
        RETURNED = "returned", _("Returned")
        REJECTED = "rejected", _("Rejected")
        ACTIVE = "active", _("Active")
        CLOSING = "closing", _("Closing")
        CLOSED = "closed", _("Closed")

    FINAL: ClassVar[set[str]] = {Outcome.REJECTED, Outcome.CLOSED}

    mandate = models.ForeignKey(Mandate, on_delete=models.PROTECT, related_name="decisions")
    submission = models.PositiveIntegerField()
    outcome = models.CharField(_("decision"), max_length=10, choices=Outcome)
    reason = models.TextField(_("reason"), blank=True)
    missing = models.JSONField(_("what is missing"), default=list, blank=True)
    decided_at = models.DateTimeField(_("decided"))
    decided_by_name = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["decided_at"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(outcome__in=["returned", "rejected"]) | ~Q(reason=""),
                name="mandatedecision_says_why",
                violation_error_message=_("Say why, so that the advisor can act on it."),
            )
        ]

    def __str__(self) -> str:
        return self.get_outcome_display()


MANDATE_STATES = {
    MandateState(value): label for value, label in [*Mandate.Status.choices, *MandateDecision.Outcome.choices]
}


class ClientInstruction(Record):
    """What a client asks for under a mandate; its outcome is the managing side's record."""

    class Kind(models.TextChoices):
        DEPOSIT = "deposit", _("Deposit")
        WITHDRAWAL = "withdrawal", _("Withdrawal")
        MODEL_CHANGE = "model_change", _("Change of model")
        CLOSE = "close", _("Close the mandate")

    class Status(models.TextChoices):
        DRAFT = "draft", _("Draft")
        SENT = "sent", _("Sent")
        WITHDRAWN = "withdrawn", _("Withdrawn")

    mandate = models.ForeignKey(Mandate, on_delete=models.PROTECT, related_name="instructions")
    kind = models.CharField(_("kind"), max_length=15, choices=Kind)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.DRAFT)
    amount = MoneyField(_("amount"), null=True, blank=True)
    currency = CurrencyField(_("currency"), blank=True)
    reference = models.CharField(_("payment reference"), max_length=35, blank=True)
    payout_account = models.ForeignKey(
        PayoutAccount, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    offer = models.UUIDField(null=True, blank=True)
    offer_name = models.CharField(_("new plan"), max_length=150, blank=True)
    wanted_date = models.DateField(_("wanted by"), null=True, blank=True)
    note = models.TextField(_("note"), blank=True)
    sent_at = models.DateTimeField(_("sent"), null=True, blank=True)
    sent_by_name = models.CharField(max_length=150, blank=True)

    objects = InstructionQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(amount__isnull=True) | Q(amount__gt=0),
                name="clientinstruction_amount_positive",
                violation_error_message=_("Enter an amount above zero."),
            )
        ]

    def __str__(self) -> str:
        return self.get_kind_display()

    @property
    def state(self) -> InstructionState:
        """Return where the instruction stands, from both parties' records (prefetch outcomes in lists)."""
        return instruction_state(
            self.status, [each.outcome for each in self.outcomes.all() if not each.retired_at]
        )

    @property
    def state_label(self) -> str:
        """Return where it stands in words."""
        return str(INSTRUCTION_STATES[self.state])

    def forget_outcomes(self) -> None:
        """Forget outcomes read before, so that ``state`` reads them again."""
        getattr(self, "_prefetched_objects_cache", {}).pop("outcomes", None)


class InstructionOutcome(Record):
    """What became of an instruction at the managing side; outcomes are only added."""

    class Outcome(models.TextChoices):
        RECEIVED = "received", _("Received")
        ACCEPTED = "accepted", _("Accepted")
        REJECTED = "rejected", _("Rejected")
        IN_PROGRESS = "in_progress", _("In progress")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")

    instruction = models.ForeignKey(ClientInstruction, on_delete=models.PROTECT, related_name="outcomes")
    outcome = models.CharField(_("outcome"), max_length=15, choices=Outcome)
    amount = MoneyField(_("amount"), null=True, blank=True)
    currency = CurrencyField(_("currency"), blank=True)
    note = models.TextField(_("note"), blank=True)
    at = models.DateTimeField(_("at"))
    by_name = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["at"]

    def __str__(self) -> str:
        return self.get_outcome_display()


INSTRUCTION_STATES = {
    InstructionState(value): label
    for value, label in [*ClientInstruction.Status.choices, *InstructionOutcome.Outcome.choices]
}
