"""An administrator follows a mirror: asks for a proof, and reads its result without touching the page again."""

import re

import pytest
from django.db import transaction
from playwright.sync_api import expect

from accounts.records import new_id
from federation.models import Agreement, Arrival
from tests.browser.people import People
from tests.browser.scenario import institution, until
from tests.browser.standing import worth_reading

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_a_proof_that_is_asked_for_appears_on_both_parties_pages_by_itself(people: People) -> None:
    here = people("borealis", "administrator").go("/mirrors/")
    row = here.get_by_role("row").filter(has_text="Borealis → Harbour").first
    row.get_by_role("link").first.click()
    expect(here.get_by_role("heading", level=1)).to_contain_text("Harbour")
    there = people("harbour", "administrator").go(re.sub(r"^https?://[^/]+", "", here.url))
    expect(there.locator("#mirror")).to_contain_text("Not compared yet")

    here.get_by_role("button", name="Compare both sides").click()

    for page in (here, there):
        expect(page.locator("#proof-result")).to_contain_text("In step")
        expect(page.locator("#proof-result")).to_contain_text("under one snapshot")


def test_the_period_of_the_charts_stays_in_the_address_and_has_its_data_as_a_table(people: People) -> None:
    page = people("harbour", "administrator").go("/mirrors/")
    page.get_by_role("row").filter(has_text="Borealis → Harbour").first.get_by_role("link").first.click()
    page.get_by_role("link", name="24 hours").click()
    expect(page).to_have_url(re.compile(r"window=24h"))
    charts = page.locator("#mirror-charts")
    expect(charts.locator("svg").first).to_be_visible()
    charts.get_by_text("Show as a table").first.click()
    expect(charts.get_by_role("columnheader", name="Batches")).to_be_visible()


def test_a_look_for_news_does_not_undo_the_filter_that_was_chosen_meanwhile(people: People) -> None:
    person = people("harbour", "administrator")
    page = person.another_page()
    page.clock.install()
    page.goto(person.url("/mirrors/"))
    # The answer to the look is late.
    page.route("**/mirrors/", lambda route: None)
    with page.expect_request("**/mirrors/") as look:
        page.clock.fast_forward(5_000)
    with page.expect_event("requestfailed", lambda request: request == look.value):
        page.get_by_label("Direction").select_option("out")
    expect(page).to_have_url(re.compile(r"direction=out"))
    page.close()
    # That a look was broken off is no fault.
    people.problems()


def test_who_waits_in_vain_reads_how_the_mirrors_stand(people: People) -> None:
    agreement = Agreement.objects.filter(channel__schema_name="harbour")[0]
    with transaction.atomic():
        Arrival.objects.create(
            institution=institution("harbour"), agreement=agreement, kind="clients.Mandate", key=new_id()
        )
        with pytest.raises(AssertionError) as failed:
            until("what never comes", lambda: None, seconds=0)
        transaction.set_rollback(True)
    text = str(failed.value)
    assert "in vain for what never comes" in text
    assert "Borealis → Harbour, " in text
    assert "running, last applied" in text
    assert "arrival of clients.Mandate" in text
    assert worth_reading("12:00 INFO a\n12:01 WARNING b\n  of c\n12:02 INFO d\nTraceback:\n e") == [
        "12:01 WARNING b", "  of c", "Traceback:", " e",
    ]  # fmt: skip
