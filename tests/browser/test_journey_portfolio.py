"""The journey goes on: money is invested, reported and advised on, and the switch stops it all.

The parts follow upon those of test_journey.py, and are run with it::

    pytest tests/browser/test_journey.py tests/browser/test_journey_portfolio.py
"""

import re
import time
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import Model
from django_tenants.utils import tenant_context
from playwright.sync_api import expect
from pypdf import PdfReader

from clients.models import ClientInstruction, InstructionOutcome
from models_portfolio.models import ModelVersion
from portfolios.models import Holding, Portfolio, Transaction, Valuation
from reporting.models import Report
from tests.browser.journey import Journey, button, link, one, rows, section
from tests.browser.people import People
from tests.browser.processes import Platform
from tests.browser.scenario import Scenario, institution, until
from tests.browser.traces import Traffic, columns_with, found_in
from tests.portfolios.make import today
from trading.models import Allocation, Order, Proposal, Settlement

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.usefixtures("faultless"),
]


@pytest.fixture(autouse=True)
def begun(journey: Journey) -> None:
    """Say at once, before anything is started, that the journey has no beginning."""
    if journey.portfolio is None:
        pytest.fail(
            f"Nobody has opened a portfolio yet: run or mend tests/browser/test_journey.py first. {__doc__}"
        )


# 3. Money comes, is invested, and the channel watches


def test_arrived_cash_answers_the_channels_deposit_instruction(people: People, journey: Journey) -> None:
    advisor, operations = people("harbour", "advisor"), people("aurora", "operations")
    page = advisor.go(f"/mandates/{journey.mandate.pk}/")
    button(page, "New instruction").click()
    link(page, "Deposit").first.click()
    page.get_by_label("Amount").fill("100,000")
    button(page, "Send").click()
    instruction = until(
        "the instruction at Aurora",
        lambda: one("aurora", ClientInstruction, mandate=journey.mandate.pk, status="sent"),
    )

    desk = operations.go("/cash/")
    expect(desk.get_by_role("row").filter(has_text=instruction.reference)).to_contain_text(journey.ada.name)
    link(desk, "Enter arrived cash").click()
    desk.get_by_label("Amount", exact=True).fill("100000")
    desk.get_by_label("Currency", exact=True).fill("EUR")
    desk.get_by_label("Payer", exact=True).fill(journey.ada.name)
    desk.get_by_label("Payment reference", exact=True).fill(instruction.reference)
    button(desk, "Enter").click()
    expect(desk.get_by_role("main")).to_contain_text("the same reference")
    button(desk, "Confirm match").click()
    expect(desk.get_by_text("Booked into")).to_be_visible()

    expect(page.get_by_role("main")).to_contain_text("Done")
    outcome = one("harbour", InstructionOutcome, instruction=instruction.pk, outcome="done")
    assert outcome.amount == 100_000


def test_one_proposes_another_approves_and_the_channel_follows_the_fills(
    people: People, journey: Journey
) -> None:
    portfolio = journey.portfolio
    advisor, manager = people("harbour", "advisor"), people("aurora", "manager")
    second = people("aurora", "second_manager")
    page = manager.go("/book/")
    link(page, portfolio.number, exact=False).first.click()
    button(page, "Propose").click()
    expect(page.get_by_role("table").first).to_contain_text("Core MSCI World")
    button(page, "Submit for approval").click()
    expect(page.get_by_text("You worked on this, so somebody else has to approve it.")).to_be_visible()
    expect(button(page, "Approve")).to_have_count(0)
    proposal = one("aurora", Proposal, portfolio=portfolio.pk)
    assert manager.post(f"/proposals/{proposal.pk}/approve/", revision=1, note="mine").status == 409
    assert one("aurora", Proposal, pk=proposal.pk).state == "proposed"

    page = second.go("/proposals/")
    link(page, portfolio.number).click()
    button(page, "Approve").click()
    expect(page.get_by_role("heading", name="Orders")).to_be_visible()
    order = until(
        "the first order at Harbour",
        lambda: one("harbour", Order, portfolio=portfolio.pk, security__name="Core MSCI World"),
    )
    followed = advisor.go("/orders/")
    link(followed, order.number).click()
    expect(followed.get_by_role("note")).to_contain_text("Received from Aurora")
    expect(followed.get_by_role("main")).to_contain_text("Nothing is filled yet.")

    page.get_by_label("Fill in parts").fill("4")
    button(page, "Send to the market").click()
    expect(page.get_by_text("4 orders sent")).to_be_visible()
    expect(followed.get_by_role("main")).to_contain_text("Partly filled")
    assert 0 < one("harbour", Order, pk=order.pk).filled_quantity < order.quantity
    expect(followed.locator("#order")).to_contain_text(re.compile(r"100\s?%"))
    until(
        "all fills at Harbour",
        lambda: {order.state for order in _orders("harbour", portfolio)} == {"filled"},
    )
    assert len(_orders("harbour", portfolio)) == len(_orders("aurora", portfolio)) == 4
    assert len(rows("harbour", Allocation.objects.filter(order=order.pk))) == 4


