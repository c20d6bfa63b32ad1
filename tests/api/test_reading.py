"""What is read through the API: the same rows as in the browser, page by page, as documented."""

import uuid
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client as Caller
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_tenants.utils import tenant_context

from accounts.models import Role, RoleAssignment, User
from accounts.pagination import Cursor
from clients.models import Client, Mandate
from federation.models import Institution, Proof, Stream
from models_portfolio.models import Adoption, ModelPortfolio, ModelVersion, Offer, Target, View
from portfolios.models import (
    Account,
    BankEntry,
    Benchmark,
    CorporateAction,
    Handover,
    Portfolio,
    Price,
)
from reporting import services
from reporting.models import Report
from tests.api.conftest import Call, assert_problem, rows
from tests.factories import Cast, cast
from tests.federation.agreements import make as agreements
from tests.portfolios import make as portfolios
from tests.reporting import make
from trading.models import Affirmation, Allocation, Block, Order, Proposal, Settlement

PATHS = (
    "clients/", "mandates/", "instructions/", "portfolios/", "accounts/", "holdings/", "transactions/", "valuations/",
    "bank-entries/", "corporate-actions/", "handovers/", "proposals/", "orders/", "blocks/", "executions/",
    "allocations/", "affirmations/", "settlements/", "securities/", "prices/", "exchange-rates/", "benchmarks/",
    "benchmark-values/", "offers/", "models/", "versions/", "views/", "adoptions/", "reports/", "releases/",
    "disclosures/",
)  # fmt: skip
# To who has none of their roles they are not there at all.
GUARDED = ("bank-entries/", "proposals/", "blocks/", "executions/")
# Everybody who signs in reads these, and these everybody with one of their roles, in whatever unit.
OPEN = ("securities/", "prices/", "exchange-rates/", "benchmarks/", "benchmark-values/")
SHARED = (*OPEN, "offers/", "models/", "versions/", "views/", "adoptions/")


def furnish(cast: Cast, number: int) -> Portfolio:
    """Add one of everything that hangs off a portfolio or a model."""
    client = make.client(cast.unit, name=f"Client {number}")
    mandate = make.mandate(client, number=f"M-{number}")
    mandate.instructions.create(kind="deposit", amount=1, currency="EUR")
    mandate.decisions.create(submission=1, outcome="accepted", decided_at="2026-01-01T00:00:00Z")
    portfolio = portfolios.portfolio(cast.unit, f"P-{number}", mandate=mandate)
    security = portfolios.security(f"US00000000{number:02}", f"Share {number}")
    portfolios.prices(security, {0: 10})
    Account.objects.create(portfolio=portfolio, kind="cash", number=f"A-{number}", currency="EUR")
    portfolio.holdings.create(
        security=security, currency="EUR", quantity=1, settled_quantity=1, as_of=portfolios.MONDAY
    )
    portfolio.valuations.create(date=portfolios.MONDAY, currency="EUR", market_value=5, is_latest=True)
    entry = portfolios.deposit(portfolio, 10)
    entry.save()
    BankEntry.objects.create(portfolio=portfolio, amount=10, currency="EUR", value_date=portfolios.MONDAY)
    CorporateAction.objects.create(
        portfolio=portfolio, security=security, kind="split", ex_date=portfolios.MONDAY, ratio=2
    )
    handover = Handover.objects.create(mandate=mandate, as_of=portfolios.MONDAY, currency="EUR")
    handover.positions.create(isin=security.isin, security_name=security.name, currency="EUR", quantity=1)
    proposal = Proposal.objects.create(portfolio=portfolio, reason="drift", made_by=cast.manager)
    proposal.lines.create(security=security, currency="EUR", reason="below_minimum")
    block = Block.objects.create(
        security=security, side="buy", currency="EUR", quantity=1, sent_at=timezone.now()
    )
    block.executions.create(quantity=1, price=1, executed_at=timezone.now(), reference=f"X-{number}")
    order = Order.objects.create(
        portfolio=portfolio, security=security, number=f"O-{number}", side="buy", quantity=1, currency="EUR",
        reason="drift", block=block,
    )  # fmt: skip
    allocation = Allocation.objects.create(
        order=order, portfolio=portfolio, quantity=1, price=1, currency="EUR", gross_amount=1, net_amount=1,
        trade_date=portfolios.MONDAY, settlement_date=portfolios.MONDAY,
    )  # fmt: skip
    Settlement.objects.create(allocation=allocation, portfolio=portfolio, expected_date=portfolios.MONDAY)
    Affirmation.objects.create(
        allocation=allocation, portfolio=portfolio, state="affirmed", at=timezone.now()
    )
    benchmark = Benchmark.objects.create(code=f"B{number}", name=f"Index {number}", currency="EUR")
    benchmark.values.create(date=portfolios.MONDAY, level=100)
    model = ModelPortfolio.objects.create(
        code=f"C{number}", name=f"Model {number}", currency="EUR", risk_level=4
    )
    Offer.objects.create(model=model, name=model.name, risk_level=4, currency="EUR")
    version = ModelVersion.objects.create(model=model, number=1, effective_from=portfolios.MONDAY)
    Target.objects.create(version=version, security=security, weight=1)
    Adoption.objects.create(version=version, decision="accepted", decided_at=timezone.now())
    View.objects.create(
        version=version, security=security, tilt=Decimal("0.01"), rationale="Up", valid_from=portfolios.MONDAY
    )
    report = Report.objects.create(
        portfolio=portfolio, number=f"R-{number}", title="Statement", state="ready", pdf=b"%PDF",
        period_from=portfolios.MONDAY, period_to=portfolios.MONDAY,
    )  # fmt: skip
    services.release_report(report=report, by=cast.advisor)
    Mandate.objects.filter(pk=mandate.pk).update(agreement=uuid.uuid4(), submitted_at=timezone.now())
    return portfolio


