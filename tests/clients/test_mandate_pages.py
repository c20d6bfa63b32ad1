"""The manager's inbox and the pages of mandates."""

import re
from collections.abc import Callable

from django.test import Client as Browser
from django.utils import timezone
from django_tenants.utils import tenant_context

from accounts.models import Role, RoleAssignment
from clients import services
from clients.calculations.states import MandateState
from clients.models import KycStatus, Mandate
from federation.models import Institution
from portfolios.models import Handover
from tests.clients import make
from tests.clients.pages import queries_of, url_of
from tests.factories import Cast
from tests.portfolios import make as portfolios

Browse = Callable[..., Browser]
NO_EFFECT = "No security here is in this sector"


def test_the_inbox_changes_only_when_something_changed(
    manager: Browser, meadow: Institution, people: Cast
) -> None:
    url = url_of("clients:mandate_inbox")
    page = manager.get(url)
    assert b"Nothing waits" in page.content
    mark = page.context["mark"]
    again = {"HX-Request": "true", "HX-Target": "list-rows"}
    assert manager.get(url, {"seen": mark}, headers=again).status_code == 204
    with tenant_context(meadow):
        make.submitted(people.advisor)
    part = manager.get(url, {"seen": mark}, headers=again)
    assert part.status_code == 200
    assert b"Ada Example" in part.content
    assert b"<html" not in part.content
    assert b'id="announce"' in part.content


def test_the_inbox_sorts_filters_and_exports(manager: Browser, meadow: Institution, people: Cast) -> None:
    url = url_of("clients:mandate_inbox")
    with tenant_context(meadow):
        for name in ("Ada", "Bea"):
            make.submitted(people.advisor, of=make.client(people.advisor, name))
        returned = Mandate.objects.get(client__first_name="Bea")
        services.return_mandate(mandate=returned, reason="Sign again.", by=people.manager)
    shown = manager.get(url)
    assert [row.record.computed_state for row in shown.context["table"].rows] == ["submitted", "returned"]
    assert returned.number.encode() not in manager.get(url, {"state": "submitted"}).content
    assert returned.number.encode() in manager.get(url, {"q": "bea"}).content
    assert b"Nothing matches" in manager.get(url, {"q": "nobody"}).content
    # On a phone each row is a block of values with their names.
    assert "table-stack" in shown.content.decode()
    assert re.search(r'<td [^>]*data-label="State">', shown.content.decode())
    sort_by = re.search(r'<details class="stack-sort">.*?</details>', shown.content.decode(), re.DOTALL)
    assert sort_by
    assert '?sort=client"' in sort_by.group()
    assert "Decide" not in sort_by.group()
    for column in ("client", "-number", "origin", "amount", "level", "kyc_state", "-submitted_at"):
        assert manager.get(url, {"sort": column}).status_code == 200, column
    with tenant_context(meadow):
        Mandate.objects.filter(pk=returned.pk).update(submission=2)
    assert b"submission 2" in manager.get(url).content
    rows = manager.get(url, {"_export": "csv", "sort": "client"}).content.decode().splitlines()
    assert len(rows) == 3
    assert "<" not in "".join(rows)
    assert "Decide" not in rows[0]


