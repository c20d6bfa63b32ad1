"""What is sealed shows nowhere: every page, export and list of the API is read, and searched for it."""

import re
from collections.abc import Iterator
from decimal import Decimal
from html import unescape

from django.core.cache import cache
from django.test import Client as Browser

from accounts.models import User
from clients.models import Client, ClientInstruction
from federation.models import Agreement
from portfolios.models import Account, Holding, Portfolio, Transaction, Valuation
from tests import factories
from tests.federation.mirror.everything import everything
from tests.federation.mirror.test_sealing import cut
from tests.federation.mirror.world import TODAY, World

_LINK = re.compile(r'(?:href|hx-get|src|data-url)="(/[^"#]*)"')
# What leads on without end, or away.
_SKIPPED = re.compile(r"^/(static|media|accounts/logout|i18n|design|help)")
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
LISTS = (
    "accounts", "affirmations", "allocations", "clients", "holdings", "instructions", "mandates", "offers", "orders",
    "portfolios", "reports", "securities", "settlements", "transactions", "valuations",
)  # fmt: skip


def _read(browser: Browser, most: int = 150, *, is_admin: bool = False) -> Iterator[tuple[str, bytes]]:
    """Follow links from the front page, a few of each shape; then the lists of the API and exports."""
    waiting = ["/", *(f"/api/v1/{name}/" for name in LISTS), "/search/?q=Hidden", "/search/?q=H"]
    if is_admin:
        waiting = ["/admin/"]
    seen: set[str] = set()
    shapes: dict[str, int] = {}
    while waiting and len(seen) < most:
        path = waiting.pop(0)
        shape = _ID.sub("<id>", path.split("=")[0])
        if path in seen or _SKIPPED.match(path) or shapes.get(shape, 0) >= 3:
            continue
        seen.add(path)
        shapes[shape] = shapes.get(shape, 0) + 1
        cache.clear()
        answer = browser.get(path)
        assert answer.status_code < 500, path
        body = answer.getvalue()
        yield path, body
        if answer.status_code == 302:
            waiting.append(answer["Location"])
        elif answer["Content-Type"].startswith("text/html"):
            links = {unescape(link) for link in _LINK.findall(body.decode())}
            waiting += sorted(links)
            if b"_export=csv" in body:
                waiting.append(f"{path.partition('?')[0]}?_export=csv")


def _hide(world: World, agreement: Agreement) -> list[bytes]:
    """Mirror everything under an agreement with contents that are told from all others."""
    everything(world, agreement)
    with world.within("harbour"):
        Client.objects.update(
            name="Hidden Person",
            advisor=factories.cast().advisor,
            status="client",
            unit=factories.cast().unit,
        )
        ClientInstruction.objects.update(note="Hidden wish")
    with world.within("aurora"):
        Portfolio.objects.own().update(name="Hidden portfolio", number="HIDDEN-1")
        Valuation.objects.own().update(market_value=Decimal("7654321"), return_index=Decimal("1.8765"))
        Transaction.objects.create(
            portfolio=Portfolio.objects.own().get(),
            type="deposit",
            trade_date=TODAY,
            settlement_date=TODAY,
            currency="EUR",
            gross_amount=5432198,
            net_amount=5432198,
            text="Hidden booking",
        )
        Holding.objects.own().update(market_value=Decimal("7654321"), quantity=Decimal("87654"))
        Account.objects.own().update(number="HIDDEN-ACCOUNT")
    world.drain()
    world.assert_in_step(agreement)
    return [
        rb"HIDDEN-1",
        rb"HIDDEN-ACCOUNT",
        rb"Hidden portfolio",
        rb"Hidden booking",
        rb"7.?654.?321",
        rb"7[.,]65\D?M",
        rb"87.?65 ?%",
        rb"5.?432.?198",
        rb"87.?654\b",
    ]


def _found(people: list[User], schema: str, patterns: list[bytes]) -> set[tuple[str, str, str]]:
    found = set()
    for person in people:
        browser = Browser(headers={"host": f"{schema}.localhost"})
        browser.force_login(person)
        for path, body in _read(browser, is_admin=person.is_superuser):
            for pattern in patterns:
                hit = re.search(pattern, body)
                if hit:
                    found.add((person.full_name, path, hit.group().decode()))
    return found


def test_nothing_sealed_shows_on_any_page_at_either_party(world: World) -> None:
    agreement = world.agree()
    managed = _hide(world, agreement)
    with world.within("harbour"):
        cast = factories.cast()
        everybody = [cast.advisor, cast.compliance]
        assert _found(everybody[:1], "harbour", managed), "before the end it shows"
    cut(world, agreement)
    with world.within("harbour"):
        everybody.append(User.objects.create_superuser("root@example.test", "!", full_name="Root"))
        assert _found(everybody, "harbour", managed) == set()
    with world.within("aurora"):
        cast = factories.cast()
        everybody = [cast.manager, cast.compliance, cast.operations]
        everybody.append(User.objects.create_superuser("root@example.test", "!", full_name="Root"))
        assert _found(everybody, "aurora", [rb"Hidden Person", rb"Hidden wish", rb"Unmistakable"]) == set()
