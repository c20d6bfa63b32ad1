"""What would be handed over of a portfolio now: its lots, dates and costs, and its cash."""

import datetime
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import cast

from django.db.models import Min, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.errors import DomainError
from clients.models import ClientInstruction, Mandate
from portfolios.calculations.entries import Key, moved_by, standing_entries
from portfolios.calculations.ledger import Positions, derive_positions
from portfolios.calculations.lots import CostMethod, Lot
from portfolios.models import Handover, HandoverPosition, Portfolio, Security, Transaction, Valuation
from portfolios.services.entries import load_entries
from portfolios.services.market import prices_as_of

_CENT, _NOTHING = Decimal("0.0001"), Decimal(0)


@dataclass(frozen=True)
class Snapshot:
    """What would be handed over now: unsaved records."""

    handover: Handover
    positions: Sequence[HandoverPosition]


def snapshot(predecessor: Mandate) -> Snapshot:
    """Return what is known here of a portfolio that is to move on: the lots as its cost method keeps them.

    Of one that is closed, what was transferred out of it.

    Raises DomainError where there is no portfolio yet, or trades have not settled.
    """
    portfolio = Portfolio.objects.current().filter(mandate=predecessor).first()
    if portfolio is None and Portfolio.objects.filter(mandate=predecessor, retired_at__isnull=False).exists():
        raise DomainError(
            "handover_sealed",
            _(
                "The agreement with the former manager has ended and what it had booked is sealed, so it cannot"
                " be handed over any more. Start a new mandate for the client. The new manager books the"
                " positions from the custodian's statement; compliance can open the sealed records to compare."
            ),
        )
    if portfolio is None:
        raise DomainError(
            "nothing_to_hand_over", _("The former mandate has no portfolio. Start a new mandate instead.")
        )
    first, last = _first_and_last(portfolio)
    has_held_something = portfolio.closed_on is not None or (last is not None and last.market_value)
    if has_held_something and not knows_ledger(predecessor):
        raise DomainError(
            "ledger_not_shared",
            _(
                "The former manager does not share what it books, so nobody here knows what there is to hand over."
                " Start a new mandate. The new manager books the positions from the custodian's statement."
            ),
        )
    today = portfolio.closed_on or timezone.now().date()
    out = _transferred_out(portfolio)
    # What came late may have been booked out after the closing.
    until = today if portfolio.closed_on is None else datetime.date.max
    positions = positions_of(portfolio, until, without=out)
    is_settled = all(each.quantity == each.settled_quantity for each in positions.holdings.values())
    if portfolio.closed_on is None and not is_settled:
        raise DomainError(
            "handover_unsettled",
            _("Trades of portfolio %(number)s have not settled yet. Hand it over when they have.")
            % {"number": portfolio.number},
        )
    handover = Handover(
        as_of=today,
        currency=portfolio.currency,
        performance_from=first.date if first else None,
        time_weighted_return=last.return_index - 1 if last else None,
        booked_out_on=portfolio.closed_on,
        value=last.market_value if last else None,
    )
    worth = None
    if portfolio.closed_on is not None:
        worth = _worth_of(portfolio, out)
        handover.value = sum(worth.values(), Decimal(0)).quantize(_CENT)
    lots = _single_lots(portfolio, positions, until, out)
    return Snapshot(
        handover, [*_lots(handover, positions, lots, today, worth), *_cash(handover, positions, worth)]
    )


def knows_ledger(mandate: Mandate) -> bool:
    """Say whether what was booked under a mandate can be read here, or its values say that nothing ever was."""
    if Transaction.objects.current().filter(portfolio__mandate=mandate).exists():
        return True
    values = Valuation.objects.current().filter(portfolio__mandate=mandate)
    return values.exists() and not values.exclude(market_value=0, inflow=0, outflow=0).exists()


def is_out_of_reach(former: Mandate) -> bool:
    """Say whether nothing more is learnt of what a former manager had, and it manages no longer."""
    still_managed = Portfolio.objects.current().filter(mandate=former, closed_on=None)
    return not knows_ledger(former) and not still_managed.exists()


def positions_of(
    portfolio: Portfolio,
    day: datetime.date,
    method: CostMethod | None = None,
    without: Collection[uuid.UUID] = (),
) -> Positions:
    """Return what a portfolio holds by trade date at the end of a day, as if some entries had not been booked."""
    entries = [each for each in load_entries([portfolio.pk])[portfolio.pk] if each.id not in without]
    return derive_positions(entries, as_of=day, method=method or CostMethod(portfolio.cost_method))


