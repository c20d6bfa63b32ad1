"""A mandate of one manager, and the one by which another takes its portfolio over."""

import datetime
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection
from django.utils import timezone

from clients import services, totals, wealth
from clients.models import Client, ClientInstruction, Mandate, RiskProfile
from federation.models import Agreement
from portfolios.calculations.ledger import derive_positions
from portfolios.calculations.lots import CostMethod, Lot
from portfolios.models import (
    Handover,
    Portfolio,
    Price,
    PriceSource,
    Transaction,
    security_id,
)
from portfolios.services import book, refresh
from portfolios.services.entries import load_entries
from portfolios.services.handover import take_over
from tests import factories
from tests.federation.divisions import divided
from tests.federation.mirror import everything
from tests.federation.mirror.world import TODAY, World

D = Decimal
ISIN = "US0378331005"


@dataclass
class Journey:
    """A mandate that Aurora manages, and the one by which Borealis takes it over."""

    old: Mandate
    new: Mandate
    former: Portfolio
    second: Agreement


def price_at(world: World, schema: str, day: datetime.date, close: str, *, again: bool = False) -> None:
    security = world.security(schema)
    with world.within(schema):
        source, _ = PriceSource.objects.get_or_create(code="TEST", origin=None, defaults={"name": "Test"})
        if again:
            Price.objects.filter(security=security, source=source, date=day).delete()
        Price.objects.create(security=security, source=source, date=day, close=D(close), currency="EUR")


def last_weekday() -> datetime.date:
    """Return the last day up to today on which portfolios are valued whatever happens."""
    today = timezone.now().date()
    return today - datetime.timedelta(days=max(0, today.weekday() - 4))


def buy(portfolio: Portfolio, quantity: str, price: str, fees: str, day: datetime.date) -> Transaction:
    gross = D(quantity) * D(price)
    return Transaction(
        portfolio=portfolio, type="buy", trade_date=day, settlement_date=day, quantity=D(quantity), price=D(price),
        security_id=security_key(), currency="EUR", gross_amount=gross, fees=D(fees), net_amount=-gross - D(fees),
    )  # fmt: skip


def security_key() -> Any:
    return security_id(ISIN)


def begin(world: World, *, is_funded: bool = True, **who: str) -> Journey:
    """Have Aurora manage 100 @ 50 and 50 @ 60, bought on two days; start the mandate of the successor.

    ``who`` divides the successor's work otherwise; of one that is not funded nothing is booked.
    """
    first = world.agree("aurora")
    second = world.agree("borealis", division=divided(**who).division if who else None)
    plan = everything.offer(world, second, "borealis")
    mandate = world.mandate(first)
    world.drain()
    for day, close in (
        (TODAY, "50"),
        (TODAY + datetime.timedelta(days=1), "60"),
        (last_weekday(), "66"),
    ):
        price_at(world, "aurora", day, close)
    price_at(world, "borealis", last_weekday(), "66")
    with world.within("aurora"):
        cast = factories.cast()
        services.accept_mandate(mandate=Mandate.objects.get(pk=mandate.pk), by=cast.manager, unit=cast.unit)
        portfolio = Portfolio.objects.get()
        Portfolio.objects.update(opened_on=TODAY)
        portfolio.refresh_from_db()
        deposit = Transaction(
            portfolio=portfolio, type="deposit", trade_date=TODAY, settlement_date=TODAY, currency="EUR",
            gross_amount=D(10_000), net_amount=D(10_000),
        )  # fmt: skip
        entries = [
            deposit,
            buy(portfolio, "100", "50", "10", TODAY),
            buy(portfolio, "50", "60", "5", TODAY + datetime.timedelta(days=1)),
        ]
        book(entries=entries if is_funded else [], by=cast.manager)
        refresh(portfolio_ids=[portfolio.pk], from_date=datetime.date.min)
    world.drain()
    with world.within("harbour"):
        old = Mandate.objects.get(pk=mandate.pk)
        client = old.client
        assert client is not None
        new = services.start_mandate(client=client, by=factories.cast().advisor, predecessor=old)
        new.agreement, new.offer, new.offer_name, new.amount = second.pk, plan.pk, plan.name, D(10_000)
        new.risk_profile = client.risk_profiles.first()
        new.save()
    return Journey(old, new, portfolio, second)


