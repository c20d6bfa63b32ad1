"""Django's admin: on each institution's domain, for those with a share in it, over all models but a few named here."""

import datetime
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_tenants.utils import tenant_context

from accounts.models import User
from clients.models import Client
from federation.agreements.tokens import make_token
from federation.models import (
    AgreementToken,
    Alert,
    Institution,
    ParkedRow,
    Proof,
    Stream,
    Suspension,
    Watch,
)
from tests import factories
from tests.api.test_reading import furnish
from tests.clients import make
from tests.factories import Cast
from tests.federation.agreements import make as agreements
from tests.federation.monitor.browsing import park, stream_of

Browse = Callable[..., Browser]
# A list of fifty rows asks for no more than one of a few.
FIXED = 15
OURS = ("accounts", "clients", "portfolios", "models_portfolio", "trading", "reporting", "federation")
# What is sealed, or names it; what a mirror has in hand, and its figures; answers that were sent; and what
# stands on the page of another record, or on none.
NOT_THERE = {
    "SealedRecords", "SealedKeys", "SealedErasure", "SealedAccess", "RecordsHold", "StreamWork", "Arrival",
    "SharedSecurity", "SharedCurrency", "StreamFigures", "ApiRequest", "RoleAssignment", "ProposalLine", "Target",
}  # fmt: skip


@pytest.fixture
def root(in_aurora: Cast) -> User:
    """Return whom `manage.py createsuperuser` makes."""
    return User.objects.create_superuser("root@example.test", "a long pass phrase", full_name="Root")


def agree(one: Institution, other: Institution) -> Stream:
    """Have two institutions agree, with one of everything that comes of it; return the stream from the first."""
    agreement = agreements.active(one, other)
    stream = stream_of(agreement, one)
    park(stream)
    Proof.objects.create(stream=stream, pending=4321)
    Stream.objects.filter(pk=stream.pk).update(last_duration_ms=8765)
    for party in (one, other):
        Suspension.objects.create(
            agreement=agreement, institution=party, what="new_mandates", suspended_by_name="Ada",
            resumed_at=timezone.now(),
        )  # fmt: skip
        Alert.objects.create(stream=stream, institution=party, kind="parked", count=1)
        Watch.objects.get_or_create(agreement=agreement, institution=party)
    expires = timezone.now() + datetime.timedelta(days=1)
    agreements.act(make_token, agreement, one, name="Their system", expires_at=expires)
    return stream


def private(client: Client) -> None:
    """Add what an institution keeps of a client for itself."""
    day = datetime.date(2026, 3, 2)
    client.notes.create(text="Called")
    client.tasks.create(title="Call again", due_date=day)
    client.questionnaires.create(version="1", answered_on=day)
    client.kyc_evidence.create(kind="passport", reference="P", seen_on=day)


def test_everybody_else_finds_no_admin(in_aurora: Cast, aurora: Institution, browse: Browse) -> None:
    for person in (in_aurora.administrator, in_aurora.compliance, in_aurora.manager):
        browser = browse(aurora, person)
        for path in ("/admin/", "/admin/clients/client/", "/admin/login/", "/admin/nothing/"):
            assert browser.get(path).status_code == 404
    stranger = browse(aurora)
    answer = stranger.get("/admin/clients/client/")
    assert answer["Location"] == "/accounts/login/?next=/admin/clients/client/"


def test_whoever_may_signs_in_where_everybody_does(root: User, aurora: Institution, browse: Browse) -> None:
    browser = browse(aurora)
    asked = browser.get("/admin/clients/client/")["Location"]
    answer = browser.post(asked, {"login": root.email, "password": "a long pass phrase"}, follow=True)
    assert answer.redirect_chain[-1][0] == "/admin/clients/client/"
    assert answer.status_code == 200
    assert b'href="/admin/"' in browser.get("/profile/").content


def test_staff_without_permissions_see_no_record(
    in_aurora: Cast, aurora: Institution, browse: Browse
) -> None:
    furnish(in_aurora, 1)
    in_aurora.stranger.is_staff = True
    in_aurora.stranger.save()
    browser = browse(aurora, in_aurora.stranger)
    assert browser.get("/admin/").status_code == 200
    for model in admin.site._registry:
        assert browser.get(_list(model)).status_code == 403, model


