"""One client's journey through two institutions, in browsers, on the platform's real programs.

The parts follow upon one another: each finds what the ones before have left.
"""

import re
import sys
import time

import pytest
from django_tenants.utils import tenant_context
from playwright.sync_api import expect

from clients.calculations.risk import QUESTIONNAIRE
from clients.models import Client, Mandate, MandateDecision
from federation.models import Agreement
from models_portfolio.models import Offer
from portfolios.models import Portfolio
from tests import factories
from tests.browser import scenario
from tests.browser.journey import (
    INBOX_SECONDS,
    MANAGERS_AND_CHANNELS,
    PASSWORD,
    Journey,
    button,
    link,
    one,
    rows,
)
from tests.browser.people import People, Person
from tests.browser.processes import Platform
from tests.browser.scenario import Scenario, Somebody, institution, until
from tests.browser.traces import columns_with, found_in
from tests.clients.make import ANSWERS

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.usefixtures("faultless"),
]


# The institutions agree


def test_two_administrators_agree_in_the_wizard(people: People, scene: Scenario) -> None:
    aurora = people("aurora", "administrator")
    page = aurora.go("/agreements/new/")
    page.get_by_role("radio", name="the manager: we manage or advise").check()
    page.get_by_label("Partner", exact=True).select_option(label="Harbour Bank")
    button(page, "Continue").click()
    page.get_by_role("radio", name="Closed peer-to-peer").check()
    button(page, "Continue").click()
    expect(page.get_by_role("heading", name="What is shared", level=1)).to_be_visible()
    button(page, "Continue").click()
    for number, code in enumerate(("AUR-BAL", "AUR-GRO")):
        model = scene.models[code]
        if number:
            page.get_by_text("Offer a model", exact=True).click()
        page.get_by_label("Model", exact=True).select_option(value=str(model.pk))
        page.get_by_label("Minimum", exact=True).fill("25000")
        button(page, "Add this offer").click()
        # With an offer there, the form for another one is folded.
        expect(page.locator("#offer-form details[open]")).to_have_count(0)
        expect(page.get_by_text(model.name).first).to_be_visible()
    button(page, "Continue").click()
    expect(page.get_by_role("heading", name="Exactly what Harbour will see")).to_be_visible()
    button(page, "Show samples").click()
    expect(page.get_by_role("main")).to_contain_text("Aurora Balanced")
    button(page, "Continue").click()
    page.get_by_label("Terms", exact=True).fill("As agreed over lunch.")
    button(page, "Propose to Harbour").click()
    expect(page.get_by_text("Version 1 waits for Harbour")).to_be_visible()

    harbour = people("harbour", "administrator")
    page = harbour.go("/agreements/")
    link(page, "Aurora – Harbour").click()
    link(page, "See and answer").click()
    expect(page.get_by_role("main")).to_contain_text("As agreed over lunch.")
    assert rows("harbour", Offer.objects.filter(model=scene.models["AUR-BAL"].pk)) == []
    button(page, "Accept").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Active")

    scene.agreements["aurora", "harbour"] = Agreement.objects.get(
        manager__schema_name="aurora", channel__schema_name="harbour"
    )
    until(
        "the offers of both managers at Harbour",
        lambda: len(rows("harbour", Offer.objects.filter(agreement__isnull=False))) == 3,
    )


# 1. A new client


