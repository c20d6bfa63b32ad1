"""The platform's front page tells nobody who works with whom, unless both parties agreed."""

import pytest
from django.test import Client
from django_tenants.utils import tenant_context

from accounts.models import User
from federation.agreements import life
from federation.models import Agreement, Institution
from federation.views.public import entrance_token
from tests import factories
from tests.federation.agreements import make


@pytest.fixture
def visitor(db):
    """Return somebody who comes to the platform's own host."""
    return Client(HTTP_HOST="localhost")


def relations(answer) -> list[str]:
    return [agreement.name for agreement in answer.context["relations"]]


def test_the_front_page_leads_to_each_institutions_sign_in(visitor):
    text = visitor.get("/").content.decode()
    for schema, name in factories.STANDING.items():
        assert name in text
        assert f"//{schema}.localhost/accounts/login/" in text


@pytest.mark.parametrize("demo", [False, True])
def test_who_works_with_whom_stays_confidential(aurora, harbour, visitor, settings, demo):
    settings.DEMO = demo
    make.active(aurora, harbour)
    answer = visitor.get("/")
    assert relations(answer) == []
    assert b"works with Aurora" not in answer.content
    assert b"works with Harbour" not in answer.content
    assert answer.context["picture"] is None


def test_one_consent_is_not_enough_and_two_are(aurora, harbour, lakeside, visitor):
    agreement = make.active(aurora, harbour)
    make.active(aurora, lakeside)
    make.act(life.list_publicly, agreement, aurora, agreed=True)
    assert relations(visitor.get("/")) == []
    make.act(life.list_publicly, agreement, harbour, agreed=True)
    assert relations(visitor.get("/")) == ["Aurora – Harbour"]
    make.act(life.list_publicly, agreement, aurora, agreed=False)
    assert relations(visitor.get("/")) == []


def test_an_agreement_that_is_not_in_force_is_never_shown(aurora, harbour, visitor):
    agreement = make.active(aurora, harbour)
    for party in (aurora, harbour):
        make.act(life.list_publicly, agreement, party, agreed=True)
    make.act(life.terminate, agreement, aurora)
    assert relations(visitor.get("/")) == []


def test_demo_institutions_are_shown_together_in_demo_mode_alone(aurora, harbour, visitor, settings):
    make.active(aurora, harbour)
    Institution.objects.update(is_demo=True)
    settings.DEMO = False
    assert relations(visitor.get("/")) == []
    settings.DEMO = True
    assert relations(visitor.get("/")) == ["Aurora – Harbour"]


def test_a_stale_session_cookie_does_not_break_the_platforms_own_pages(visitor):
    visitor.cookies["sessionid"] = "a-session-of-something-else-here"
    assert visitor.get("/").status_code == 200
    assert visitor.get("/nothing/").status_code == 404


def test_institutions_pages_are_not_on_the_platforms_host(visitor):
    for path in ("/agreements/", "/accounts/login/", "/admin/"):
        assert visitor.get(path).status_code == 404


@pytest.fixture
def advisor(harbour) -> User:
    """A person of Harbour's."""
    with tenant_context(harbour):
        return factories.cast().advisor


def test_a_demo_person_is_signed_in_by_one_click(harbour, advisor, browse, settings):
    settings.DEMO = True
    Institution.objects.update(is_demo=True)
    client = browse(harbour)
    assert client.get(f"/demo/{entrance_token(harbour, advisor.pk)}/").status_code == 302
    assert client.session["_auth_user_id"] == str(advisor.pk)


@pytest.mark.parametrize("case", ["demo mode off", "no demo institution", "another institution", "forged"])
def test_nobody_is_signed_in_by_a_link_that_is_not_for_this(harbour, aurora, advisor, browse, settings, case):
    settings.DEMO = case != "demo mode off"
    Institution.objects.update(is_demo=case != "no demo institution")
    token = entrance_token(harbour, advisor.pk)
    if case == "forged":
        token = token[:-2] + "xx"
    client = browse(aurora if case == "another institution" else harbour)
    assert client.get(f"/demo/{token}/").status_code == 404
    assert "_auth_user_id" not in client.session


def test_without_demo_mode_the_front_page_names_no_person(visitor, settings):
    Institution.objects.update(is_demo=True)
    settings.DEMO = False
    assert b"/demo/" not in visitor.get("/").content
    settings.DEMO = True
    assert b"/demo/" in visitor.get("/").content
    assert not Agreement.objects.exists()
