"""Instructions, from the form to the answer, and the search."""

from collections.abc import Callable

from django.test import Client as Browser
from django_tenants.utils import tenant_context

from accounts.search import search
from clients import services
from clients.models import ClientInstruction
from federation.models import Institution
from tests.clients import make
from tests.clients.pages import url_of
from tests.factories import Cast

Browse = Callable[..., Browser]


def test_an_instruction_goes_out_and_its_answer_comes_back(
    advisor: Browser, browse: Browse, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        mandate = make.active(people.advisor, people.manager)
    new = url_of("clients:instruction_create", mandate.pk, "deposit")
    assert b"above zero" in advisor.post(new, {"amount": "0", "currency": "EUR"}).content
    page = advisor.get(new).context["form"]["page"].value()
    # As by Back and Send, or by a proxy that tries again.
    for _again in range(2):
        answer = advisor.post(new, {"amount": "5,000.50", "currency": "EUR", "page": str(page)})
    with tenant_context(meadow):
        instruction = ClientInstruction.objects.get()
        assert instruction.amount == make.D("5000.50")
    detail = url_of("clients:instruction_detail", instruction.pk)
    assert answer["Location"] == detail
    page = advisor.get(detail)
    assert b"RF" in page.content
    operations = browse(meadow, people.operations)
    for _more in range(10):
        advisor.post(new, {"amount": "1", "currency": "EUR"})
    listed = operations.get(url_of("clients:instruction_list")).content.decode()
    assert "To answer" in listed
    assert 'class="count">11<' in listed
    assert "The oldest 10 of 11." in listed
    send = url_of("clients:instruction_answer", instruction.pk)
    assert advisor.post(send, {"outcome": "accepted"}).status_code == 404
    assert operations.post(send, {"outcome": "done"}).status_code == 409
    assert operations.post(send, {"outcome": "accepted"}).status_code == 302
    part = advisor.get(detail, {"seen": page.context["mark"]})
    assert b"Accepted" in part.content


def test_closing_leads_to_the_change_of_manager_that_sells_nothing(
    advisor: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        mandate = make.active(people.advisor, people.manager)
    page = advisor.get(url_of("clients:instruction_create", mandate.pk, "close"))
    assert url_of("portfolios:handover_start", mandate.pk).encode() in page.content


def test_a_draft_is_kept_and_sent_later(advisor: Browser, meadow: Institution, people: Cast) -> None:
    with tenant_context(meadow):
        mandate = make.active(people.advisor, people.manager)
    new = url_of("clients:instruction_create", mandate.pk, "deposit")
    asked = {"amount": "10", "currency": "EUR", "page": str(advisor.get(new).context["form"]["page"].value())}
    advisor.post(new, {**asked, "draft": "1"})
    with tenant_context(meadow):
        instruction = ClientInstruction.objects.get()
        assert instruction.status == "draft"
    for other in ({"amount": "20"}, {}):
        assert advisor.post(new, {**asked, **other}).status_code == 302
    with tenant_context(meadow):
        assert ClientInstruction.objects.filter(status="sent").count() == 2, "others, of the same page"
    assert advisor.post(url_of("clients:instruction_send", instruction.pk)).status_code == 302
    assert advisor.post(url_of("clients:instruction_withdraw", instruction.pk)).status_code == 302


def test_a_withdrawal_without_a_verified_account_says_what_to_do(
    advisor: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        mandate = make.active(people.advisor, people.manager)
    page = advisor.get(url_of("clients:instruction_create", mandate.pk, "withdrawal"))
    assert url_of("clients:payout_account_create", mandate.client_id).encode() in page.content


def test_another_plan_of_the_same_manager_is_asked_for(
    advisor: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        mandate = make.active(people.advisor, people.manager)
        other = make.offer("Income", risk_level=2)
    url = url_of("models_portfolio:offer_change", mandate.pk)
    page = advisor.get(url).content.decode()
    assert "Income" in page
    assert "Send the change" in page
    assert advisor.post(url, {"offer": other.pk}).status_code == 302
    with tenant_context(meadow):
        assert ClientInstruction.objects.get().offer_name == "Income"


def test_clients_mandates_and_references_are_found(
    advisor: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        mandate = make.active(people.advisor, people.manager)
        instruction = services.draft_instruction(
            mandate=mandate, kind="deposit", amount=make.D(1), by=people.advisor
        )
        spaced = " ".join(instruction.reference[i : i + 4] for i in range(0, 16, 4))

        def kinds(words: str) -> set[str]:
            return {group.kind for group in search(people.advisor, words)}

        assert {"Clients", "Mandates"} <= kinds("ada")
        assert "Mandates" in kinds(mandate.number)
        assert "Instructions" in kinds(spaced)
        assert search(people.stranger, "ada") == []