def test_operations_settle_and_the_channel_has_the_same_books(people: People, journey: Journey) -> None:
    portfolio = journey.portfolio
    followed = people("harbour", "advisor").page
    order = one("aurora", Order, portfolio=portfolio.pk, security__name="Core MSCI World")
    assert rows("harbour", Settlement.objects.filter(portfolio=portfolio.pk, state="settled")) == []
    desk = people("aurora", "operations").go("/settlements/")
    row = desk.get_by_role("row").filter(has_text=order.number).first
    button(row, "Settle now").click()
    expect(desk.get_by_text("Settled.", exact=True)).to_be_visible()
    until(
        "the settlement at Harbour",
        lambda: one("harbour", Settlement, portfolio=portfolio.pk, state="settled"),
    )
    followed.reload()
    expect(followed.get_by_role("main")).to_contain_text("Settled")
    _harbour_has_what_aurora_has(people, portfolio)


def _orders(schema: str, portfolio: Portfolio) -> list[Order]:
    return rows(schema, Order.objects.filter(portfolio=portfolio.pk))


def _harbour_has_what_aurora_has(people: People, portfolio: Portfolio) -> None:
    facts = {
        Transaction: ("id", "type", "security_id", "quantity", "price", "net_amount", "trade_date"),
        Holding: ("id", "security_id", "currency", "quantity", "settled_quantity", "market_value"),
        Valuation: ("id", "date", "market_value", "cash_value"),
    }

    def read(schema: str, model: type[Model]) -> list[Any]:
        with tenant_context(institution(schema)):
            found = model._default_manager.filter(portfolio=portfolio.pk).order_by("pk")
            return list(found.values_list(*facts[model]))

    for model in facts:
        assert read("aurora", model)
        until(
            f"{model._meta.verbose_name_plural} in step",
            lambda model=model: read("harbour", model) == read("aurora", model),
        )
    page = people("harbour", "advisor").go(f"/portfolios/{portfolio.pk}/holdings/")
    expect(page.get_by_role("main")).to_contain_text("Core MSCI World")
    link(page, "Transactions").click()
    expect(page.get_by_role("main")).to_contain_text("Deposit")
    expect(page.get_by_role("main")).to_contain_text("Core MSCI World")
    link(page, "Overview").click()
    expect(page.locator(".tiles")).to_contain_text("Value")


def test_the_channel_can_change_nothing_of_what_it_follows(people: People, journey: Journey) -> None:
    portfolio = journey.portfolio
    order = _orders("harbour", portfolio)[0]
    settlement = one("harbour", Settlement, portfolio=portfolio.pk, state="pending")
    transaction_row = one("harbour", Transaction, portfolio=portfolio.pk)
    holding = one("harbour", Holding, portfolio=portfolio.pk, security__isnull=False)
    for role in ("advisor", "manager", "operations"):
        person = people("harbour", role)
        for path in (f"/portfolios/{portfolio.pk}/", f"/orders/{order.pk}/", "/settlements/"):
            page = person.go(path) if person.get(path).status == 200 else None
            for name in ("Propose", "Cancel what is left", "Settle now", "Record failure"):
                assert page is None or button(page, name).count() == 0, (role, path, name)
        for path, data in (
            ("/proposals/propose/", {"portfolio": portfolio.pk}),
            (f"/orders/{order.pk}/cancel/", {}),
            ("/orders/send/", {"choose": order.pk, "fill_parts": 1}),
            (f"/settlements/{settlement.pk}/", {"action": "settle"}),
            (f"/transactions/{transaction_row.pk}/reverse/", {"text": "no"}),
        ):
            person.post(path, **data)
    assert one("harbour", Settlement, pk=settlement.pk).state == "pending"
    assert rows("harbour", Proposal.objects.filter(portfolio=portfolio.pk)) == []
    assert len(rows("harbour", Transaction.objects.filter(reverses=transaction_row.pk))) == 0
    for row, change in (
        (order, {"quantity": 1}),
        (holding, {"quantity": 1}),
        (portfolio, {"name": "Ours"}),
        (settlement, {"state": "settled"}),
    ):
        _refused_by_the_database(type(row), row.pk, change)


