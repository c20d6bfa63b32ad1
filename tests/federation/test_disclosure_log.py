"""The disclosure log, from real mandates, decisions, versions and suspensions."""

import csv
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_tenants.utils import tenant_context

from accounts.models import Role, RoleAssignment, User
from clients import services
from clients.models import Mandate
from federation.agreements import drafting, life, proposals
from federation.disclosure import Until
from federation.disclosure_log import log_of
from tests import factories
from tests.clients import make as clients_make
from tests.federation.agreements import make
from tests.portfolios.make import portfolio


@pytest.fixture
def submitted(aurora, harbour):
    """Return a way to submit a mandate of a new client at Harbour under its agreement with Aurora."""
    agreement = make.active(aurora, harbour)
    with tenant_context(harbour):
        plan = clients_make.offer(agreement=agreement.pk, origin=aurora.pk)

    def submit(name: str = "Beispiel"):
        advisor = factories.cast().advisor
        return clients_make.submitted(advisor, plan, clients_make.client(advisor, "Nora", name))

    submit.agreement = agreement
    return submit


def test_a_submitted_mandate_is_logged_with_its_authority(submitted, harbour):
    with tenant_context(harbour):
        mandate = submitted()
        (found,) = log_of(harbour)
    assert (found.client_name, found.partner, found.why) == (
        "Nora Beispiel",
        "Aurora Asset Management",
        Until.OPEN,
    )
    assert found.since == mandate.submitted_at
    assert (found.text_version, found.authorised_on) == (
        mandate.disclosure_text,
        mandate.disclosure_authorised_on,
    )
    assert {each.institution for each in found.consents} == {"Aurora", "Harbour"}
    kinds = {each.kind: each.fields for each in found.shared}
    assert "name" in kinds["Client"]
    assert not {"Note", "Task", "Questionnaire", "Offer"} & set(kinds)


def test_a_prospect_is_not_logged(submitted, harbour):
    with tenant_context(harbour):
        advisor = factories.cast().advisor
        clients_make.planned(advisor)
        assert log_of(harbour) == []


def test_a_withdrawn_mandate_ends_the_disclosure(submitted, harbour):
    with tenant_context(harbour):
        mandate = submitted()
        services.withdraw_mandate(mandate=mandate, by=factories.cast().advisor)
        (found,) = log_of(harbour)
    assert found.why is Until.MANDATE_LEFT
    assert found.until is not None


def test_narrowing_and_ending_leave_an_interval_each_and_suspending_an_interruption(
    submitted, aurora, harbour, browse
):
    agreement = submitted.agreement
    with tenant_context(harbour):
        client = submitted().client
    draft = make.act(drafting.revise, agreement, harbour)
    make.act(drafting.withhold, draft, harbour, withheld=["clients.ContactDetail"])
    make.act(proposals.propose, draft, harbour)
    make.act(life.suspend, agreement, aurora)
    for who, path in (("compliance", "/disclosures/"), ("advisor", f"/clients/{client.pk}/disclosures/")):
        assert b"nothing new since" in get(browse, harbour, who, path).content, path
    make.act(life.resume, agreement, aurora)
    make.act(life.cut, agreement, harbour, reason="The end.")
    with tenant_context(harbour):
        found = list(reversed(log_of(harbour)))
    assert [each.why for each in found] == [Until.NEW_VERSION, Until.AGREEMENT_ENDED]
    assert ["Contact detail" in {kind.kind for kind in each.shared} for each in found] == [True, False]
    assert [len(each.interruptions) for each in found] == [0, 1]
    (header, last, _first) = (
        get(browse, harbour, "compliance", "/disclosures/", _export="csv").content.decode().splitlines()
    )
    column = next(csv.reader([header])).index("Nothing new crossed")
    since, until = next(csv.reader([last]))[column].split("/")
    assert since <= until
    assert {each.kept for each in found} == {None}, "it was never accepted"
    answer = get(browse, harbour, "compliance", "/api/v1/disclosures/").json()["results"]
    ((row, earlier),) = [each["disclosures"] for each in answer]
    assert [row["why"], earlier["why"]] == ["agreement_ended", "new_version"]
    assert [kind["kind"] for kind in row["shared"]] == [kind.kind for kind in found[1].shared]
    assert [each["since"][:16] for each in row["interruptions"]] == [since[:16]]
    assert (row["partner"], row["kept"]) == ("Aurora Asset Management", None)
    own = get(browse, harbour, "advisor", "/api/v1/disclosures/").json()["results"]
    assert [each["client"] for each in own] == [str(client.pk)]


