"""What federation answers to the domain apps: whether a mandate may go out, and whose letterhead a report bears."""

import csv

import pytest
from django.urls import reverse
from django_tenants.utils import tenant_context

from accounts.errors import DomainError
from clients.models import Mandate
from clients.signals import mandate_submitting
from federation.agreements import life
from federation.models import Agreement
from models_portfolio.models import Offer
from portfolios.models import Portfolio
from reporting.letterhead import letterhead_of
from tests import factories
from tests.clients import make as clients_make
from tests.federation.agreements import make


@pytest.fixture
def agreement(aurora, harbour):
    """Aurora manages for Harbour."""
    return make.active(aurora, harbour)


def mandate_under(agreement, aurora, **offer) -> Mandate:
    plan = clients_make.offer(agreement=agreement.pk, origin=aurora.pk, **offer)
    return clients_make.chosen(factories.cast().advisor, plan)


def submit(mandate: Mandate, submission: int = 1) -> None:
    mandate.submission = submission
    mandate_submitting.send(sender=Mandate, mandate=mandate, by=None)


def test_a_mandate_goes_out_under_an_agreement_in_force(agreement, aurora, harbour):
    with tenant_context(harbour):
        submit(mandate_under(agreement, aurora))


STOPS = [
    ("suspended", lambda a, p: make.act(life.suspend, a, p), "agreement_takes_none"),
    (
        "no new mandates",
        lambda a, p: make.act(life.suspend, a, p, what="new_mandates"),
        "agreement_takes_none",
    ),
    ("winding down", lambda a, p: make.act(life.wind_down, a, p), "agreement_takes_none"),
    ("cut", lambda a, p: make.act(life.cut, a, p, reason="x"), "agreement_takes_none"),
    ("offer gone", lambda a, p: Offer.objects.all().delete(), "not_offered"),
]


@pytest.mark.parametrize(("why", "stop", "code"), STOPS, ids=[each[0] for each in STOPS])
@pytest.mark.parametrize("by_partner", [False, True])
def test_a_mandate_is_refused_when_the_agreement_takes_none(
    agreement, aurora, harbour, why, stop, code, by_partner
):
    with tenant_context(harbour):
        mandate = mandate_under(agreement, aurora)
    if code == "not_offered":
        with tenant_context(harbour), clients_make.as_mirror():
            stop(agreement, harbour)
    else:
        stop(agreement, aurora if by_partner else harbour)
    with tenant_context(harbour), pytest.raises(DomainError) as refused:
        submit(mandate)
    assert refused.value.code == code


def test_a_closed_offer_takes_no_new_mandate_but_the_answer_to_a_returned_one(agreement, aurora, harbour):
    with tenant_context(harbour):
        mandate = mandate_under(agreement, aurora)
        with clients_make.as_mirror():
            Offer.objects.update(is_open=False)
        with pytest.raises(DomainError) as refused:
            submit(mandate)
        assert refused.value.code == "offer_closed"
        submit(mandate, submission=2)


def test_a_returned_mandate_is_answered_while_new_ones_are_suspended(agreement, aurora, harbour):
    with tenant_context(harbour):
        mandate = mandate_under(agreement, aurora)
    make.act(life.suspend, agreement, aurora, what="new_mandates")
    with tenant_context(harbour):
        submit(mandate, submission=2)


def test_the_inbox_says_at_once_which_mandates_a_suspension_holds_up(agreement, aurora, harbour, browse):
    with tenant_context(aurora):
        clients_make.received(agreement, harbour)
        inbox, url = browse(aurora, factories.cast().manager), reverse("clients:mandate_inbox")
    page = inbox.get(url)
    assert "Theirs" in page.content.decode()
    assert "Suspended" not in page.content.decode()
    make.act(life.suspend, agreement, harbour)
    again = inbox.get(url, {"seen": page.context["mark"]})
    assert "Suspended" in again.content.decode()
    assert again.status_code == 200
    exported = inbox.get(url, {"_export": "csv"}).content.decode("utf-8-sig")
    assert [row["Suspended"] for row in csv.DictReader(exported.splitlines())] == ["yes"]


def test_a_mandate_cannot_name_somebody_elses_agreement(aurora, borealis, harbour, lakeside):
    theirs = make.active(borealis, lakeside)
    with tenant_context(harbour):
        mandate = mandate_under(make.active(aurora, harbour), aurora)
        mandate.agreement = theirs.pk
        with pytest.raises(DomainError) as refused:
            submit(mandate)
    assert refused.value.code == "agreement_not_in_force"


def test_a_mandate_in_house_needs_no_agreement(harbour):
    with tenant_context(harbour):
        submit(clients_make.chosen(factories.cast().advisor, clients_make.offer()))
    assert not Agreement.objects.exists()


def test_a_report_bears_the_letterhead_of_who_has_the_client(aurora, harbour):
    harbour.colour = "#123456"
    harbour.save()
    with tenant_context(aurora):
        received = Portfolio(mandate=Mandate(origin=harbour.pk))
        own = Portfolio(mandate=Mandate())
        assert (letterhead_of(received).name, letterhead_of(received).colour) == ("Harbour Bank", "#123456")
        assert letterhead_of(own).name == "Aurora Asset Management"
