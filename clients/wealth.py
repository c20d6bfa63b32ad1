"""What clients own under all their mandates, whoever manages them, in one currency.

Portfolios, valuations and exchange rates are known by name only: they belong to another app.
"""

import datetime
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.db.models import Case, DecimalField, Exists, ExpressionWrapper, F, OuterRef, Q, Sum, When
from django.utils.translation import gettext as _

from clients.models import Client, Mandate
from clients.querysets import in_transit

EURO = "EUR"
_MONEY = DecimalField(max_digits=24, decimal_places=4)


def rates() -> dict[str, Decimal]:
    """Return the units of each currency for one euro on its latest day, in one query.

    Of several sources the own ones come first, by their order of preference, as everywhere.
    """
    is_partners = Case(When(source__origin=None, then=0), default=1)
    found = (
        apps.get_model("portfolios", "ExchangeRate")
        .objects.current()
        .order_by("currency", "-date", is_partners, "source__preference", "source__code")
        .distinct("currency")
        .values_list("currency", "rate")
    )
    return {EURO: Decimal(1), **dict(found)}


def convert(
    amount: Decimal | None, from_currency: str, to_currency: str, known: Mapping[str, Decimal]
) -> Decimal | None:
    """Return ``amount`` in another currency; None where a rate is not known."""
    if not amount or from_currency == to_currency:
        return amount
    if from_currency not in known or to_currency not in known:
        return None
    return amount / known[from_currency] * known[to_currency]


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """One mandate's portfolio: its value, what was put in and taken out, and its return over a period.

    ``value`` and ``gain`` are in ``currency``, ``share`` is of the total; None is not available, for
    the reason in ``problem``. ``returned`` is a fraction, time-weighted and net of fees. What moves from one
    manager to the next is neither paid in nor taken out: as long as it is ``on_its_way``, it is part of
    the new one's value.
    """

    mandate: Mandate
    portfolio: uuid.UUID
    number: str
    currency: str
    opened_on: datetime.date
    as_of: datetime.date | None
    value: Decimal | None
    converted: Decimal | None
    paid_in: Decimal
    gain: Decimal | None
    returned: Decimal | None
    since: datetime.date | None
    problem: str
    is_simulated: bool
    on_its_way: Decimal = Decimal(0)
    share: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wealth:
    """What a client owns over all managers; ``total`` is None where a value or rate is missing."""

    currency: str
    positions: tuple[Position, ...]
    total: Decimal | None
    paid_in: Decimal | None
    gain: Decimal | None
    as_of: datetime.date | None
    problem: str


def positions_of(
    mandates: Iterable[Mandate],
    since: datetime.date,
    *,
    currency: str = "",
    known: Mapping[str, Decimal] | None = None,
) -> list[Position]:
    """Return the position of each mandate that has a portfolio; returns are measured from ``since``.

    Values are converted with the rates ``known`` where a ``currency`` is given.
    """
    by_id = {mandate.pk: mandate for mandate in mandates}
    valuations = apps.get_model("portfolios", "Valuation").objects
    flows = {
        row["portfolio"]: row
        for row in valuations.filter(portfolio__mandate__in=by_id)
        .order_by()
        .values("portfolio")
        .annotate(inflow=Sum("inflow"), outflow=Sum("outflow"))
    }
    starts = {
        row.portfolio_id: row
        for row in valuations.filter(portfolio__mandate__in=by_id, date__lte=since)
        .order_by("portfolio_id", "-date")
        .distinct("portfolio_id")
    }
    latest = {
        row.portfolio_id: row for row in valuations.filter(portfolio__mandate__in=by_id, is_latest=True)
    }
    coming = in_transit().filter(mandate__in=by_id)
    on_its_way = {
        mandate: (value, of_currency)
        for mandate, value, of_currency in coming.values_list("mandate", "coming", "currency")
    }

    def coming_to(portfolio: Any) -> Decimal | None:
        value, of_currency = on_its_way.get(portfolio.mandate_id, (Decimal(0), portfolio.currency))
        return convert(value, of_currency, portfolio.currency, known or {})

    corrections = _corrections(
        by_id, known or {}, {key: value for key, (value, _currency) in on_its_way.items()}
    )
    portfolios = apps.get_model("portfolios", "Portfolio").objects.current().filter(mandate__in=by_id)
    return [
        _position(
            by_id[each.mandate_id],
            each,
            latest.get(each.pk),
            starts.get(each.pk),
            flows,
            currency or each.currency,
            known or {},
            on_its_way=coming_to(each),
            correction=corrections.get(each.pk, Decimal(0)),
        )
        for each in portfolios.order_by("opened_on")
    ]