def test_a_submitted_client_is_in_the_managers_inbox_within_seconds_and_nowhere_else(
    people: People, journey: Journey, platform: Platform
) -> None:
    ada = journey.ada
    advisor = _sign_in_by_form(people)
    page = advisor.page
    expect(page.get_by_role("heading", name="My day", level=1)).to_be_visible()
    link(page.get_by_role("navigation").first, "New client").click()

    page.get_by_label("First name").fill(ada.first_name)
    page.get_by_label("Last name").fill(ada.last_name)
    page.get_by_label("Date of birth").fill(ada.birth_date.isoformat())
    page.get_by_label("National id").fill(ada.national_id)
    page.get_by_label("Country of residence").select_option("DE")
    page.get_by_label("E-mail").fill(ada.email)
    page.get_by_label("Phone").fill(ada.phone)
    page.get_by_label("Address").fill(ada.address)
    button(page, "Continue").click()

    page.get_by_label("Number of the document").fill(ada.evidence)
    for question in QUESTIONNAIRE.questions:
        answer = question.answer(ANSWERS[question.key])
        assert answer is not None
        group = page.get_by_role("group", name=question.text)
        group.get_by_role("radio", name=answer.text, exact=True).check()
    page.get_by_label("Planned amount").fill("100,000")
    page.get_by_label("Name of the mandate").fill(ada.mandate_name)
    button(page, "Continue to the plans").click()

    growth = page.get_by_role("article", name="Aurora Growth")
    expect(growth.get_by_role("list", name="Why it does not suit")).to_be_visible()
    expect(page.get_by_role("article", name="Borealis Income")).to_be_visible()
    button(page.get_by_role("article", name="Aurora Balanced"), "Choose").click()

    expect(page.get_by_role("heading", name="What Aurora Asset Management will see")).to_be_visible()
    client = one("harbour", Client, last_name=ada.last_name)
    journey.mandate = mandate = one("harbour", Mandate, client=client)
    ada.ids += [client.pk, mandate.pk]
    for schema in MANAGERS_AND_CHANNELS:
        assert columns_with(schema, [*ada.strings, *ada.ids]) == []

    manager = people("aurora", "manager")
    inbox = manager.go("/inbox/")
    expect(inbox.get_by_text("Nothing waits")).to_be_visible()
    page.get_by_role("checkbox", name="The client has authorised this in writing").check()
    button(page, "Submit to Aurora Asset Management").click()
    expect(inbox.get_by_role("link", name=ada.name)).to_be_visible()
    seen = time.time()
    submitted = one("harbour", Mandate, pk=mandate.pk).submitted_at
    seconds = seen - submitted.timestamp()
    sys.stdout.write(f"\nsubmitted → in the open inbox, without reload: {seconds:.2f} s\n")
    assert seconds < INBOX_SECONDS
    expect(page.get_by_text("It is with Aurora Asset Management.")).to_be_visible()

    for schema in ("borealis", "lakeside", "meadow"):
        assert columns_with(schema, [*ada.strings, *ada.ids]) == []
        _finds_nothing_of(people(schema, "compliance"), ada, [*ada.strings, *ada.ids])
        assert ada.last_name not in people(schema, "manager").get("/inbox/").text
    # Aurora has what the mandate needs, and not how Harbour came to its profile.
    assert columns_with("aurora", [ada.name, mandate.pk]) != []
    assert columns_with("aurora", [ada.evidence]) == []


def _sign_in_by_form(people: People) -> Person:
    advisor = people.arrive("harbour", "advisor", signed_in=False)
    with tenant_context(advisor.institution):
        advisor.user.set_password(PASSWORD)
        advisor.user.save()
    page = advisor.go("/")
    page.get_by_label("E-mail").fill(advisor.user.email)
    page.get_by_label("Password").fill(PASSWORD)
    button(page, "Sign in").click()
    people.adopt("advisor", advisor)
    return advisor


# What compliance may read, which is all of an institution's data.
PAGES = (
    "/clients/", "/mandates/", "/instructions/", "/book/", "/proposals/", "/orders/", "/reports/", "/desk/",
    "/models/", "/agreements/", "/disclosures/", "/audit/",
)  # fmt: skip
API = ("clients", "mandates", "instructions", "portfolios")


def _finds_nothing_of(person: Person, who: Somebody, needles: list[object]) -> None:
    """Assert that no page, search or list of the API shows somebody."""
    for path in (*PAGES, *(f"/api/v1/{kind}/" for kind in API)):
        answer = person.get(path)
        assert answer.status == 200, path
        assert found_in(answer.text, needles) == [], (person.host, path)
    assert "Nothing found" in person.get(f"/search/?q={who.last_name}").text
    client = who.ids[0]
    for path in (f"/clients/{client}/", f"/api/v1/clients/{client}/"):
        assert person.get(path).status == 404, (person.host, path)


# 2. The manager's decisions


