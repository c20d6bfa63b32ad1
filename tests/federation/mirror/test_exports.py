"""Exports of every list of the platform: bare values, no markup."""

import csv
import datetime
import io
import re
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from django.test import Client as Browser
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from openpyxl import load_workbook

from accounts.columns import DateColumn, MomentColumn, _Figure
from accounts.lists import ListView, header_text
from accounts.models import ApiToken, Job, Role, RoleAssignment, User, audit
from clients.models import Client, ClientInstruction, KycStatus, Mandate
from federation.agreements import sealing, timeline
from federation.models import Agreement, ParkedRow, Proof, SealedErasure, Stream, Suspension
from federation.scope import PRESETS
from models_portfolio.models import Adoption, ModelPortfolio, ModelVersion
from portfolios.models import (
    BankEntry,
    Holding,
    ImportBatch,
    Portfolio,
    PriceSource,
    Security,
    Transaction,
    Valuation,
)
from reporting.models import Report
from tests import factories
from tests.factories import create_token
from tests.federation.mirror.everything import everything, offer
from tests.federation.mirror.sealing import cut, sealed_at
from tests.federation.mirror.world import World
from trading.models import Order, Proposal, Settlement

# Entered by people, and to be given back as it is.
NAME, NOTE = "Zoë <b>Müller</b> & Söhne", "<i>Known</i> & accepted"
FIGURE = re.compile(r"-?\d+(\.\d+)?(E[+-]?\d+)?")
# A list without the page around it.
ROWS = {"HX-Request": "true", "HX-Target": "list-rows"}
MARKUP = re.compile(r"</?[a-z][^>]*>|&[#\w]+;")