def _corrections(
    mandates: Iterable[Any], known: Mapping[str, Decimal], coming: Mapping[Any, Decimal | None]
) -> dict[Any, Decimal]:
    """Return by portfolio what it took over less what that was booked in at, in its currency.

    Prices move between one manager's booking out and the other's booking in; nobody pays that in.
    """
    booked_in = Case(When(type="transfer_in", then=F("gross_amount")), default=-F("gross_amount"))
    positions = apps.get_model("portfolios", "HandoverPosition").objects.filter(
        handover__mandate=OuterRef("portfolio__mandate")
    )
    taken = (
        apps.get_model("portfolios", "Transaction")
        .objects.filter(
            Q(reference=F("portfolio__mandate__handover"))
            | Q(Exists(positions.filter(pk=OuterRef("reference")))),
            portfolio__mandate__in=list(mandates),
            portfolio__mandate__handover__value__isnull=False,
            reversed_by=None,
            retired_at=None,
        )
        .exclude(type="reversal")
        .order_by()
        .values_list(
            "portfolio",
            "portfolio__mandate",
            "portfolio__currency",
            "portfolio__mandate__handover__currency",
            "portfolio__mandate__handover__value",
        )
        .annotate(booked_in=Sum(ExpressionWrapper(booked_in * F("exchange_rate"), output_field=_MONEY)))
    )
    found = {}
    for portfolio, mandate, currency, of_handover, value, booked in taken:
        not_booked = coming.get(mandate, Decimal(0))
        rest = None if not_booked is None else value - not_booked
        given = convert(rest, of_handover, currency, known)
        if given is not None:
            found[portfolio] = given - booked
    return found


def _position(
    mandate: Mandate,
    portfolio: Any,
    latest: Any,
    start: Any,
    flows: Mapping[Any, Any],
    currency: str,
    known: Any,
    *,
    on_its_way: Decimal | None,
    correction: Decimal,
) -> Position:
    flow = flows.get(portfolio.pk, {"inflow": Decimal(0), "outflow": Decimal(0)})
    paid_in = flow["inflow"] - flow["outflow"] + (on_its_way or 0) + correction
    value = latest.market_value if latest else None
    if value is not None:
        value = None if on_its_way is None else value + on_its_way
    converted = convert(value, portfolio.currency, currency, known)
    problem = latest.problem if latest else _("Not valued yet.")
    if on_its_way is None:
        problem = _("The value of what is on its way is not known, or has no exchange rate.")
    if value is not None and converted is None:
        problem = _("There is no exchange rate for %(currency)s.") % {"currency": portfolio.currency}
    base = start.return_index if start else Decimal(1)
    return Position(
        mandate=mandate,
        portfolio=portfolio.pk,
        number=portfolio.number,
        currency=portfolio.currency,
        opened_on=portfolio.opened_on,
        as_of=latest.date if latest else None,
        value=value,
        converted=converted,
        paid_in=paid_in,
        gain=value - paid_in if value is not None else None,
        returned=latest.return_index / base - 1 if latest and value is not None and base else None,
        since=start.date if start else portfolio.opened_on,
        problem=problem,
        is_simulated=bool(latest and latest.has_simulated_prices),
        on_its_way=on_its_way or Decimal(0),
    )


