"""The list of clients, one client, and what is kept about one."""

import datetime
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils.formats import localize
from django_tenants.utils import tenant_context

from accounts.columns import summary_of
from accounts.formatting import escaped
from accounts.rows import rows_of
from clients import services
from clients.models import Client, KycStatus, Mandate
from federation.models import Institution
from portfolios.models import ExchangeRate, Portfolio, PriceSource, Valuation
from tests.clients import make
from tests.clients.pages import queries_of, url_of
from tests.clients.test_onboarding_pages import PERSON
from tests.factories import Cast, cast
from tests.portfolios import make as books

Browse = Callable[..., Browser]


def _value(mandate: Mandate, value: int, day: datetime.date, index: str = "1", **fields: Any) -> None:
    portfolio = Portfolio.objects.get(mandate=mandate)
    Portfolio.objects.filter(pk=portfolio.pk, opened_on__gt=day).update(opened_on=day)
    Valuation.objects.filter(portfolio=portfolio, is_latest=True).update(is_latest=False)
    Valuation.objects.update_or_create(
        portfolio=portfolio,
        date=day,
        defaults={
            "currency": portfolio.currency,
            "market_value": value,
            "return_index": make.D(index),
            "gross_return_index": make.D(index),
            "is_latest": True,
            **fields,
        },
    )


def test_the_list_of_clients_filters_sorts_and_exports(
    advisor: Browser, meadow: Institution, people: Cast
) -> None:
    url = url_of("clients:client_list")
    assert b"Enter the first one" in advisor.get(url).content
    with tenant_context(meadow):
        for name in ("Ada", "Bea", "Cleo"):
            make.client(people.advisor, name)
        mandate = make.active(people.advisor, people.manager, of=Client.objects.get(first_name="Bea"))
        _value(mandate, 123_456, make.today(-1))
    page = advisor.get(url, {"q": "bea"}).content.decode()
    assert "Bea Example" in page
    assert "Ada Example" not in page
    assert "123,456" in page
    names = [row.record.first_name for row in advisor.get(url, {"sort": "-name"}).context["table"].rows]
    assert names == ["Cleo", "Bea", "Ada"]
    exported = advisor.get(url, {"_export": "csv"}).content.decode()
    assert exported.count("Example") == 3
    # What says nothing of any row takes no room: whose they are, or when a partner reviews them.
    own = {"next_review_date"}
    assert {"origin", *own} & set(advisor.get(url).context["table"].columns.names()) == own
    with tenant_context(meadow), make.as_mirror():
        Client.objects.update(origin=uuid.uuid4())
    assert {"origin", *own} & set(advisor.get(url).context["table"].columns.names()) == {"origin"}


@pytest.mark.parametrize("name", ["client_list", "mandate_list", "mandate_inbox"])
def test_cells_are_what_django_tables2_makes_of_them(
    manager: Browser, meadow: Institution, people: Cast, name: str
) -> None:
    with tenant_context(meadow):
        client = make.client(people.advisor, "Ada & Co")
        _value(make.active(people.advisor, people.manager, of=client), 1000, make.today(-1))
        make.submitted(people.advisor, make.offer("Bold"), make.client(people.advisor, "Bea"))
    table = manager.get(url_of(f"clients:{name}")).context["table"]
    with tenant_context(meadow):
        cells = [
            f"<td {column.attrs['td'].as_html()}>{escaped(cell if isinstance(cell, str) else localize(cell))}</td>"
            for row in table.paginated_rows
            for column, cell in row.items()
        ]
        rows = "".join(rows_of(table, {}))
    assert cells
    assert rows.replace("<tr>", "").replace("</tr>", "") == "".join(cells)