def lists(patterns: Any = None, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path of every list that can be exported, and what its id names."""
    for pattern in get_resolver("config.urls").url_patterns if patterns is None else patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from lists(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            view = getattr(pattern.callback, "view_class", None)
            if (view and issubclass(view, ListView)) or pattern.name == "portfolio_holdings":
                yield f"/{route}", route.partition("/")[0] if "<" in route else ""


def person(world: World, schema: str) -> User:
    """Return somebody with every role."""
    with world.within(schema):
        user = User.objects.create(
            email="all@example.test", full_name=NAME, job_title=NAME, last_login=timezone.now(), password="!"
        )
        for role in Role.values:
            RoleAssignment.objects.create(user=user, role=role, unit=None)
    return user


def fill(world: World, schema: str, user: User) -> None:
    """Write into what is empty so far, and add what no mirror carries."""
    now, day = timezone.now(), timezone.localdate()
    with world.within(schema):
        Client.objects.own().update(
            name=NAME, advisor_name=NAME, next_review_date=day, kind="person", status="client"
        )
        for client in Client.objects.own().filter(kyc=None):
            KycStatus.objects.create(client=client, state="approved")
        KycStatus.objects.own().update(valid_until=day)
        Mandate.objects.own().update(
            amount=Decimal("5000.25"), currency="EUR", offer_name=NAME, disclosure_text="2026-01"
        )
        ClientInstruction.objects.own().update(wanted_date=day, sent_by_name=NAME)
        Portfolio.objects.own().update(manager_name=NAME)
        Holding.objects.own().update(
            price=10, price_date=day, price_source_name="Free", is_price_simulated=True, average_cost=8,
            book_cost=800, market_value=1000, weight=Decimal("0.5"), quantity=100, problem=NOTE,
        )  # fmt: skip
        Valuation.objects.own().update(drift=Decimal("0.01"), cash_value=10)
        Order.objects.own().update(sent_at=now, average_price=10, estimated_amount=99)
        Settlement.objects.own().update(failure_reason=NOTE, state="failed", settled_on=day)
        for portfolio in Portfolio.objects.own():
            security = world.security(schema, uuid.uuid4().hex[:12].upper(), name=NAME, ticker="ABC")
            Transaction.objects.create(
                portfolio=portfolio, type="sell", trade_date=day, settlement_date=day, security=security,
                quantity=-1, price=10, gross_amount=10, fees=1, taxes=1, net_amount=8, currency="EUR",
            )  # fmt: skip
            Transaction.objects.create(
                portfolio=portfolio, type="currency_exchange", trade_date=day, settlement_date=day, quantity=0,
                gross_amount=-10, net_amount=-10, currency="EUR", counter_amount=11, counter_currency="USD",
            )  # fmt: skip
            Proposal.objects.create(
                portfolio=portfolio, reason="drift", made_by=user, turnover=Decimal("0.1"),
                drift_before=Decimal("0.2"), drift_after=0,
            )  # fmt: skip
            BankEntry.objects.create(
                portfolio=portfolio, amount=5, currency="EUR", value_date=day, payer=NAME, reference="=1"
            )
            BankEntry.objects.create(amount=5, currency="EUR", value_date=day)
            Report.objects.create(
                portfolio=portfolio, number=f"R-{portfolio.number}", title=NAME, period_from=day, period_to=day,
                state="ready", pdf=b"%PDF", made_at=now,
            )  # fmt: skip
        for source in PriceSource.objects.own():
            for name in ("prices", "rates"):
                ImportBatch.objects.create(
                    kind=name, file_name=NAME, content=b"", source=source, state="done", created_by_name=NAME
                )
        Job.objects.create(
            kind="test", title=NAME, created_by=user, finished_at=now, failures=[{"what": NAME}], total=1
        )
        token, _text = create_token(
            user=user, name=NAME, may_write=True, expires_at=now + datetime.timedelta(days=1), by=user
        )
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
        audit("test.done", user, by=user, data=NAME)
        for model in ModelPortfolio.objects.own():
            ModelVersion.objects.create(model=model, number=9, effective_from=day)
        for version in ModelVersion.objects.received().filter(state="published"):
            Adoption.objects.create(version=version, decision="accepted", decided_at=now)


def leave_open(world: World, agreement: Agreement) -> None:
    """Park a row of each mirror, compare both sides, have a change wait, and what else lists say of a partnership."""
    now = timezone.now()
    with world.within("harbour"):
        harbour = world.institution("harbour")
        by = factories.cast().administrator
        timeline.record(timeline.EventKind.DECLINED, agreement, by=by, institution=harbour, note=NOTE)
        Client.objects.own().update(language="de")
        Security.objects.exclude(isin=None).update(name="Called otherwise")
    agreement.versions.update(in_force_from=now - datetime.timedelta(days=1))
    Suspension.objects.create(
        agreement=agreement, institution=harbour, what=Suspension.What.EVERYTHING, suspended_at=now,
        suspended_by_name=NAME, resumed_at=now + datetime.timedelta(minutes=1),
    )  # fmt: skip
    Stream.objects.filter(agreement=agreement).update(problem="column unknown", problem_at=now)
    for stream in Stream.objects.filter(agreement=agreement):
        ParkedRow.objects.get_or_create(
            stream=stream, kind="clients.Client", key=stream.pk,
            defaults={
                "reason": "client_number_unique_per_owner", "retry_at": now, "skipped_at": now,
                "skipped_by": stream.owner, "skipped_by_name": NAME, "skip_reason": NOTE,
            },
        )  # fmt: skip
        Proof.objects.get_or_create(stream=stream, defaults={"state": "done", "result": "equal", "at": now})


def end(world: World, agreement: Agreement) -> None:
    """Cut off an agreement under which a mandate was managed, hold what is kept, and erase one of two."""
    agreement.versions.update(in_force_from=timezone.now() - datetime.timedelta(days=1))
    mandates = [world.mandate(agreement) for _ in range(2)]
    world.drain()
    for mandate in mandates:
        world.decide(mandate, "accepted")
        world.portfolio(mandate)
    world.drain()
    with world.within("harbour"):
        Mandate.objects.filter(pk__in=[mandate.pk for mandate in mandates]).update(disclosure_text="2026-01")
    cut(world, agreement)
    SealedErasure.objects.create(sealed=sealed_at(agreement, "aurora"), mandate=mandates[0].pk)
    aurora = world.institution("aurora")
    with world.within("aurora"):
        by = factories.cast().compliance
        sealing.place_hold(
            sealed_at(agreement, "aurora"), by=by, institution=aurora, reason="A lawsuit.",
            until=timezone.localdate() + datetime.timedelta(days=1),
        )  # fmt: skip


def rows_of(answer: Any, kind: str) -> list[list[Any]]:
    """Return the rows of an export; figures of a CSV, which has only text, as numbers."""
    if kind == "xlsx":
        sheet = load_workbook(io.BytesIO(answer.content)).active
        return [list(row) for row in sheet.iter_rows(values_only=True)]
    lines = csv.reader(io.StringIO(answer.content.decode("utf-8-sig")))
    return [[Decimal(cell) if FIGURE.fullmatch(cell) else cell for cell in line] for line in lines]


def is_empty(cell: Any) -> bool:
    return cell in (None, "")


def is_number(cell: Any) -> bool:
    return isinstance(cell, int | float | Decimal)


def is_day(cell: Any) -> bool:
    # A workbook's cell of a day holds its midnight.
    if isinstance(cell, datetime.datetime):
        return cell.time() == datetime.time.min
    return isinstance(cell, datetime.date) or re.fullmatch(r"\d{4}-\d\d-\d\d", cell) is not None


def is_moment(cell: Any) -> bool:
    if isinstance(cell, datetime.datetime):
        return cell.tzinfo is None
    return isinstance(cell, str) and "T" in cell and datetime.datetime.fromisoformat(cell).tzinfo is not None


BARE = {_Figure: is_number, DateColumn: is_day, MomentColumn: is_moment}


def faults(table: Any, headers: list[Any], rows: list[list[Any]], kind: str) -> Iterator[str]:
    """Yield the cells of an export that hold markup, or words where a number, day or instant belongs.

    A workbook has instants as such, in UTC as the heading says.
    """
    is_workbook = kind == "xlsx"
    columns = {header_text(table, bound): bound.column for bound in table.columns.iterall()}
    if is_workbook:
        moments = {name for name, column in columns.items() if isinstance(column, MomentColumn)}
        columns = {f"{name} (UTC)" if name in moments else name: column for name, column in columns.items()}
    for row in rows:
        for header, cell in zip(headers, row, strict=True):
            if is_empty(cell):
                continue
            text = str(cell).replace(NAME, "").replace(NOTE, "")
            if MARKUP.search(text) or "Müller" in text or "Known" in text:
                yield f"{header}: {cell}"
            if is_workbook and isinstance(cell, str) and re.fullmatch(r"\d{4}-\d\d-\d\d(T[\d:+.]+)?", cell):
                yield f"{header}: {cell!r} is text"
            for type_, holds in BARE.items():
                if isinstance(columns.get(header), type_) and not holds(cell):
                    yield f"{header}: {cell!r} is not bare"


def test_no_list_exports_markup_and_figures_days_and_instants_are_bare(world: World) -> None:
    agreement = world.agree(division={**PRESETS["closed"].division, "settlement": "channel"})
    end(world, world.agree())
    offer(world, world.agree(preset="advice"))
    everything(world, agreement)
    valueless = world.mandate(agreement)
    world.drain()
    world.portfolio(valueless)
    world.drain()
    people = {schema: person(world, schema) for schema in ("aurora", "harbour")}
    for schema, user in people.items():
        fill(world, schema, user)
    world.drain()
    leave_open(world, agreement)
    found, columns, filled = [], set(), set()
    for schema, user in people.items():
        with world.within(schema):
            named = {
                "portfolios": Portfolio.objects.exclude(holdings=None).first(), "agreements": agreement,
                "mirrors": world.stream(agreement, schema),
            }  # fmt: skip
            browser = Browser(headers={"host": f"{schema}.localhost"})
            browser.force_login(user)
        for route, name in lists():
            path = route.replace("<uuid:pk>", str(named[name].pk)) if name else route
            table = browser.get(path, headers=ROWS).context["table"]
            for kind in ("csv", "xlsx"):
                headers, *rows = rows_of(browser.get(path, {"_export": kind}), kind)
                found += [f"{schema} {route} {kind}: {fault}" for fault in faults(table, headers, rows, kind)]
                names = [f"{route} {header.partition(' (')[0]}" for header in headers]
                columns |= set(names)
                filled |= {
                    name for row in rows for name, cell in zip(names, row, strict=True) if not is_empty(cell)
                }
    assert found == []
    assert columns - filled == set(), "nothing shows how they are exported"