def test_a_list_takes_the_same_queries_for_many(in_aurora: Cast, aurora: Institution, call: Call) -> None:
    furnish(in_aurora, 1)
    portfolios.rates("CHF", {0: "0.9"})
    caller = call(aurora, in_aurora.operations)

    def queries(path: str) -> int:
        with tenant_context(aurora), CaptureQueriesContext(connection) as captured:
            assert rows(caller, path), path
        return len([each for each in captured if not each["sql"].startswith("SET ")])

    queries(PATHS[0])
    before = {path: queries(path) for path in PATHS}
    for number in range(2, 6):
        furnish(in_aurora, number)
    portfolios.rates("USD", {0: "1.1", 1: "1.2"})
    assert {path: queries(path) for path in PATHS} == before
    assert max(before.values()) <= 13


def test_each_row_is_at_the_address_of_its_id(in_aurora: Cast, aurora: Institution, call: Call) -> None:
    furnish(in_aurora, 1)
    portfolios.rates("CHF", {0: "0.9"})
    caller = call(aurora, in_aurora.operations)
    for path in PATHS:
        row = rows(caller, path)[0]
        again = caller.get(f"/api/v1/{path}{row['id']}/")
        assert again.status_code == 200, path
        assert row.items() <= again.json().items(), path
        assert_problem(caller.get(f"/api/v1/{path}{uuid.uuid4()}/"), 404, "not_found")


def test_what_is_out_of_reach_does_not_exist(in_aurora: Cast, aurora: Institution, call: Call) -> None:
    furnish(in_aurora, 1)
    reader, stranger = call(aurora, in_aurora.operations), call(aurora, in_aurora.stranger)
    elsewhere = User.objects.create(email="elsewhere@example.test", full_name="Elsewhere", password="!")
    for role in Role:
        RoleAssignment.objects.create(user=elsewhere, role=role, unit=in_aurora.other_unit)
    other = call(aurora, elsewhere)
    for path in PATHS:
        if path in OPEN:
            continue
        key = rows(reader, path)[0]["id"]
        if path in GUARDED:
            assert_problem(stranger.get(f"/api/v1/{path}"), 404, "not_found")
        else:
            assert rows(stranger, path) == [], path
        assert_problem(stranger.get(f"/api/v1/{path}{key}/"), 404, "not_found")
        if path not in SHARED:
            assert rows(other, path) == [], path
            assert_problem(other.get(f"/api/v1/{path}{key}/"), 404, "not_found")


def test_who_opens_no_page_of_it_does_not_read_it_here(
    in_aurora: Cast, aurora: Institution, call: Call
) -> None:
    furnish(in_aurora, 1)
    advisor, administrator = call(aurora, in_aurora.advisor), call(aurora, in_aurora.administrator)
    assert rows(advisor, "portfolios/")
    for path in (*GUARDED, "units/"):
        assert_problem(advisor.get(f"/api/v1/{path}"), 404, "not_found")
    assert {row["name"] for row in rows(administrator, "units/")} == {"Main", "Elsewhere"}
    # A block shows the sum of its orders: who does not see all of them does not see it.
    manager = call(aurora, in_aurora.manager)
    (block,) = rows(manager, "blocks/")
    assert [each["block"] for each in block["executions"]] == [block["id"]]
    portfolio = portfolios.portfolio(in_aurora.other_unit, "P-9")
    first = Order.objects.get()
    Order.objects.create(
        portfolio=portfolio, security=first.security, number="O-9", side="buy", quantity=1, currency="EUR",
        reason="drift", block=first.block,
    )  # fmt: skip
    assert rows(manager, "blocks/") == rows(manager, "executions/") == []
    assert len(rows(call(aurora, in_aurora.compliance), "blocks/")) == 1


