"""What is still going on under an agreement, counted in the current institution's own schema."""

from dataclasses import asdict, dataclass
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from clients.models import ClientInstruction, Mandate, MandateDecision
from federation.models import Agreement, Function
from portfolios.attention import LATE
from portfolios.models import Portfolio
from trading.models import Allocation, Order, Settlement

LABELS: dict[str, str | Promise] = {
    "mandates_undecided": _("Mandates that wait for a decision"),
    "mandates_running": _("Mandates that are not closed"),
    "orders": _("Open orders"),
    "affirmations": _("Trades that nobody has affirmed or put right"),
    "settlements": _("Trades that have not settled"),
    "instructions": _("Instructions that are not done"),
    "late": _("Closed portfolios that hold something"),
}
# Which list shows what is counted, narrowed down by what.
LISTS: dict[str, tuple[str, str]] = {
    "mandates_undecided": ("clients:mandate_list", "state=undecided"),
    "mandates_running": ("clients:mandate_list", "state=running"),
    "orders": ("trading:order_list", "state=open"),
    "affirmations": ("trading:affirmation_list", "state=open"),
    "settlements": ("trading:settlement_list", "state=open"),
    "instructions": ("clients:instruction_list", "state=open"),
    "late": ("portfolios:book", f"attention={LATE}"),
}


@dataclass(frozen=True)
class OpenWork:
    """Counts of what would be left hanging."""

    mandates_undecided: int
    mandates_running: int
    orders: int
    affirmations: int
    settlements: int
    instructions: int
    late: int

    def __bool__(self) -> bool:
        return any(asdict(self).values())

    @property
    def lines(self) -> list[tuple[str | Promise, int, tuple[str, str] | None]]:
        """Return each count with its label, and the list that shows what it counts and by which query."""
        return [(LABELS[name], count, LISTS.get(name)) for name, count in asdict(self).items()]

    @property
    def counts(self) -> dict[str, Any]:
        """Return the counts by name, for the timeline."""
        return dict(asdict(self))


def open_work(agreement: Agreement) -> OpenWork:
    """Count open mandates, orders, trades, instructions and late entries under ``agreement``, in at most seven queries."""
    mandates = Mandate.objects.filter(agreement=agreement.pk)
    waiting = mandates.current().filter(status="submitted")
    final = MandateDecision.objects.filter(outcome__in=[*MandateDecision.FINAL]).values("mandate")
    accepted = MandateDecision.objects.filter(outcome__in=["accepted", "active", "closing"]).values("mandate")
    under = {"portfolio__mandate__agreement": agreement.pk}
    return OpenWork(
        mandates_undecided=waiting.exclude(pk__in=final).exclude(pk__in=accepted).count(),
        mandates_running=mandates.exclude(pk__in=final).filter(_runs(accepted)).count(),
        orders=Order.objects.current().filter(state__in=Order.OPEN, **under).count(),
        affirmations=_unaffirmed(agreement, under),
        settlements=Settlement.objects.current().exclude(state__in=Settlement.FINAL).filter(**under).count(),
        instructions=ClientInstruction.objects.current()
        .open()
        .filter(mandate__agreement=agreement.pk)
        .count(),
        late=Portfolio.objects.current().closed_but_holding().filter(mandate__agreement=agreement.pk).count(),
    )


def _runs(accepted: "QuerySet[MandateDecision, Any]") -> Q:
    """Return the condition that a mandate is managed, also where it was withdrawn when its portfolio was open.

    Until the withdrawal and the acceptance have both crossed, the manager has the portfolio alone.
    """
    is_accepted = Q(pk__in=accepted, retired_at=None)
    is_managed = Q(pk__in=accepted.filter(outcome__in=["active", "closing"]), retired_at=None)
    has_own_portfolio = Q(portfolio__origin=None, portfolio__closed_on=None, portfolio__isnull=False)
    return (
        is_accepted & Q(status__in=["submitted", "closing"])
        | is_managed & Q(status="withdrawn")
        | Q(pk__in=accepted) & has_own_portfolio
    )


def _unaffirmed(agreement: Agreement, under: dict[str, Any]) -> int:
    """Count what one party has traded and the other has not booked; none where one party does both."""
    division = agreement.version.division if agreement.version else {}
    if division.get(Function.TRADING) == division.get(Function.SETTLEMENT):
        return 0
    return Allocation.objects.live().filter(settlement__isnull=True, **under).count()