def test_totals_count_what_the_reader_may_see(
    advisor: Browser, manager: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        client, plan = make.client(people.advisor), make.offer()
        # Of this client the manager sees one mandate alone.
        for value, desk in ((1000, people.unit), (300, people.other_unit)):
            mandate = make.active(people.advisor, people.manager, plan, client)
            _value(mandate, value, make.today(-1))
            Portfolio.objects.filter(mandate=mandate).update(unit=desk)
    for browser, seen in ((advisor, 1300), (manager, 1000)):
        table = browser.get(url_of("clients:client_list")).context["table"]
        assert [row.record.total for row in table.paginated_rows] == [seen]
        assert summary_of(table).totals == {"total": seen}


def test_a_total_without_a_rate_is_not_given_and_says_which(
    advisor: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        ada, bea = make.client(people.advisor, "Ada"), make.client(people.advisor, "Bea")
        plan = make.offer()
        for of, value in ((ada, 1000), (bea, 2000), (ada, 300)):
            mandate = make.active(people.advisor, people.manager, plan, of)
            _value(mandate, value, make.today(-1))
        Portfolio.objects.filter(mandate=mandate).update(currency="USD")
        Valuation.objects.filter(portfolio__mandate=mandate).update(currency="USD")
    url, mandates = url_of("clients:client_list"), url_of("clients:mandate_list")
    page = advisor.get(url).content.decode()
    assert "3,000" not in page
    assert "without 1 row: no exchange rate for USD" in page
    [row] = [
        line for line in advisor.get(url, {"_export": "csv"}).content.decode().splitlines() if "Ada" in line
    ]
    assert '"","no exchange rate for USD",' in row
    with tenant_context(meadow):
        rates = PriceSource.objects.create(code="RATES", name="Rates")
        ExchangeRate.objects.create(source=rates, date=make.today(-1), currency="USD", rate=2)
    page = advisor.get(url).content.decode()
    assert "1,150" in page
    assert "3,150" in page
    assert "no exchange rate" not in page
    with tenant_context(meadow):
        Portfolio.objects.filter(mandate=mandate).update(currency="EUR")
        Valuation.objects.filter(portfolio__mandate=mandate).update(currency="EUR", market_value=None)
    for each in (url, mandates):
        assert "without 1 row: a value is missing" in advisor.get(each).content.decode()


def test_the_list_of_clients_takes_a_fixed_number_ofqueries_of(
    advisor: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        make.client(people.advisor)
    few = queries_of(advisor, url_of("clients:client_list"))
    with tenant_context(meadow):
        for name in "BCDEFGH":
            make.active(people.advisor, people.manager, of=make.client(people.advisor, name))
    assert queries_of(advisor, url_of("clients:client_list")) == few <= 20


def test_a_client_page_totals_over_managers_and_currencies(
    advisor: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        client = make.client(people.advisor)
        first = make.active(people.advisor, people.manager, of=client)
        second = make.active(people.advisor, people.manager, of=client)
        Portfolio.objects.filter(mandate=second).update(currency="CHF")
        of_yesterday = {"date": make.today(-1), "currency": "CHF"}
        with books.as_mirror():
            # A partner's rate of the same day does not come before one's own.
            origin = {"origin": uuid.uuid4()}
            theirs = PriceSource.objects.create(code="A", name="A", preference=1, **origin)
            ExchangeRate.objects.create(source=theirs, rate=1000, **of_yesterday, **origin)
        ExchangeRate.objects.create(source=books.source(), rate=make.D("0.8"), **of_yesterday)
        _value(first, 100_000, make.today(-30), "1", inflow=90_000)
        _value(first, 100_000, make.today(-1), "1.1")
        _value(second, 80_000, make.today(-1), currency="CHF")
    page = advisor.get(url_of("clients:client_detail", client.pk))
    owned = page.context["owned"]
    assert owned.total == 200_000
    assert owned.currency == "EUR"
    assert [position.share for position in owned.positions] == [make.D("0.5"), make.D("0.5")]
    assert owned.positions[0].returned == make.D("0.1")
    assert "EUR\u00a0200,000" in page.content.decode()


def test_a_value_that_is_not_available_is_never_a_zero(
    advisor: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        mandate = make.active(people.advisor, people.manager)
        _value(mandate, 1, make.today(-1))
        Valuation.objects.filter(is_latest=True).update(market_value=None, problem="No price for Apple.")
    page = advisor.get(url_of("clients:client_detail", mandate.client_id))
    assert page.context["owned"].total is None
    assert b"not available" in page.content
    assert b"No price for Apple." in page.content


def test_amounts_and_notes_can_be_hidden_in_a_meeting(
    advisor: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        mandate = make.active(people.advisor, people.manager)
        _value(mandate, 123_456, make.today(-1))
        services.write_note(client=mandate.client, text="Difficult neighbour", by=people.advisor)
        url = url_of("clients:client_detail", mandate.client_id)
    assert b"Difficult neighbour" in advisor.get(url).content
    with tenant_context(meadow):
        type(people.advisor).objects.filter(pk=people.advisor.pk).update(hides_amounts=True)
    page = advisor.get(url).content
    assert b"123,456" not in page
    assert b"Difficult neighbour" not in page


def test_a_client_page_takes_a_fixed_number_ofqueries_of(
    advisor: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        client = make.client(people.advisor)
        make.active(people.advisor, people.manager, of=client)
    few = queries_of(advisor, url_of("clients:client_detail", client.pk))
    with tenant_context(meadow):
        for _ in range(3):
            make.active(people.advisor, people.manager, of=client)
    assert queries_of(advisor, url_of("clients:client_detail", client.pk)) == few <= 56


def test_a_received_client_shows_whose_it_is_and_no_button(
    browse: Browse, aurora: Institution, harbour: Institution
) -> None:
    agreement = make.agreement(aurora, harbour)
    with tenant_context(aurora):
        people = cast()
        mandate = make.received(agreement, harbour)
        client = mandate.client
    manager = browse(aurora, people.manager)
    page = manager.get(url_of("clients:client_detail", client.pk)).content.decode()
    assert "Received from <strong>Harbour</strong>" in page
    assert "New mandate" not in page
    assert url_of("clients:client_edit", client.pk) not in page
    assert "Notes" not in page
    inbox = manager.get(url_of("clients:mandate_inbox")).content.decode()
    assert "Theirs" in inbox
    assert "Harbour" in inbox
    advisor = browse(aurora, people.advisor)
    assert advisor.post(url_of("clients:mandate_withdraw", mandate.pk)).status_code == 404
    assert advisor.get(url_of("clients:client_edit", client.pk)).status_code == 404


def test_f20_no_form_that_changes_an_own_client_changes_a_received_one(
    advisor: Browser, meadow: Institution, aurora: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        own = make.client(people.advisor)
        with make.as_mirror():
            # Within the advisor's reach, as much as the own one.
            theirs = Client.objects.create(
                name="Theirs", origin=aurora.pk, unit=people.unit, advisor=people.advisor
            )
    day = make.today(5).isoformat()
    marker = advisor.get(url_of("clients:client_edit", own.pk)).context["form"]["marker"].value()
    forms: dict[str, dict[str, Any]] = {
        "client_edit": {**PERSON, "last_name": "Changed", "marker": marker},
        "kyc": {
            "checked_on": make.today().isoformat(),
            "evidence_kind": "passport",
            "evidence_reference": "P1",
        },
        "profile_renew": make.ANSWERS,
        "review_plan": {"next_review_date": day},
        "note_create": {"text": "Likes tea"},
        "task_create": {"title": "Send brochure", "due_date": day},
        "payout_account_create": {"iban": make.IBAN, "holder": "Ada"},
        "mandate_start": {},
    }
    for name, typed in forms.items():
        assert advisor.post(url_of(f"clients:{name}", own.pk), typed).status_code == 302, name
        assert advisor.post(url_of(f"clients:{name}", theirs.pk), typed).status_code == 404, name
    with tenant_context(meadow):
        assert [_hanging_off(each) != [] for each in (own, theirs)] == [True, False]
        assert Client.objects.get(pk=own.pk).last_name == "Changed"
        theirs.refresh_from_db()
        assert (theirs.name, theirs.advisor, theirs.next_review_date) == ("Theirs", people.advisor, None)


def _hanging_off(client: Client) -> list[str]:
    """Return the kinds of which there are rows that name a client."""
    return [
        each.related_model._meta.label
        for each in Client._meta.related_objects
        if each.related_model._default_manager.filter(**{each.field.name: client.pk}).exists()
    ]


@pytest.mark.parametrize("name", ["administrator", "stranger"])
def test_who_has_no_part_in_clients_sees_none_of_their_pages(
    browse: Browse, meadow: Institution, people: Cast, name: str
) -> None:
    with tenant_context(meadow):
        mandate = make.submitted(people.advisor)
    browser = browse(meadow, getattr(people, name))
    urls = [
        url_of("clients:my_day"),
        url_of("clients:client_list"),
        url_of("clients:client_detail", mandate.client_id),
        url_of("clients:mandate_list"),
        url_of("clients:mandate_detail", mandate.pk),
        url_of("clients:mandate_inbox"),
        url_of("clients:mandate_decide", mandate.pk),
        url_of("clients:instruction_list"),
    ]
    assert [browser.get(url).status_code for url in urls] == [404] * len(urls)


def test_compliance_reads_everything_and_changes_nothing(
    browse: Browse, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        mandate = make.submitted(people.advisor)
    browser = browse(meadow, people.compliance)
    page = browser.get(url_of("clients:client_detail", mandate.client_id))
    assert page.status_code == 200
    assert url_of("clients:client_edit", mandate.client_id).encode() not in page.content
    assert browser.post(url_of("clients:mandate_withdraw", mandate.pk)).status_code == 404
    assert browser.get(url_of("clients:mandate_decide", mandate.pk)).status_code == 404


def test_operations_verify_what_an_advisor_entered(
    advisor: Browser, browse: Browse, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        client = make.client(people.advisor)
    url = url_of("clients:payout_account_create", client.pk)
    assert b"not a valid IBAN" in advisor.post(url, {"iban": "DE00", "holder": "Ada"}).content
    spaced = "DE89 3704 0044 0532 0130 00"
    assert advisor.post(url, {"iban": spaced, "holder": "Ada"}).status_code == 302
    with tenant_context(meadow):
        account = client.payout_accounts.get()
    verify = url_of("clients:payout_account_verify", account.pk)
    assert advisor.post(verify).status_code == 409
    assert browse(meadow, people.operations).post(verify).status_code == 302
    with tenant_context(meadow):
        account.refresh_from_db()
        assert account.is_verified


def test_notes_tasks_reviews_identity_and_profile_are_kept(
    advisor: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        client = make.client(people.advisor)
    day = make.today(5).isoformat()
    posts: list[tuple[str, dict[str, Any]]] = [
        ("clients:note_create", {"text": "Likes tea"}),
        ("clients:task_create", {"title": "Send brochure", "due_date": day}),
        ("clients:review_plan", {"next_review_date": day}),
        ("clients:profile_renew", make.ANSWERS),
        (
            "clients:kyc",
            {
                "checked_on": make.today().isoformat(),
                "evidence_kind": "passport",
                "evidence_reference": "P1",
            },
        ),
    ]
    for name, data in posts:
        assert advisor.post(url_of(name, client.pk), data).status_code == 302, name
    with tenant_context(meadow):
        client.refresh_from_db()
        task = client.tasks.get()
        assert client.notes.get().text == "Likes tea"
        assert client.next_review_date == make.today(5)
        assert client.risk_profiles.get().level == 4
        assert client.kyc.state == KycStatus.State.APPROVED
    assert advisor.post(url_of("clients:task_finish", task.pk)).status_code == 302
    assert advisor.post(url_of("clients:kyc", client.pk), {"block": "1"}).status_code == 302
    with tenant_context(meadow):
        task.refresh_from_db()
        assert task.done_at is not None
        assert KycStatus.objects.get(client=client).state == KycStatus.State.BLOCKED
