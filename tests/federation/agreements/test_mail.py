"""Who is told by e-mail of what a partner has done to an agreement."""

import datetime

import pytest
from django.utils import timezone
from django_tenants.utils import tenant_context

from federation.agreements import drafting, life, mail, proposals
from federation.models import AgreementEvent
from tests import factories
from tests.federation.agreements import make


@pytest.fixture
def told(mailoutbox):
    """Return what was told since the last time: subject, text and the role of who reads it, by institution."""

    def since(institution) -> list[tuple[str, str, str]]:
        with tenant_context(institution):
            cast = factories.cast()
            roles = {
                getattr(cast, role).email: role
                for role in ("administrator", "compliance", "manager", "advisor")
            }
        mail.deliver()
        found = [
            (each.subject, each.body, roles[each.to[0]]) for each in mailoutbox if is_for(each, institution)
        ]
        mailoutbox.clear()
        return found

    def is_for(message, institution) -> bool:
        return f"://{institution.schema_name}." in message.body

    return since


def test_a_proposal_is_told_to_the_other_partys_administrators_once(aurora, harbour, told):
    version = make.proposed(aurora, harbour)
    ((subject, text, role),) = told(harbour)
    assert (subject, role) == (f"{version.agreement.name}: Proposed", "administrator")
    assert "By Aurora Asset Management" in text
    assert f"/agreements/{version.agreement_id}/" in text
    assert told(harbour) == []


def test_who_proposed_is_told_the_answer_and_why(aurora, harbour, told):
    version = make.proposed(aurora, harbour)
    told(harbour)
    make.act(proposals.decline, version, harbour, reason="Too wide.")
    ((subject, text, _role),) = told(aurora)
    assert subject.endswith(": Declined")
    assert "Too wide." in text


@pytest.mark.parametrize(
    ("service", "word"),
    [
        (life.suspend, "Everything suspended"),
        (life.wind_down, "Winding down begun"),
        (life.terminate, "Terminated"),
        (life.cut, "Cut off in an emergency"),
    ],
)
def test_what_stops_or_ends_an_agreement_is_told_with_its_reason(aurora, harbour, told, service, word):
    agreement = make.active(aurora, harbour)
    told(aurora)
    make.act(service, agreement, harbour, reason="We found a leak.")
    found = told(aurora)
    assert {subject for subject, _text, _role in found} == {f"{agreement.name}: {word}"}
    assert all("We found a leak." in text for _subject, text, _role in found)
    ends = service in {life.terminate, life.cut}
    assert {role for _subject, _text, role in found} == {"administrator", *(["compliance"] if ends else [])}


def test_a_partner_that_suspends_and_resumes_again_and_again_is_told_of_once_an_hour(aurora, harbour, told):
    agreement = make.active(aurora, harbour)
    told(aurora)
    make.act(life.suspend, agreement, harbour)
    assert len(told(aurora)) == 1
    for _round in range(2):
        make.act(life.resume, agreement, harbour)
        make.act(life.suspend, agreement, harbour, reason="Once more.")
        assert told(aurora) == []
    # The other party's own switch, and what is no switch, are told at once.
    make.act(life.suspend, agreement, aurora, what="new_mandates")
    ((subject, _text, _role),) = told(harbour)
    assert subject.endswith(": New mandates suspended")
    make.act(life.wind_down, agreement, harbour)
    ((subject, _text, _role),) = told(aurora)
    assert subject.endswith(": Winding down begun")
    AgreementEvent.objects.filter(mailed_at__isnull=False).update(
        mailed_at=timezone.now() - mail.BETWEEN_MAILS
    )
    ((subject, text, _role),) = told(aurora)
    assert subject.endswith(": Everything suspended")
    assert "Once more." in text
    assert "3 earlier lines since you were last told. Now everything is suspended." in text
    assert told(aurora) == []


def test_a_partner_that_proposes_and_withdraws_again_and_again_is_told_of_once_an_hour(aurora, harbour, told):
    version = make.proposed(aurora, harbour)
    assert len(told(harbour)) == 1
    for _round in range(2):
        draft = make.act(proposals.withdraw, version, aurora)
        version = make.act(proposals.propose, draft, aurora)
        assert told(harbour) == []
    AgreementEvent.objects.filter(mailed_at__isnull=False).update(
        mailed_at=timezone.now() - mail.BETWEEN_MAILS
    )
    ((subject, text, _role),) = told(harbour)
    assert subject.endswith(": Proposed")
    assert "It waits for your answer." in text
    assert "3 earlier lines since you were last told." in text

    # What follows upon an answer is told at once; what was answered before it was told is no news.
    make.act(proposals.decline, version, harbour, reason="Too wide.")
    version = make.act(proposals.propose, make.act(drafting.revise, version.agreement, aurora), aurora)
    version = make.act(proposals.propose, make.act(proposals.withdraw, version, aurora), aurora)
    ((subject, text, _role),) = told(harbour)
    assert subject.endswith(": Proposed")
    version = make.act(proposals.propose, make.act(proposals.withdraw, version, aurora), aurora)
    assert told(harbour) == []
    make.act(proposals.decline, version, harbour, reason="Still too wide.")
    assert told(harbour) == []


def test_nobody_is_told_of_what_they_did_or_of_what_is_old(aurora, harbour, told):
    agreement = make.active(aurora, harbour)
    told(aurora)
    make.act(life.suspend, agreement, harbour)
    assert told(harbour) == []
    make.act(life.resume, agreement, harbour)
    AgreementEvent.objects.filter(kind="resumed").update(
        at=AgreementEvent.objects.latest("at").at - datetime.timedelta(days=3)
    )
    assert told(aurora) == []