def _refused_by_the_database(model: type[Model], pk: object, change: dict[str, Any]) -> None:
    with tenant_context(institution("harbour")):
        with pytest.raises(DatabaseError), transaction.atomic():
            model._default_manager.filter(pk=pk).update(**change)
        with pytest.raises(DatabaseError), transaction.atomic():
            model._default_manager.filter(pk=pk).delete()
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f'UPDATE "{model._meta.db_table}" SET created_at = now() WHERE id = %s', [pk])


# 4. The report


def test_a_report_made_at_the_manager_on_the_channels_paper_is_released_by_the_advisor(
    people: People, journey: Journey, tmp_path: Any
) -> None:
    portfolio, day = journey.portfolio, today().isoformat()
    page = people("aurora", "manager").go(f"/reports/order/?portfolio={portfolio.pk}")
    expect(page.get_by_label("Portfolio numbers")).to_have_value(portfolio.number)
    page.get_by_role("radio", name="Other days").check()
    page.get_by_label("From", exact=True).fill(day)
    page.get_by_label("To", exact=True).fill(day)
    button(page, "Order").click()
    paper = page.get_by_role("article")
    expect(paper).to_contain_text("Harbour Bank")
    expect(paper).to_contain_text("20457 Hamburg")
    expect(paper).to_contain_text(journey.ada.name)

    report = until(
        "the report at Harbour", lambda: one("harbour", Report, portfolio=portfolio.pk, state="ready")
    )
    advisor = people("harbour", "advisor")
    page = advisor.go("/reports/")
    link(page, report.title).first.click()
    expect(page.get_by_role("article")).to_contain_text("Harbour Bank")
    with page.expect_download() as download:
        link(page, "PDF").click()
    file = tmp_path / "report.pdf"
    download.value.save_as(file)
    text = " ".join(each.extract_text() for each in PdfReader(file).pages)
    for words in ("Harbour Bank", "20457 Hamburg", journey.ada.name, "Core MSCI World"):
        assert words in text
    page.get_by_label("Note").fill("Discussed on the phone.")
    button(page, "Release").click()
    expect(page.get_by_text("Released").first).to_be_visible()
    seen = people("aurora", "manager").page
    until(
        "the release at Aurora",
        lambda: one("aurora", Report, pk=report.pk, release__isnull=False),
    )
    seen.reload()
    expect(seen.get_by_role("main")).to_contain_text("Discussed on the phone.")


# 5. Advice, and nothing in return

_RENAME_IN_CHART = """([before, after]) => {
    const source = document.getElementById(document.querySelector("[data-chart]").dataset.chart);
    source.textContent = source.textContent.replace(before, after);
    document.dispatchEvent(new Event("themechange"));
}"""
_CUT_LABELS = """chart => {
    const left = chart.getBoundingClientRect().left - 0.5;
    const labels = [...chart.querySelectorAll("text")];
    return labels.filter(label => label.getBoundingClientRect().left < left).map(label => label.textContent);
}"""