def test_the_inbox_takes_a_fixed_number_ofqueries_of(
    manager: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        make.submitted(people.advisor)
    few = queries_of(manager, url_of("clients:mandate_inbox"))
    with tenant_context(meadow):
        for name in "BCDE":
            make.submitted(people.advisor, of=make.client(people.advisor, name))
    assert queries_of(manager, url_of("clients:mandate_inbox")) == few <= 20


def test_a_manager_checks_and_accepts(
    manager: Browser, advisor: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        mandate = make.submitted(people.advisor)
    url = url_of("clients:mandate_decide", mandate.pk)
    page = manager.get(url)
    assert page.context["bad"] == 0
    assert b"Risk 4 of 7, the profile allows 4" in page.content
    accept = {"decision": "accept", "submission": 1, "unit": people.unit.pk}
    assert manager.post(url, accept)["Location"] == url_of("clients:mandate_inbox")
    with tenant_context(meadow):
        accepted = Mandate.objects.get()
        assert accepted.state == MandateState.ACTIVE
        portfolio = url_of("portfolios:portfolio_detail", accepted.portfolio.pk).encode()
    # From there the portfolio is one click away, on both sides.
    assert portfolio in manager.get(url).content
    assert portfolio in advisor.get(url_of("clients:mandate_detail", mandate.pk)).content
    assert portfolio in advisor.get(url_of("clients:mandate_list")).content


def test_a_decision_that_comes_too_late_says_whose_counts_and_keeps_what_was_written(
    manager: Browser, advisor: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        accepted = make.submitted(people.advisor)
        url = url_of("clients:mandate_decide", accepted.pk)
        services.accept_mandate(mandate=accepted, unit=people.unit, by=people.manager)
    reject = {"decision": "reject", "submission": 1, "reason": "Too small for us."}
    page = manager.post(url, reject).content.decode()
    assert f"Already accepted by {people.manager.full_name}, " in page
    assert "Your rejection was not recorded." in page
    assert "Too small for us." in page
    back = {"decision": "return", "submission": 1, "missing": ["identity"], "reason": "Unreadable."}
    page = manager.post(url, back).content.decode()
    assert "Your return was not recorded." in page
    assert "Proof of identity" in page
    assert "Unreadable." in page
    accept = {"decision": "accept", "submission": 1, "unit": people.unit.pk}
    assert "Your acceptance was not recorded." in manager.post(url, accept).content.decode()
    assert "not recorded" not in manager.get(url).content.decode()
    with tenant_context(meadow):
        assert list(accepted.decisions.values_list("outcome", flat=True)) == ["accepted", "active"]
        withdrawn = make.submitted(people.advisor, of=make.client(people.advisor, "Bea"))
        services.withdraw_mandate(mandate=withdrawn, by=people.advisor)
    # It has left the inbox.
    gone = url_of("clients:mandate_decide", withdrawn.pk)
    assert manager.get(gone).status_code == 404
    page = manager.post(gone, reject, follow=True).content.decode()
    assert "no longer waits for a decision. Your rejection was not recorded." in page
    assert "You wrote: “Too small for us.”" in page
    assert advisor.post(gone, reject).status_code == 404
    with tenant_context(meadow):
        rejected = make.submitted(people.advisor, of=make.client(people.advisor, "Cleo"))
        services.reject_mandate(mandate=rejected, reason="No room.", by=people.second_manager)
        # As it stands where the mandate was received.
        Mandate.objects.filter(pk=rejected.pk).update(retired_at=timezone.now())
    page = manager.post(url_of("clients:mandate_decide", rejected.pk), accept, follow=True).content.decode()
    assert f"Already rejected by {people.second_manager.full_name}, " in page
    assert "Cleo" not in page


def test_who_decided_is_told_to_no_other_desk(browse: Browse, meadow: Institution, people: Cast) -> None:
    with tenant_context(meadow):
        role = {"role": Role.PORTFOLIO_MANAGER, "unit": people.other_unit}
        RoleAssignment.objects.create(user=people.stranger, **role)
        mandate = make.submitted(people.advisor)
        services.accept_mandate(mandate=mandate, unit=people.unit, by=people.manager)
    reject = {"decision": "reject", "submission": 1, "reason": "Too small for us."}
    page = browse(meadow, people.stranger).post(
        url_of("clients:mandate_decide", mandate.pk), reject, follow=True
    )
    assert "Already accepted by somebody else, " in page.content.decode()
    assert people.manager.full_name not in page.content.decode()


def test_a_mandate_submitted_again_is_decided_on_in_a_second_attempt(
    manager: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        mandate = make.submitted(people.advisor)
        Mandate.objects.update(submission=2)
    url = url_of("clients:mandate_decide", mandate.pk)
    page = manager.post(url, {"decision": "reject", "submission": 1, "reason": "No room."})
    assert b"submitted again meanwhile" in page.content
    again = {"decision": "reject", "submission": page.context["form"]["submission"].value()}
    assert manager.post(url, {**again, "reason": "No room."}).status_code == 302


def test_checks_tell_what_is_not_in_order(manager: Browser, meadow: Institution, people: Cast) -> None:
    with tenant_context(meadow):
        mandate = make.submitted(people.advisor)
        KycStatus.objects.update(valid_until=make.today(-1))
        services.add_restriction(mandate=mandate, kind="exclude_sector", value="Tobacco", by=people.advisor)
    checks = {
        check.name: check.result
        for check in manager.get(url_of("clients:mandate_decide", mandate.pk)).context["checks"]
    }
    assert checks["Identity"] == "bad"
    assert checks["The client’s wishes"] == "warning"
    assert checks["Signature"] == "good"


def test_a_desk_outside_ones_reach_cannot_be_chosen(
    manager: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        mandate = make.submitted(people.advisor)
    data = {"decision": "accept", "submission": 1, "unit": people.other_unit.pk}
    page = manager.post(url_of("clients:mandate_decide", mandate.pk), data)
    assert page.status_code == 200
    with tenant_context(meadow):
        assert Mandate.objects.get().state == MandateState.SUBMITTED


def test_what_is_missing_goes_back_and_the_answer_comes_in(
    manager: Browser, advisor: Browser, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        mandate = make.submitted(people.advisor)
    decide, detail = (
        url_of("clients:mandate_decide", mandate.pk),
        url_of("clients:mandate_detail", mandate.pk),
    )
    mark = advisor.get(detail).context["mark"]
    assert advisor.get(detail, {"seen": mark}).status_code == 204
    page = manager.post(decide, {"decision": "reject", "submission": 1, "reason": ""})
    assert b"Say why" in page.content
    back = {"decision": "return", "submission": 1, "missing": ["identity", "tax"], "reason": "Unreadable."}
    assert manager.post(decide, back).status_code == 302
    part = advisor.get(detail, {"seen": mark}).content.decode()
    put_right = re.search(r'Proof of identity: <a href="([^"]+)">', part)
    assert put_right
    assert "Number of the document" in advisor.get(put_right.group(1)).content.decode()
    assert "Tax residence: say it in your answer" in part
    assert "Answer and submit again" in part
    with tenant_context(meadow):
        client = Mandate.objects.get().client
        make.checked(client, people.advisor)
        fields = {"first_name": "Ada", "last_name": "Example"}
        change = {"client": client, "kind": "person", "fields": fields, "by": people.advisor}
        services.change_client(**change, contacts={"email": "ada@example.test"})
        services.change_client(**change, contacts={"phone": "+00 000 0001 200"})
    answer = advisor.post(url_of("clients:mandate_answer", mandate.pk), {"answer": "New copy sent."})
    assert answer.status_code == 302
    page = manager.get(decide).content.decode()
    assert "New copy sent." in page
    assert "Answered and submitted again" in page
    # What the answer answers, and what was changed with what it says now; an e-mail saved as it was is no change.
    since = page.partition("Since it was returned")[2].partition("</section>")[0]
    assert "Proof of identity" in since
    assert "Unreadable." in since
    assert re.findall(r"<div>([^<]+)</div>", since.partition("Changed")[2]) == [
        "How the client is reached",
        "Identity check: now Approved",
    ]
    assert "Changed: how the client is reached, identity check" in page
    inbox = manager.get(url_of("clients:mandate_inbox")).content.decode()
    assert "submission 2, changed: how the client is reached, identity check" in inbox
    back = {"decision": "return", "submission": 2, "reason": "Still unreadable."}
    assert manager.post(decide, back).status_code == 302
    assert "submission 2, changed" not in manager.get(url_of("clients:mandate_inbox")).content.decode()
    page = manager.get(decide).content.decode()
    since = page.partition("Since it was returned")[2].partition("</section>")[0]
    assert "Still unreadable." not in since, "it is not what this answer answers"
    advisor.post(url_of("clients:mandate_answer", mandate.pk), {"answer": "It is all we have."})
    assert "the answer is all that is new" in manager.get(decide).content.decode()
    assert "answered, nothing changed" in manager.get(url_of("clients:mandate_inbox")).content.decode()


def test_wishes_are_edited_in_place(advisor: Browser, meadow: Institution, people: Cast) -> None:
    with tenant_context(meadow):
        mandate = make.submitted(people.advisor)
    add = url_of("clients:restriction_add", mandate.pk)
    htmx = {"HTTP_HX_REQUEST": "true"}
    part = advisor.post(add, {"kind": "exclude_security", "value": "US0378331006"}, **htmx)
    assert b"not a valid ISIN" in part.content
    part = advisor.post(add, {"kind": "exclude_security", "value": "US0378331005"}, **htmx)
    assert b"US0378331005" in part.content
    with tenant_context(meadow):
        restriction = mandate.restrictions.get()
    remove = url_of("clients:restriction_remove", mandate.pk, restriction.pk)
    part = advisor.post(remove, **htmx)
    assert b"No wishes" in part.content
    # Sectors are those of the securities here; a wish about another one says that it has no effect.
    assert b"Energy" not in part.content
    security = {"value": "US0378331005"}
    assert b"US0378331005" in advisor.post(add, {"kind": "do_not_sell", **security}, **htmx).content
    part = advisor.post(add, {"kind": "exclude_security", **security}, **htmx).content.decode()
    assert "“Do not sell: US0378331005” is there already. Ask the client which of the two holds" in part
    with tenant_context(meadow):
        assert mandate.restrictions.get().kind == "do_not_sell"
    sector = {"kind": "exclude_sector", "value": "energy"}
    assert NO_EFFECT in advisor.post(add, sector, **htmx).content.decode()
    with tenant_context(meadow):
        portfolios.security(sector="Energy")
    page = advisor.get(url_of("clients:mandate_detail", mandate.pk)).content.decode()
    assert '<option value="Energy">' in page
    assert NO_EFFECT not in page


def test_the_list_of_mandates_filters_by_state(advisor: Browser, meadow: Institution, people: Cast) -> None:
    with tenant_context(meadow):
        make.active(people.advisor, people.manager)
        make.submitted(people.advisor, of=make.client(people.advisor, "Bea"))
    page = advisor.get(url_of("clients:mandate_list"), {"state": "submitted"}).content.decode()
    assert "Bea Example" in page
    assert "Ada Example" not in page


def test_only_who_may_instruct_the_former_manager_is_led_there_and_while_it_manages(
    browse: Browse, meadow: Institution, people: Cast
) -> None:
    with tenant_context(meadow):
        former = make.active(people.advisor, people.manager)
        following = make.active(people.advisor, people.manager, of=former.client)
        Mandate.objects.filter(pk=following.pk).update(predecessor=former)
        Handover.objects.create(mandate=following, as_of=make.today(), currency="EUR")
    start = url_of("portfolios:handover_start", former.pk)
    pages = [url_of("clients:mandate_detail", following.pk), url_of("portfolios:handover", following.pk)]
    advisor, compliance = browse(meadow, people.advisor), browse(meadow, people.compliance)
    for page in pages:
        assert f'href="{start}"' in advisor.get(page).content.decode()
        seen = compliance.get(page)
        assert seen.status_code == 200
        assert start not in seen.content.decode()
    assert advisor.get(start).status_code == 200
    with tenant_context(meadow):
        services.begin_closing(mandate=former, by=people.manager)
        services.close_mandate(mandate=former, by=people.manager)
    assert advisor.get(start).status_code == 404
    for page in pages:
        assert start not in advisor.get(page).content.decode()