def test_another_institution_has_nothing_of_it(
    in_aurora: Cast, aurora: Institution, borealis: Institution, call: Call
) -> None:
    furnish(in_aurora, 1)
    with tenant_context(borealis):
        operations = cast().operations
    caller = call(borealis, operations)
    for path in PATHS:
        assert rows(caller, path) == []


def test_amounts_are_strings_and_instants_are_in_utc(
    in_aurora: Cast, aurora: Institution, call: Call
) -> None:
    furnish(in_aurora, 1)
    caller = call(aurora, in_aurora.operations)
    (portfolio,) = rows(caller, "portfolios/")
    assert portfolio["latest_valuation"]["market_value"] == "5.0000"
    (holding,) = rows(caller, "holdings/")
    assert holding["quantity"] == "1.00000000"
    assert holding["market_value"] is None
    (client,) = rows(caller, "clients/")
    assert client["created_at"].endswith("Z")


def test_a_received_row_names_its_owner(
    in_harbour: Cast, harbour: Institution, aurora: Institution, call: Call
) -> None:
    received = portfolios.portfolio(mandate=make.mandate(make.client(in_harbour.unit)))
    make.received_report(received, aurora.pk)
    (report,) = rows(call(harbour, in_harbour.advisor), "reports/")
    assert report["origin"] == {"id": str(aurora.pk), "name": aurora.short_name}
    (portfolio,) = rows(call(harbour, in_harbour.advisor), "portfolios/")
    assert portfolio["origin"] is None


def test_pages_follow_each_other_both_ways_whatever_shares_a_value(
    in_aurora: Cast, aurora: Institution, call: Call
) -> None:
    for number in range(7):
        make.client(in_aurora.unit, name="Twin" if number < 5 else "Zoe", number=f"C-{number}")
    caller = call(aurora, in_aurora.operations)
    for ordering in ("name", "-name", "id", "-created_at"):
        seen, url = [], f"/api/v1/clients/?page_size=2&ordering={ordering}"
        while url:
            page = caller.get(url).json()
            seen.append([row["number"] for row in page["results"]])
            url, last = page["next"], page
        forth = [number for numbers in seen for number in numbers]
        assert sorted(forth) == [f"C-{number}" for number in range(7)]
        back, url = [seen[-1]], last["previous"]
        while url:
            page = caller.get(url).json()
            back.insert(0, [row["number"] for row in page["results"]])
            url = page["previous"]
        assert back == seen


@pytest.mark.parametrize(
    "query",
    [
        "ordering=national_id", "ordering=--name", "page_size=0", "page_size=x", "page_size=99999999999999",
        "page_size=000000500999999", "page_size=²", "cursor=x", "cursor=é", "cursor=W10", "kind=monster",
        "created_since=yesterday", "client=01a22d44-7cde-73e1-9868-e14456185e9d",
    ],
)  # fmt: skip
def test_a_question_that_makes_no_sense_is_named(
    query: str, in_aurora: Cast, aurora: Institution, call: Call
) -> None:
    body = assert_problem(call(aurora, in_aurora.operations).get(f"/api/v1/clients/?{query}"), 422, "invalid")
    assert body["errors"][0]["field"] == query.partition("=")[0]
    assert body["errors"][0]["message"]
    assert body["errors"][0]["remedy"]


@pytest.mark.parametrize("value", ["\ud800", "a\0"])
def test_a_cursor_whose_value_is_no_text_is_not_one_of_the_list(
    value: str, in_aurora: Cast, aurora: Institution, call: Call
) -> None:
    caller = call(aurora, in_aurora.administrator)
    for path, ordering in (
        ("clients", "name"), ("mandates", "number"), ("portfolios", "number"), ("orders", "number"),
        ("securities", "name"), ("exchange-rates", "currency"), ("offers", "name"), ("models", "code"),
        ("reports", "number"), ("agreements", "name"), ("benchmarks", "code"), ("units", "name"),
    ):  # fmt: skip
        cursor = Cursor(ordering, value, str(uuid.uuid4()), False)
        answer = caller.get(f"/api/v1/{path}/", {"ordering": ordering, "cursor": str(cursor)})
        assert assert_problem(answer, 422, "invalid")["errors"][0]["field"] == "cursor", path