def test_a_new_version_with_a_view_reaches_meadow_which_rebalances_by_it(
    people: People, scene: Scenario
) -> None:
    model = scene.models["AUR-GLO"]
    manager = people("aurora", "manager")
    page = manager.go(f"/models/{model.pk}/")
    page.get_by_role("button", name="New version", exact=True).click()
    # However long a name is, what removes its line stays in sight.
    targets = page.locator("form[data-targets] .table-scroll")
    targets.evaluate(
        "table => { table.querySelector('tbody span').textContent = 'Developed Markets Property Yield Fund'; }"
    )
    assert targets.evaluate("table => table.scrollWidth <= table.clientWidth")
    page.get_by_label("Weight of Core MSCI World in percent", exact=True).fill("40")
    page.get_by_label("Weight of Apple in percent", exact=True).fill("30")
    page.get_by_label("Why it changed").fill("More of what earns.")
    button(page, "Save draft").click()
    link(page, "Add view").click()
    page.get_by_label("On", exact=True).select_option(label="Apple")
    page.get_by_label("Over- or underweight, points").fill("3")
    page.get_by_label("Rationale").fill("Services grow faster than devices.")
    button(page, "Add to the draft").click()
    button(page, "Preview and publish").click()
    expect(section(page, "Who receives it")).to_contain_text("Meadow")
    button(page, "Publish version 2").click()
    expect(page.get_by_text("Version 2 is published.")).to_be_visible()
    page.evaluate(_RENAME_IN_CHART, ["Equities", "Money market"])
    expect(page.locator(".chart").get_by_text("Money market")).to_be_visible()
    assert page.locator(".chart").evaluate(_CUT_LABELS) == []

    until("version 2 at Meadow", lambda: one("meadow", ModelVersion, model=model.pk, number=2))
    meadow = people("meadow", "manager")
    page = meadow.go("/models/received/")
    link(page, model.name).click()
    main = page.get_by_role("main")
    expect(main).to_contain_text("More of what earns.")
    expect(main).to_contain_text("Services grow faster than devices.")
    expect(section(page, "Effect on your portfolios")).to_contain_text(scene.meadow_portfolio.number)
    button(page, "Accept and rebalance").click()
    expect(main).to_contain_text("1 of 1")
    proposal = one("meadow", Proposal, portfolio=scene.meadow_portfolio.pk, state="draft")
    page.goto(meadow.url(f"/proposals/{proposal.pk}/"))
    expect(page.get_by_role("table").first).to_contain_text("33.00")
    facts = page.locator("section", has=page.get_by_role("heading", name="Worked out from")).locator("dl")
    facts.locator(".text-nowrap").evaluate("cash => { cash.textContent = 'EUR 2,250,000.00'; }")
    assert facts.evaluate("list => list.scrollWidth <= list.clientWidth")
    button(page, "Submit for approval").click()
    page = people("meadow", "second_manager").go(f"/proposals/{proposal.pk}/")
    button(page, "Approve and send").click()
    until(
        "Meadow's orders to be filled",
        lambda: all(order.state == "filled" for order in _orders("meadow", scene.meadow_portfolio)),
    )


def test_nobody_outside_meadow_learns_anything_of_its_client(
    people: People, scene: Scenario, platform: Platform, traffic: Traffic
) -> None:
    who = scene.meadow_client
    assert columns_with("meadow", [who.last_name]) != []
    for schema in ("aurora", "borealis", "harbour", "lakeside", "public"):
        assert columns_with(schema, [*who.strings, *who.ids]) == [], schema
    for name, text in platform.all_logs().items():
        assert text, name
        assert found_in(text, who.strings) == [], name
    redis = traffic.text()
    # Meadow's tasks were overheard, and carry ids alone.
    assert found_in(redis, [scene.meadow_portfolio.pk]) != []
    assert found_in(redis, who.strings) == []


# 6. The switch


def test_suspending_stops_everything_at_once_and_resuming_catches_up(
    people: People, journey: Journey, scene: Scenario
) -> None:
    portfolio = journey.portfolio
    administrator = people("harbour", "administrator")
    page = administrator.go(f"/agreements/{scene.agreements['aurora', 'harbour'].pk}/")
    button(page, "Suspend everything").click()
    expect(page.get_by_text("From this moment on nothing new crosses.")).to_be_visible()

    _rename("aurora", portfolio, "Renamed while suspended")
    # Longer than the sweep that applies whatever the dispatcher missed.
    time.sleep(4)
    assert one("harbour", Portfolio, pk=portfolio.pk).name == f"Aurora Balanced {journey.mandate.number}"
    shown = people("harbour", "advisor").go(f"/portfolios/{portfolio.pk}/")
    expect(shown.get_by_role("heading", level=1)).to_have_text(f"Aurora Balanced {journey.mandate.number}")
    expect(people("aurora", "administrator").go("/mirrors/").get_by_role("main")).to_contain_text("uspended")

    button(page, "Resume").first.click()
    expect(page.get_by_text("What has changed since is on its way.")).to_be_visible()
    until(
        "what changed meanwhile at Harbour",
        lambda: one("harbour", Portfolio, pk=portfolio.pk).name == "Renamed while suspended",
    )
    shown.reload()
    expect(shown.get_by_role("heading", level=1)).to_have_text("Renamed while suspended")


def _rename(schema: str, portfolio: Portfolio, name: str) -> None:
    with tenant_context(institution(schema)):
        Portfolio.objects.filter(pk=portfolio.pk).update(name=name)