def test_every_list_and_every_record_opens_and_none_can_be_changed_however_many_there_are(
    root: User,
    in_aurora: Cast,
    aurora: Institution,
    harbour: Institution,
    meadow: Institution,
    browse: Browse,
) -> None:
    furnish(in_aurora, 1)
    agree(aurora, harbour)
    private(Client.objects.get())
    browser = browse(aurora, root)
    index = browser.get("/admin/").content.decode()
    assert f"{aurora.name} ·" in index
    few, opened = {}, 0
    for model, registered in admin.site._registry.items():
        assert f'href="{_list(model)}"' in index
        if registered.search_fields:
            assert browser.get(_list(model), {"q": "1"}).status_code == 200, model
        page, few[model.__name__] = _counted(browser, aurora, model)
        links = re.findall(rf'href="({_list(model)}[^"?]+/change/)', page.content.decode())
        assert bool(links) == bool(page.context["cl"].result_count), model
        for path in links[:1]:
            assert browser.get(path).status_code == 200, path
            assert browser.post(path, {"name": "Changed"}).status_code == 403, path
            assert browser.post(path.replace("/change/", "/delete/"), {"post": "yes"}).status_code == 403, (
                path
            )
            opened += 1
        assert browser.post(f"{_list(model)}add/").status_code == 403, model
    assert opened >= 45
    there = {model._meta.object_name for model in admin.site._registry if model._meta.app_label in OURS}
    every = {model.__name__ for label in OURS for model in apps.get_app_config(label).get_models()}
    assert every - there == NOT_THERE

    agree(meadow, aurora)
    for number in range(2, 6):
        private(furnish(in_aurora, number).mandate.client)
    many = {model.__name__: _counted(browser, aurora, model)[1] for model in admin.site._registry}
    assert {name: (few[name], many[name]) for name in few if many[name] > few[name]} == {}
    assert max(many.values()) <= FIXED
    assert Client.objects.count() >= 5


def _counted(browser: Browser, institution: Institution, model: type) -> tuple[Any, int]:
    """Open the list of a model; return the page, and how many queries it took."""
    with tenant_context(institution), CaptureQueriesContext(connection) as captured:
        page = browser.get(_list(model))
    assert page.status_code == 200, model
    return page, len(captured)


def test_second_factors_and_addresses_of_libraries_are_not_there(
    root: User, aurora: Institution, browse: Browse
) -> None:
    browser = browse(aurora, root)
    for path in ("mfa/authenticator/", "account/emailaddress/", "auth/group/", "r/1/x/"):
        assert browser.get(f"/admin/{path}").status_code == 404, path


@pytest.mark.parametrize(
    "asked", ["user/?password__startswith=pbkdf2", "auditentry/?at__year=0", "user/?is_active__year=99999"]
)
def test_a_list_is_filtered_by_what_it_offers_alone(
    asked: str, root: User, aurora: Institution, browse: Browse
) -> None:
    assert browse(aurora, root).get(f"/admin/accounts/{asked}").status_code == 400
    assert browse(aurora, root).get("/admin/accounts/user/?is_active__exact=1").status_code == 200


def test_the_records_of_another_institution_are_not_there(
    root: User, in_aurora: Cast, aurora: Institution, harbour: Institution, browse: Browse
) -> None:
    with tenant_context(harbour):
        theirs = make.client(factories.cast().advisor, "Zacharias", "Unmistakable")
    browser = browse(aurora, root)
    assert b"Unmistakable" not in browser.get("/admin/clients/client/").content
    assert (
        browser.get(f"/admin/clients/client/{theirs.pk}/change/", follow=True).redirect_chain[-1][0]
        == "/admin/"
    )
    # Nor does the session open the admin there.
    browser.defaults["HTTP_HOST"] = "harbour.localhost"
    assert browser.get("/admin/clients/client/").status_code == 302


def test_of_agreements_it_has_what_the_institutions_own_pages_tell(
    root: User, aurora: Institution, harbour: Institution, meadow: Institution, browse: Browse
) -> None:
    ours, inwards, theirs = agree(aurora, harbour), agree(meadow, aurora), agree(harbour, meadow)
    browser = browse(aurora, root)

    def keys(model: type) -> set[str]:
        page = browser.get(_list(model)).content.decode()
        return set(re.findall(rf'href="{_list(model)}([^"?]+)/change/', page))

    for model in (Suspension, ParkedRow, Proof, Stream):
        path = "agreement" if hasattr(model, "agreement") else "stream__agreement"
        rows = model.objects.filter(**{f"{path}__in": [ours.agreement, inwards.agreement]})
        assert keys(model) == {str(row.pk) for row in rows}, model
        assert model.objects.count() > rows.count()
    assert str(theirs.pk) not in keys(Stream)
    for model in (Alert, Watch):
        assert keys(model) == {str(row.pk) for row in model.objects.filter(institution=aurora)}, model
    (token,) = keys(AgreementToken)
    shown = browser.get(f"{_list(AgreementToken)}{token}/change/").content.decode()
    found = AgreementToken.objects.get(pk=token)
    assert found.issuer == aurora
    assert "Their system" in shown
    assert found.secret_hash not in shown
    # The owner's log holds other clients' changes too.
    for stream, is_told in ((ours, True), (inwards, False)):
        page = browser.get(f"{_list(Stream)}{stream.pk}/change/").content.decode()
        proof = browser.get(f"{_list(Proof)}{stream.proofs.get().pk}/change/").content.decode()
        assert ("8765" in page, "4321" in proof) == (is_told, is_told)


def _list(model: type) -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