def test_rows_are_filtered(in_aurora: Cast, aurora: Institution, call: Call) -> None:
    first, second = furnish(in_aurora, 1), furnish(in_aurora, 2)
    caller = call(aurora, in_aurora.operations)
    for path in (
        "holdings/", "transactions/", "valuations/", "orders/", "allocations/", "reports/", "proposals/",
        "corporate-actions/", "affirmations/",
    ):  # fmt: skip
        assert {row["portfolio"] for row in rows(caller, path, portfolio=first.pk)} == {str(first.pk)}
        assert {row["portfolio"] for row in rows(caller, path, client=second.mandate.client_id)} == {
            str(second.pk)
        }
    assert [row["name"] for row in rows(caller, "clients/", name="client 2")] == ["Client 2"]
    assert [row["number"] for row in rows(caller, "mandates/", client=first.mandate.client_id)] == ["M-1"]
    assert len(rows(caller, "mandates/", state="draft")) == 2
    assert rows(caller, "mandates/", state="active") == []
    assert rows(caller, "prices/", isin="US0000000001", date_from="2030-01-01") == []
    assert len(rows(caller, "reports/", is_released="true")) == 2
    assert len(rows(caller, "bank-entries/", portfolio=first.pk, state="unmatched")) == 1
    assert len(rows(caller, "handovers/", client=first.mandate.client_id)) == 1
    assert len(rows(caller, "disclosures/", client=first.mandate.client_id)) == 1
    assert len(rows(caller, "benchmark-values/", code="B1")) == 1


def test_agreements_and_streams_are_the_administrators(
    in_aurora: Cast, aurora: Institution, harbour: Institution, meadow: Institution, call: Call
) -> None:
    theirs = agreements.active(aurora, harbour)
    agreements.active(harbour, meadow)
    caller = call(aurora, in_aurora.administrator)
    (agreement,) = rows(caller, "agreements/")
    assert agreement["id"] == str(theirs.pk)
    assert agreement["channel"]["name"] == harbour.name
    assert agreement["versions"][0]["division"]
    for stream in rows(caller, "streams/"):
        assert str(aurora.pk) in (stream["owner"]["id"], stream["receiver"]["id"])
        assert (stream["standing"], stream["oldest_age_seconds"]) == ("waiting", None)
        # The log holds other clients' changes too: only its owner reads how many wait.
        assert stream["pending_rows"] == (0 if stream["owner"]["id"] == str(aurora.pk) else None)
        assert (stream["parked_rows"], stream["p95_ms"], stream["last_proof"]) == (0, None, None)
    for stream in Stream.objects.filter(agreement=theirs):
        Proof.objects.create(
            stream=stream, state="done", result="undecided", pending=7, finished_at=timezone.now()
        )
    pending = {each["owner"]["id"]: each["last_proof"]["pending"] for each in rows(caller, "streams/")}
    assert pending == {str(aurora.pk): 7, str(harbour.pk): None}
    assert rows(call(aurora, in_aurora.compliance), "agreements/")
    for path in ("agreements/", "streams/"):
        assert_problem(call(aurora, in_aurora.advisor).get(f"/api/v1/{path}"), 404, "not_found")


def test_a_report_is_read_with_its_figures_and_its_pdf(
    in_aurora: Cast, aurora: Institution, call: Call
) -> None:
    portfolio = make.portfolio_with_history(in_aurora.unit, by=in_aurora.manager)
    report = make.report(portfolio, by=in_aurora.manager)
    caller = call(aurora, in_aurora.advisor)
    figures = caller.get(f"/api/v1/reports/{report.pk}/").json()["figures"]
    assert figures["currency"] == "EUR"
    assert Decimal(figures["inflow"]) == 20_000
    pdf = caller.get(f"/api/v1/reports/{report.pk}/pdf/", headers={"accept": "application/pdf"})
    assert pdf["Content-Type"] == "application/pdf"
    assert pdf.content == bytes(report.pdf)
    stranger = call(aurora, in_aurora.stranger)
    assert_problem(stranger.get(f"/api/v1/reports/{report.pk}/pdf/"), 404, "not_found")


def test_retired_rows_are_in_no_list(in_aurora: Cast, aurora: Institution, call: Call) -> None:
    furnish(in_aurora, 1)
    Client.objects.update(retired_at="2026-01-01T00:00:00Z")
    Price.objects.update(retired_at="2026-01-01T00:00:00Z")
    caller = call(aurora, in_aurora.operations)
    assert rows(caller, "clients/") == []
    assert rows(caller, "prices/") == []


def test_the_browsers_session_reads_too(
    in_aurora: Cast, aurora: Institution, browse: Callable[..., Caller]
) -> None:
    furnish(in_aurora, 1)
    assert len(rows(browse(aurora, in_aurora.operations), "clients/")) == 1
