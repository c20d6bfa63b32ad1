"""What is still going on under an agreement, counted in the current institution's own schema."""

from dataclasses import asdict, dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from clients.models import ClientInstruction, InstructionOutcome, Mandate, MandateDecision
from federation.models import Agreement, Function
from trading.models import Allocation, Order, Settlement

LABELS: dict[str, str | Promise] = {
    "mandates_undecided": _("Mandates that wait for a decision"),
    "mandates_running": _("Mandates that are not closed"),
    "orders": _("Open orders"),
    "affirmations": _("Trades that nobody has affirmed or put right"),
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
    affirmations: int
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
    """Count open mandates, orders, trades and instructions under ``agreement``, in at most six queries."""
    mandates = Mandate.objects.current().filter(agreement=agreement.pk, status__in=["submitted", "closing"])
    final = MandateDecision.objects.filter(outcome__in=[*MandateDecision.FINAL]).values("mandate")
    accepted = MandateDecision.objects.filter(outcome__in=["accepted", "active", "closing"]).values("mandate")
    under = {"portfolio__mandate__agreement": agreement.pk}
    return OpenWork(
        mandates_undecided=mandates.exclude(pk__in=final).exclude(pk__in=accepted).count(),
        mandates_running=mandates.exclude(pk__in=final).filter(pk__in=accepted).count(),
        orders=Order.objects.current().filter(state__in=Order.OPEN, **under).count(),
        affirmations=_unaffirmed(agreement, under),
        settlements=Settlement.objects.current()
        .exclude(state=Settlement.State.SETTLED)
        .filter(**under)
        .count(),
        instructions=ClientInstruction.objects.current()
        .filter(mandate__agreement=agreement.pk, status=ClientInstruction.Status.SENT)
        .exclude(pk__in=InstructionOutcome.objects.filter(outcome__in=_DONE).values("instruction"))
        .count(),
    )


def _unaffirmed(agreement: Agreement, under: dict[str, Any]) -> int:
    """Count what one party has traded and the other has not booked; none where one party does both."""
    division = agreement.version.division if agreement.version else {}
    if division.get(Function.TRADING) == division.get(Function.SETTLEMENT):
        return 0
    return Allocation.objects.live().filter(settlement__isnull=True, **under).count()
