"""What each client of a list owns under all mandates, in the client's currency, and what all of them own.

Portfolios and valuations are known by name only: they belong to another app.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import (
    Case,
    CharField,
    Count,
    DecimalField,
    ExpressionWrapper,
    F,
    Max,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce

from clients.models import Client, Mandate
from clients.querysets import in_transit
from clients.wealth import convert

_MONEY = DecimalField(max_digits=24, decimal_places=4)
_RATE = DecimalField(max_digits=24, decimal_places=10)
_NOTHING = Decimal(0)
# An amount, or why there is none: a currency without a rate, or "" for a value.
Coming = Mapping[uuid.UUID, tuple[Decimal, str | None]]


@dataclass(frozen=True, slots=True)
class Overview:
    """How many clients there are, and the sum of what they own where all have one ``currency``.

    The sum leaves out the ``left_out`` clients, of whom something has no value, or no rate in ``without_rate``.
    """

    count: int
    currency: str | None
    total: Decimal | None = None
    left_out: int = 0
    without_rate: tuple[str, ...] = ()


def on_its_way(mandates: "QuerySet[Mandate]", known: Mapping[str, Decimal]) -> Coming:
    """Return by client what is on its way from one manager to the next under these mandates, in the client's currency."""
    coming: dict[uuid.UUID, tuple[Decimal, str | None]] = {}
    rows = in_transit().filter(mandate__in=mandates.values("pk"), mandate__client__isnull=False)
    for client, wanted, currency, value in rows.values_list(
        "mandate__client", "mandate__client__currency", "currency", "coming"
    ):
        sum_so_far, why = coming.get(client, (_NOTHING, None))
        amount = convert(value, currency, wanted, known)
        if amount is None:
            why = why or ("" if value is None else currency if currency not in known else wanted)
        coming[client] = sum_so_far + (amount or _NOTHING), why
    return coming


def with_total(
    clients: "QuerySet[Client]", mandates: "QuerySet[Mandate]", known: Mapping[str, Decimal], coming: Coming
) -> "QuerySet[Client]":
    """Annotate ``total``: the latest values of a client's portfolios under these mandates, in the client's currency.

    What is ``coming`` counts too. Null where there is no portfolio, and where any of
    it has no value or rate: then ``total_missing`` is the currency without a rate, or "" for a value.
    """
    wanted = ExpressionWrapper(OuterRef("currency"), output_field=CharField())
    wanted_rate = ExpressionWrapper(OuterRef("rate"), output_field=_RATE)
    portfolios = _portfolios(mandates).filter(mandate__client=OuterRef("pk"))
    held = _by_client(_converted(portfolios, wanted, wanted_rate, known))
    total: Any = Subquery(held.values("total"))
    missing: Any = Subquery(held.values("why"))
    if coming:
        # Seldom anything is, and it is few clients': no question to the database for each of the others.
        amounts = [When(pk=pk, then=Value(amount)) for pk, (amount, _why) in coming.items()]
        reasons = [When(pk=pk, then=Value(why)) for pk, (_amount, why) in coming.items()]
        unknown = [pk for pk, (_amount, why) in coming.items() if why is not None]
        total += Case(*amounts, default=Value(_NOTHING), output_field=_MONEY)
        total = Case(When(pk__in=unknown, then=None), default=total, output_field=_MONEY)
        missing = Coalesce(missing, Case(*reasons, default=None, output_field=CharField()))
    return clients.annotate(rate=_rate_of("currency", known), total_missing=missing, total=total)


def overview(
    clients: "QuerySet[Any]", mandates: "QuerySet[Mandate]", known: Mapping[str, Decimal], coming: Coming
) -> Overview:
    """Return how many these clients from ``with_total`` are and what they own, read by the portfolio, not by the client."""
    clients = clients.order_by()
    found = clients.aggregate(count=Count("pk"), low=Min("currency"), high=Max("currency"))
    if found["low"] is None or found["low"] != found["high"]:
        return Overview(found["count"], None)
    currency: str = found["low"]
    portfolios = _portfolios(mandates).filter(mandate__client__in=clients.values("pk"))
    rate = Value(known.get(currency), output_field=_RATE)
    rows = _by_client(_converted(portfolios, Value(currency), rate, known))
    if coming:
        rows = rows.exclude(client__in=list(coming))
    sums = rows.aggregate(
        sum=Sum("total"),
        left_out=Count("client", filter=Q(why__isnull=False)),
        codes=ArrayAgg("why", distinct=True, filter=Q(why__gt="")),
    )
    total, left_out, codes = sums["sum"], sums["left_out"], set(sums["codes"] or ())
    moving = clients.filter(pk__in=list(coming)).values_list("total", "total_missing") if coming else ()
    for amount, why in moving:
        if amount is not None:
            total = (total or _NOTHING) + amount
        left_out += why is not None
        codes |= {why} - {None, ""}
    return Overview(found["count"], currency, total, left_out, tuple(sorted(codes)))


def _portfolios(mandates: "QuerySet[Mandate]") -> "QuerySet[Any]":
    """Return the portfolios under these mandates with ``amount``, their latest value, and whose they are."""
    return (
        apps.get_model("portfolios", "Portfolio")
        .objects.current()
        .in_book()
        .filter(mandate__in=mandates.values("pk"))
        .order_by()
        .annotate(client=F("mandate__client"), amount=F("latest__market_value"))
    )


def _rate_of(currency: str, known: Mapping[str, Decimal]) -> Case:
    cases = [When(**{currency: code}, then=Value(rate, output_field=_RATE)) for code, rate in known.items()]
    return Case(*cases, default=None, output_field=_RATE)


def _converted(
    rows: "QuerySet[Any]", wanted: Any, wanted_rate: Any, known: Mapping[str, Decimal]
) -> "QuerySet[Any]":
    """Annotate ``converted``, the ``amount`` in the currency that is wanted, and ``missing``, why there is none."""
    needs_no_rate = Q(currency=F("wanted")) | Q(amount=0)
    return rows.annotate(wanted=wanted, wanted_rate=wanted_rate).annotate(
        converted=Case(
            When(needs_no_rate, then=F("amount")),
            default=F("amount") / _rate_of("currency", known) * F("wanted_rate"),
            output_field=_MONEY,
        ),
        missing=Case(
            When(amount=None, then=Value("")),
            When(needs_no_rate, then=None),
            When(~Q(currency__in=list(known)), then=F("currency")),
            When(wanted_rate=None, then=F("wanted")),
            default=None,
            output_field=CharField(),
        ),
    )


def _by_client(rows: "QuerySet[Any]") -> "QuerySet[Any]":
    """Return ``total`` of each client, and ``why`` there is none."""
    total = Case(When(why=None, then=Sum("converted")), default=None, output_field=_MONEY)
    return rows.values("client").annotate(why=Max("missing")).annotate(total=total)
