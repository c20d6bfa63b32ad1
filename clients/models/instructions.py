"""Instructions, and what becomes of them at the managing side."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.fields import CurrencyField, MoneyField, RateField
from accounts.records import Record
from clients.calculations.states import InstructionState, instruction_state
from clients.models.mandates import Mandate
from clients.models.people import PayoutAccount
from clients.querysets import AnswerQuerySet, InstructionQuerySet


class ClientInstruction(Record):
    """What a client asks for under a mandate; its outcome is the managing side's record."""

    class Kind(models.TextChoices):
        DEPOSIT = "deposit", _("Deposit")
        WITHDRAWAL = "withdrawal", _("Withdrawal")
        MODEL_CHANGE = "model_change", _("Change of model")
        CLOSE = "close", _("Close the mandate")
        TRANSFER_OUT = "transfer_out", _("Transfer out and close")

    # After these nothing more is asked for under the mandate.
    CLOSING: ClassVar[set[str]] = {Kind.CLOSE, Kind.TRANSFER_OUT}

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


class InstructionAnswer(Record):
    """What either party says of an instruction: how far it is, the amount, when and by whom; only added."""

    amount = MoneyField(_("amount"), null=True, blank=True)
    currency = CurrencyField(_("currency"), blank=True)
    at = models.DateTimeField(_("at"))
    by_name = models.CharField(max_length=150, blank=True)

    objects = AnswerQuerySet.as_manager()

    class Meta:
        abstract = True
        ordering = ["at"]

    def __str__(self) -> str:
        # Each kind of answer has outcomes of its own.
        return str(self.get_outcome_display())  # type: ignore[attr-defined]


class InstructionOutcome(InstructionAnswer):
    """What became of an instruction at the managing side."""

    class Outcome(models.TextChoices):
        RECEIVED = "received", _("Received")
        ACCEPTED = "accepted", _("Accepted")
        REJECTED = "rejected", _("Rejected")
        IN_PROGRESS = "in_progress", _("In progress")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        # Its booking was reversed: what was answered before counts no longer.
        REOPENED = "reopened", _("Open again")

    instruction = models.ForeignKey(ClientInstruction, on_delete=models.PROTECT, related_name="outcomes")
    outcome = models.CharField(_("outcome"), max_length=15, choices=Outcome)
    note = models.TextField(_("note"), blank=True)


class InstructionBooking(InstructionAnswer):
    """What whoever keeps the ledger has booked for an instruction, or why it books nothing.

    ``amount`` is all that is booked so far, in the instruction's ``currency``. Where ``entry`` of the
    ledger is in another one, ``exchange_rate`` turns it into that.
    """

    class Outcome(models.TextChoices):
        IN_PROGRESS = "in_progress", _("More is to come")
        DONE = "done", _("Done")
        REJECTED = "rejected", _("Rejected")
        REOPENED = "reopened", _("Reversed")

    # After these nothing more is booked for the instruction, unless it is reversed.
    FINAL: ClassVar[set[str]] = {Outcome.DONE, Outcome.REJECTED}

    instruction = models.ForeignKey(ClientInstruction, on_delete=models.PROTECT, related_name="bookings")
    outcome = models.CharField(_("outcome"), max_length=15, choices=Outcome)
    # An opaque id of the ledger's.
    entry = models.UUIDField(null=True, blank=True)
    exchange_rate = RateField(_("exchange rate"), null=True, blank=True)
    reason = models.TextField(_("reason"), blank=True)


INSTRUCTION_STATES = {
    InstructionState(value): label
    for value, label in [*ClientInstruction.Status.choices, *InstructionOutcome.Outcome.choices]
    if value != InstructionOutcome.Outcome.REOPENED
}
