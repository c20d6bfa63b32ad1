"""An administrator follows a mirror: asks for a proof, and reads its result without touching the page again."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.people import People

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