def test_an_accepted_mandate_opens_a_portfolio_that_the_channel_sees(
    people: People, journey: Journey
) -> None:
    advisor, manager = people("harbour", "advisor"), people("aurora", "manager")
    mandate = journey.mandate
    page = manager.go("/inbox/")
    link(page, journey.ada.name).click()
    expect(page.get_by_role("note")).to_contain_text("Received from Harbour")
    expect(page.get_by_role("heading", name="Checks")).to_be_visible()
    button(page, "Accept").click()

    followed = advisor.page
    expect(followed).to_have_url(re.compile(f"/mandates/{mandate.pk}/"))
    expect(followed.get_by_role("main")).to_contain_text("Active")
    journey.portfolio = portfolio = until(
        "the portfolio at Harbour", lambda: one("harbour", Portfolio, mandate=mandate)
    )
    assert portfolio.origin == institution("aurora").pk
    journey.ada.ids.append(portfolio.pk)
    page = advisor.another_page()
    page.goto(advisor.url(f"/portfolios/{portfolio.pk}/"))
    expect(page.get_by_role("note")).to_contain_text("Received from Aurora")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Aurora Balanced {journey.mandate.number}")
    expect(button(page, "Propose")).to_have_count(0)
    page.close()


def test_a_returned_mandate_is_answered_and_accepted(people: People, journey: Journey) -> None:
    mandate = _submitted_by_service(journey.returned)
    advisor, manager = people("harbour", "advisor"), people("aurora", "manager")
    followed = advisor.go(f"/mandates/{mandate.pk}/")
    page = manager.go("/inbox/")
    link(page, journey.returned.name).click()
    page.get_by_text("Return for what is missing").click()
    page.get_by_role("checkbox", name="Where the money comes from").check()
    page.get_by_label("To the advisor").first.fill("Please send the deed of sale.")
    button(page, "Return").click()

    expect(followed.get_by_role("heading", name="What is missing")).to_be_visible()
    expect(followed.get_by_role("main")).to_contain_text("Please send the deed of sale.")
    expect(followed.get_by_role("main")).to_contain_text("Where the money comes from")
    followed.get_by_label("Your answer to the manager").fill("The deed is with the notary, copy follows.")
    button(followed, "Answer and submit again").click()

    page.goto(manager.url("/inbox/"))
    row = page.get_by_role("row").filter(has_text=journey.returned.name)
    expect(row).to_contain_text("submission 2")
    link(row, journey.returned.name).click()
    expect(page.get_by_role("main")).to_contain_text("The deed is with the notary, copy follows.")
    button(page, "Accept").click()
    expect(followed.get_by_role("main")).to_contain_text("Active")


def test_a_rejected_client_is_gone_from_the_manager_and_the_advisor_reads_why(
    people: People, journey: Journey
) -> None:
    who = journey.rejected
    mandate = _submitted_by_service(who)
    advisor, manager = people("harbour", "advisor"), people("aurora", "manager")
    followed = advisor.go(f"/mandates/{mandate.pk}/")
    page = manager.go("/inbox/")
    link(page, who.name).click()
    page.locator("summary").filter(has_text="Reject").click()
    page.get_by_label("Why, for the advisor to explain").fill("Outside the markets that we serve.")
    button(page, "Reject").click()

    expect(followed.get_by_role("main")).to_contain_text("Outside the markets that we serve.")
    expect(followed.get_by_role("main")).to_contain_text("Rejected")
    until(f"{who.name} to be gone from Aurora", lambda: columns_with("aurora", who.strings) == [], seconds=15)
    # The audit trail goes on naming the mandate's id, which says nothing about the client.
    _finds_nothing_of(people("aurora", "compliance"), who, [*who.strings])
    assert "Nothing found" in manager.get(f"/search/?q={who.last_name}").text
    # The decision stays with who made it.
    assert one("aurora", MandateDecision, mandate=mandate.pk).outcome == "rejected"
    assert one("harbour", Client, last_name=who.last_name) is not None


def _submitted_by_service(who: Somebody) -> Mandate:
    with tenant_context(institution("harbour")):
        by = factories.cast().advisor
        plan = Offer.objects.get(name="Aurora Balanced", agreement__isnull=False)
        mandate = scenario.submitted(who, scenario.enter(who, by), plan, by)
    until(f"{who.name} at Aurora", lambda: one("aurora", Mandate, pk=mandate.pk))
    return mandate
