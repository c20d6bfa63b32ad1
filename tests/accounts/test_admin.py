"""Django's admin: on each institution's domain, for those with a share in it, over every model there is."""

import re
from collections.abc import Callable

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django_tenants.utils import tenant_context

from accounts.models import User
from clients.models import Client
from federation.models import Institution
from tests import factories
from tests.api.test_reading import furnish
from tests.clients import make
from tests.factories import Cast

Browse = Callable[..., Browser]
# A list of fifty rows asks for no more than one of a few.
FIXED = 15


@pytest.fixture
def root(in_aurora: Cast) -> User:
    """Return whom `manage.py createsuperuser` makes."""
    return User.objects.create_superuser("root@example.test", "a long pass phrase", full_name="Root")


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


def test_every_list_and_every_record_opens_and_none_can_be_changed(
    root: User, in_aurora: Cast, aurora: Institution, browse: Browse
) -> None:
    furnish(in_aurora, 1)
    browser = browse(aurora, root)
    index = browser.get("/admin/").content.decode()
    assert f"{aurora.name} ·" in index
    opened = 0
    for model, registered in admin.site._registry.items():
        assert f'href="{_list(model)}"' in index
        word = {"q": "1"} if registered.search_fields else {}
        assert browser.get(_list(model), word).status_code == 200, model
        page = browser.get(_list(model))
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
    assert opened >= 25


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


def test_a_list_takes_as_many_queries_for_many_rows_as_for_few(
    root: User, in_aurora: Cast, aurora: Institution, browse: Browse
) -> None:
    browser = browse(aurora, root)

    def queries() -> dict[str, int]:
        found = {}
        for model in admin.site._registry:
            with tenant_context(aurora), CaptureQueriesContext(connection) as captured:
                assert browser.get(_list(model)).status_code == 200
            found[model.__name__] = len(captured)
        return found

    furnish(in_aurora, 1)
    few = queries()
    for number in range(2, 6):
        furnish(in_aurora, number)
    many = queries()
    assert {name: (few[name], many[name]) for name in few if many[name] > few[name]} == {}
    assert max(many.values()) <= FIXED
    assert Client.objects.count() >= 5


def _list(model: type) -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