def submit(world: World, mandate: Mandate, **more: Any) -> None:
    today = timezone.localdate()
    with world.within("harbour"):
        RiskProfile.objects.update(valid_until=today + datetime.timedelta(days=100))
        services.submit_mandate(
            mandate=mandate,
            by=factories.cast().advisor,
            signed_on=today,
            disclosure_authorised_on=today,
            **more,
        )
    world.drain()


def accept_at(world: World, journey: Journey) -> Portfolio:
    """Submit the new mandate and have the successor accept it."""
    submit(world, journey.new)
    with world.within("borealis"):
        cast = factories.cast()
        services.accept_mandate(mandate=Mandate.objects.get(), by=cast.manager, unit=cast.unit)
        portfolio = Portfolio.objects.own().get()
    world.settle_down()
    return portfolio


def instruct_out(world: World, journey: Journey) -> None:
    """Have the advisor ask the former manager to transfer out and close."""
    with world.within("harbour"):
        by = factories.cast().advisor
        instruction = services.draft_instruction(
            mandate=Mandate.objects.get(pk=journey.old.pk), kind=ClientInstruction.Kind.TRANSFER_OUT, by=by
        )
        services.send_instruction(instruction=instruction, by=by)
    world.settle_down()


def book_out(world: World, journey: Journey) -> None:
    """Have the advisor ask for it, and the former manager transfer out and close."""
    instruct_out(world, journey)
    with world.within("aurora"):
        for outcome in ("accepted", "done"):
            services.record_outcome(
                instruction=ClientInstruction.objects.get(), outcome=outcome, by=factories.cast().operations
            )
    world.settle_down()


def begin_on_its_way(world: World) -> Journey:
    """Have the successor accept and the former manager book out what nobody has taken over yet."""
    journey = begin(world)
    accept_at(world, journey)
    book_out(world, journey)
    return journey


def take_over_at(world: World, journey: Journey) -> Portfolio:
    """Have the successor accept, the former manager book out, and whoever settles book what was booked out."""
    portfolio = accept_at(world, journey)
    book_out(world, journey)
    version = Agreement.objects.get(pk=journey.second.pk).version
    assert version is not None
    settler = version.division["settlement"]
    with world.within("borealis" if settler == "manager" else "harbour"):
        take_over(handover=Handover.objects.get(mandate=journey.new.pk), by=factories.cast().operations)
    world.settle_down()
    return portfolio


def lots_of(world: World, schema: str, portfolio: Portfolio, method: CostMethod) -> list[Lot]:
    with world.within(schema):
        entries = load_entries([portfolio.pk])[portfolio.pk]
        held = derive_positions(entries, as_of=timezone.now().date(), method=method).holdings
        return list(held[security_key()].lots)


def everything_in(schema: str) -> str:
    """Return all that stands in a schema's tables, to search it."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [schema])
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT coalesce(json_agg(t)::text, \'\') FROM "{schema}"."{table}" t')
            found.append(cursor.fetchone()[0])
    return "".join(found)


def advisor_of_all() -> Any:

    cast = factories.cast()
    Client.objects.own().update(unit=cast.unit)
    return cast.advisor


def total_of(clients: Any) -> Any:
    """Return what one client owns, having seen that the sum of the list is the same."""
    mandates, known = Mandate.objects.all(), wealth.rates()
    coming = totals.on_its_way(mandates, known)
    rows = totals.with_total(clients, mandates, known, coming)
    total = rows.get().total
    found = totals.overview(rows, mandates, known, coming)
    assert (found.count, found.total, found.left_out) == (1, total, int(total is None))
    return total


def owned_in_all(world: World, journey: Journey) -> wealth.Wealth:
    """Return what the client owns, having seen that lists, charts and mandates add up to the same."""
    with world.within("harbour"):
        client = Mandate.objects.get(pk=journey.new.pk).client
        assert client is not None
        mandates = list(Mandate.objects.filter(client=client))
        owned = wealth.wealth_of(client, mandates, TODAY, wealth.rates())
        assert sum(each.share or 0 for each in owned.positions) == 1
        assert total_of(Client.objects.filter(pk=client.pk)) == owned.total
        assert (
            sum(amount for _name, amount in wealth.allocation(mandates, "EUR", wealth.rates())) == owned.total
        )
        assert (
            sum(each.value or 0 for each in Mandate.objects.filter(client=client).with_book()) == owned.total
        )
        return owned
