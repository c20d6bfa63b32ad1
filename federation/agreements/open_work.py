"""What is still going on under an agreement, counted in the current institution's own schema."""

from dataclasses import asdict, dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from clients.models import ClientInstruction, InstructionOutcome, Mandate, MandateDecision
from federation.models import Agreement
from trading.models import Order, Settlement

LABELS: dict[str, str | Promise] = {
    "mandates_undecided": _("Mandates that wait for a decision"),
    "mandates_running": _("Mandates that are not closed"),
    "orders": _("Open orders"),
    "settlements": _("Trades that have not settled"),
    "instructions": _("Instructions that are not done"),
}
_DONE = [
    InstructionOutcome.Outcome.REJECTED,
    InstructionOutcome.Outcome.DONE,
    InstructionOutcome.Outcome.FAILED,
]


@dataclass(frozen=True)
class OpenWork:
    """Counts of what would be left hanging."""

    mandates_undecided: int
    mandates_running: int
    orders: int
    settlements: int
    instructions: int

    def __bool__(self) -> bool:
        return any(asdict(self).values())

    @property
    def lines(self) -> list[tuple[str | Promise, int]]:
        """Return each count with its label."""
        return [(LABELS[name], count) for name, count in asdict(self).items()]

    @property
    def counts(self) -> dict[str, Any]:
        """Return the counts by name, for the timeline."""
        return dict(asdict(self))


def open_work(agreement: Agreement) -> OpenWork:
    """Count open mandates, orders, settlements and instructions under ``agreement``, in five queries."""
    mandates = Mandate.objects.current().filter(agreement=agreement.pk, status__in=["submitted", "closing"])
    final = MandateDecision.objects.filter(outcome__in=[*MandateDecision.FINAL]).values("mandate")
    accepted = MandateDecision.objects.filter(outcome__in=["accepted", "active", "closing"]).values("mandate")
    under = {"portfolio__mandate__agreement": agreement.pk}
    return OpenWork(
        mandates_undecided=mandates.exclude(pk__in=final).exclude(pk__in=accepted).count(),
        mandates_running=mandates.exclude(pk__in=final).filter(pk__in=accepted).count(),
        orders=Order.objects.current().filter(state__in=Order.OPEN, **under).count(),
        settlements=Settlement.objects.current()
        .exclude(state=Settlement.State.SETTLED)
        .filter(**under)
        .count(),
        instructions=ClientInstruction.objects.current()
        .filter(mandate__agreement=agreement.pk, status=ClientInstruction.Status.SENT)
        .exclude(pk__in=InstructionOutcome.objects.filter(outcome__in=_DONE).values("instruction"))
        .count(),
    )