def get(browse, institution, who, path, **data):
    with tenant_context(institution):
        user = getattr(factories.cast(), who)
    return browse(institution, user).get(path, data)


def test_the_log_is_compliances_alone(submitted, harbour, browse):
    assert get(browse, harbour, "compliance", "/disclosures/").status_code == 200
    for who in ("administrator", "advisor", "manager", "operations", "stranger"):
        assert get(browse, harbour, who, "/disclosures/").status_code == 404


def test_the_log_is_filtered_and_exported(submitted, harbour, browse):
    with tenant_context(harbour):
        submitted("Muster")
        submitted("Exempel")
    shown = get(browse, harbour, "compliance", "/disclosures/", q="exempel").content.decode()
    assert "Nora Exempel" in shown
    assert "Nora Muster" not in shown
    assert 'data-label="To whom"' in shown
    lines = get(browse, harbour, "compliance", "/disclosures/", _export="csv").content.decode().splitlines()
    assert len(lines) == 3
    assert "Goes on" in lines[1]
    assert "Harbour: Administrator" in lines[1]
    # No field is named twice.
    (mandate,) = re.findall(r"Mandate \(([^)]*)\)", lines[1])
    assert len(set(mandate.split(", "))) == len(mandate.split(", "))
    assert get(browse, harbour, "compliance", "/disclosures/", _export="xlsx").status_code == 200
    everything = get(
        browse, harbour, "compliance", "/disclosures/", on="never", why="bogus", partner="Nobody"
    )
    assert len(everything.context["table"].rows) == 2


def test_the_log_takes_the_same_number_of_queries_whatever_its_length(submitted, harbour):
    with tenant_context(harbour):
        submitted()
        with CaptureQueriesContext(connection) as few:
            log_of(harbour)
        for name in ("Muster", "Exempel", "Sample"):
            submitted(name)
        with CaptureQueriesContext(connection) as many:
            assert len(log_of(harbour)) == 4
    assert len(many) == len(few) <= 14


def test_one_clients_disclosures_are_for_who_may_see_the_client(submitted, harbour, aurora, browse):
    with tenant_context(harbour):
        mandate, cast = submitted(), factories.cast()
        client = mandate.client
        # The client has another portfolio on a desk; who manages that is told nothing of this mandate.
        portfolio(None, "P-1", mandate=mandate)
        second = Mandate.objects.create(
            number="M-2", client=client, status="submitted", submission=1, submitted_at=mandate.submitted_at,
            signed_on=mandate.signed_on,
        )  # fmt: skip
        portfolio(cast.other_unit, "P-2", mandate=second)
        both = User.objects.create(email="both@example.test", full_name="Both", password="!")
        RoleAssignment.objects.create(user=both, role=Role.PORTFOLIO_MANAGER, unit=cast.other_unit)
        RoleAssignment.objects.create(user=both, role=Role.COMPLIANCE, unit=cast.other_unit)
    path = f"/clients/{client.pk}/disclosures/"
    for page in (path, "/disclosures/", f"/api/v1/disclosures/?client={client.pk}"):
        answer = browse(harbour, both).get(page)
        assert (answer.status_code, str(mandate.pk).encode() in answer.content) == (200, False), page
    for who in ("compliance", "advisor"):
        assert b"Aurora Asset Management" in get(browse, harbour, who, path).content
    for who in ("administrator", "stranger"):
        assert get(browse, harbour, who, path).status_code == 404
    assert get(browse, aurora, "compliance", path).status_code == 404