def wealth_of(
    client: Client, mandates: Iterable[Mandate], since: datetime.date, known: Mapping[str, Decimal]
) -> Wealth:
    """Return what a client owns under these mandates, in the client's currency, in a fixed number of queries."""
    positions = positions_of(mandates, since, currency=client.currency, known=known)
    total = sum((each.converted for each in positions if each.converted is not None), Decimal(0))
    missing = next((each for each in positions if each.converted is None), None)
    paid = [convert(each.paid_in, each.currency, client.currency, known) for each in positions]
    is_known = bool(positions) and missing is None
    paid_in = sum((each for each in paid if each is not None), Decimal(0)) if is_known else None
    shown = tuple(_with_share(each, total) if is_known and total else each for each in positions)
    return Wealth(
        currency=client.currency,
        positions=shown,
        total=total if is_known else None,
        paid_in=paid_in,
        gain=total - paid_in if paid_in is not None else None,
        as_of=min((each.as_of for each in positions if each.as_of), default=None),
        problem=f"{missing.number}: {missing.problem}" if missing else "",
    )


def _with_share(position: Position, total: Decimal) -> Position:
    assert position.converted is not None
    return replace(position, share=position.converted / total)


def allocation(
    mandates: Sequence[Mandate], currency: str, known: Mapping[str, Decimal]
) -> list[tuple[str, Decimal]]:
    """Return what the portfolios hold by asset class, largest first, in ``currency``; cash by its own name."""
    holding = apps.get_model("portfolios", "Holding")
    security = apps.get_model("portfolios", "Security")
    labels = dict(security._meta.get_field("asset_class").flatchoices)
    rows = (
        holding.objects.current()
        .filter(portfolio__mandate__in=[mandate.pk for mandate in mandates], market_value__isnull=False)
        .order_by()
        .values_list("security__asset_class", "portfolio__currency")
        .annotate(total=Sum("market_value"))
    )
    sums: dict[str, Decimal] = {}
    for asset_class, of_currency, total in rows:
        amount = convert(total, of_currency, currency, known)
        if amount:
            name = str(labels.get(asset_class, asset_class)) if asset_class else _("Cash")
            sums[name] = sums.get(name, Decimal(0)) + amount
    coming = in_transit().filter(mandate__in=[mandate.pk for mandate in mandates])
    for of_currency, value in coming.values_list("currency", "coming"):
        name, amount = _("On its way"), convert(value, of_currency, currency, known)
        if amount:
            sums[name] = sums.get(name, Decimal(0)) + amount
    return sorted(sums.items(), key=lambda each: each[1], reverse=True)


def return_lines(
    mandates: Iterable[Mandate], since: datetime.date
) -> list[tuple[Mandate, list[tuple[str, float]]]]:
    """Return each mandate's return from ``since`` on as days and fractions, about 120 points a line."""
    by_id = {mandate.pk: mandate for mandate in mandates}
    rows: dict[Any, list[tuple[datetime.date, Decimal]]] = {}
    found = (
        apps.get_model("portfolios", "Valuation")
        .objects.current()
        .filter(portfolio__mandate__in=by_id, date__gte=since)
        .order_by("date")
        .values_list("portfolio__mandate", "date", "return_index", "portfolio__opened_on")
    )
    bases: dict[Any, Decimal] = {}
    for mandate, day, index, opened_on in found:
        rows.setdefault(mandate, []).append((day, index))
        # A line that begins with the portfolio counts its first day, as the return over the period does.
        bases.setdefault(mandate, Decimal(1) if since < day <= opened_on else index)
    return [(by_id[mandate], _thinned(points, bases[mandate])) for mandate, points in rows.items()]


def _thinned(points: list[tuple[datetime.date, Decimal]], base: Decimal) -> list[tuple[str, float]]:
    step = max(1, len(points) // 120)
    kept = [*points[:-1:step], points[-1]]
    return [(day.isoformat(), round(float(index / base - 1), 6)) for day, index in kept]