def _transferred_out(portfolio: Portfolio) -> set[uuid.UUID]:
    """Return the entries that book a portfolio out because it moves on, with their reversals.

    Those booked for the instruction, and what was transferred out by hand since it was sent.
    """
    asked = ClientInstruction.objects.filter(
        mandate=portfolio.mandate_id,
        kind=ClientInstruction.Kind.TRANSFER_OUT,
        status=ClientInstruction.Status.SENT,
    )
    sent_at = asked.aggregate(first=Min("sent_at"))["first"]
    if sent_at is None:
        return set()
    by_hand = Q(type=Transaction.Type.TRANSFER_OUT, trade_date__gte=sent_at.date())
    booked = Transaction.objects.current().filter(portfolio=portfolio)
    moved = booked.filter(Q(reference__in=asked.values("pk")) | by_hand)
    entries = booked.filter(Q(pk__in=moved.values("pk")) | Q(reverses__in=moved.values("pk")))
    return set(entries.values_list("pk", flat=True))


def _worth_of(portfolio: Portfolio, out: Collection[uuid.UUID]) -> dict[Key, Decimal]:
    """Return what these transfers out were worth by security and currency, in the portfolio's currency."""
    worth: dict[Key, Decimal] = defaultdict(Decimal)
    for entry in standing_entries(load_entries([portfolio.pk])[portfolio.pk]):
        if entry.id in out:
            worth[entry.security or entry.currency] -= moved_by(entry)
    return worth


def _first_and_last(portfolio: Portfolio) -> tuple[Valuation | None, Valuation | None]:
    valued = Valuation.objects.current().filter(portfolio=portfolio, market_value__isnull=False)
    return valued.order_by("date").first(), valued.order_by("date").last()


def _single_lots(
    portfolio: Portfolio, positions: Positions, day: datetime.date, out: Collection[uuid.UUID]
) -> dict[uuid.UUID, list[Lot]]:
    """Return what is left of each purchase, the first bought sold first; the costs add up to the book cost.

    At average cost the pool knows no single purchases: its cost is spread as the purchases cost.
    """
    found: dict[uuid.UUID, list[Lot]] = {}
    single = (
        positions_of(portfolio, day, CostMethod.FIFO, out)
        if positions.method is CostMethod.AVERAGE
        else positions
    )
    for key, held in positions.holdings.items():
        lots = list(single.holdings[key].lots)
        found[cast("uuid.UUID", key)] = [
            replace(
                lot,
                book_cost=cost,
                book_cost_portfolio=cost_portfolio,
            )
            for lot, cost, cost_portfolio in zip(
                lots,
                _spread([lot.book_cost for lot in lots], held.book_cost),
                _spread([lot.book_cost_portfolio for lot in lots], held.book_cost_portfolio),
                strict=True,
            )
        ]
    return found


def _spread(parts: Sequence[Decimal], total: Decimal) -> list[Decimal]:
    """Return the parts scaled so that they add up to the total, the last one taking the rounding."""
    whole, total = sum(parts, Decimal(0)), total.quantize(_CENT)
    scaled = [(part * total / whole if whole else part).quantize(_CENT) for part in parts[:-1]]
    return [*scaled, total - sum(scaled, Decimal(0))]


def _lots(
    handover: Handover,
    positions: Positions,
    lots: dict[uuid.UUID, list[Lot]],
    day: datetime.date,
    worth: Mapping[Key, Decimal] | None,
) -> Iterable[HandoverPosition]:
    ids = [cast("uuid.UUID", key) for key in positions.holdings]
    securities = Security.objects.in_bulk(ids)
    # Neither a source that may not be passed on nor the former manager's prices go to a third party.
    known = prices_as_of(ids, day, only_redistributable=True)
    for key in sorted(ids, key=lambda each: securities[each].name):
        security, close = securities[key], known.get(key)
        if close is not None and close.currency != positions.holdings[key].currency:
            close = None
        values = _spread([each.quantity for each in lots[key]], worth.get(key, _NOTHING)) if worth else None
        for i, lot in enumerate(lots[key]):
            yield HandoverPosition(
                handover=handover,
                isin=security.isin or "",
                security_name=security.name,
                asset_class=security.asset_class,
                price_unit=security.price_unit,
                currency=positions.holdings[key].currency,
                quantity=lot.quantity,
                acquired_on=lot.acquired_on,
                book_cost=lot.book_cost,
                book_cost_portfolio=lot.book_cost_portfolio,
                price=close.close if close else None,
                price_date=close.date if close else None,
                price_source_name=close.source_name if close else "",
                is_price_simulated=close.is_simulated if close else False,
                value=values[i] if values else None,
            )


def _cash(
    handover: Handover, positions: Positions, worth: Mapping[Key, Decimal] | None
) -> Iterable[HandoverPosition]:
    for currency, balance in positions.cash.items():
        if balance.traded:
            value = worth.get(currency, _NOTHING).quantize(_CENT) if worth else None
            yield HandoverPosition(handover=handover, currency=currency, quantity=balance.traded, value=value)
