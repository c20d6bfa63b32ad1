"""Tokens: whose they are, where they count, and what they may do."""

import datetime

import pytest
from django.core.cache import cache
from django.test import Client as Caller
from django.utils import timezone
from django_tenants.utils import tenant_context
from rest_framework.throttling import UserRateThrottle

from accounts.models import ApiToken, User
from accounts.services import tokens
from federation.agreements.tokens import make_token
from federation.models import Institution
from tests.api.conftest import Call, assert_problem, post
from tests.factories import Cast
from tests.federation.agreements import make as agreements

ME = "/api/v1/clients/"


def bearer(institution: Institution, text: str) -> Caller:
    return Caller(HTTP_HOST=f"{institution.schema_name}.localhost", headers={"authorization": text})


def test_without_a_token_nothing_is_read(aurora: Institution, call: Call) -> None:
    response = call(aurora, None).get(ME)
    assert_problem(response, 401, "not_authenticated")
    assert response["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "text",
    ["Bearer nonsense", "Bearer rbu_000000000000_secret", "Bearer rbu__", "Basic YTpi", "Bearer", "rbu_x"],
)
def test_what_is_no_token_is_refused(text: str, aurora: Institution) -> None:
    assert_problem(bearer(aurora, text).get(ME), 401, "authentication_failed")


def test_a_token_counts_at_its_own_institution_alone(
    in_aurora: Cast, aurora: Institution, borealis: Institution, call: Call
) -> None:
    caller = call(aurora, in_aurora.operations)
    response = caller.get(ME)
    assert response.status_code == 200
    assert response["Cache-Control"] == "private, no-store"
    assert_problem(caller.get(ME, headers={"host": "borealis.localhost"}), 401, "authentication_failed")


def test_a_token_ends_when_it_expires_is_revoked_or_its_user_leaves(
    in_aurora: Cast, aurora: Institution, call: Call
) -> None:
    caller = call(aurora, in_aurora.operations)
    token = ApiToken.objects.get()
    assert caller.get(ME).status_code == 200
    token.refresh_from_db()
    assert token.last_used_at is not None
    ApiToken.objects.update(expires_at=timezone.now())
    assert_problem(caller.get(ME), 401, "authentication_failed")
    ApiToken.objects.update(expires_at=timezone.now() + datetime.timedelta(1))
    User.objects.filter(pk=in_aurora.operations.pk).update(is_active=False)
    assert_problem(caller.get(ME), 401, "authentication_failed")
    User.objects.update(is_active=True)
    assert caller.get(ME).status_code == 200
    tokens.revoke_token(token=token, by=in_aurora.administrator)
    assert_problem(caller.get(ME), 401, "authentication_failed")


def test_a_reading_token_does_not_write(in_aurora: Cast, aurora: Institution, call: Call) -> None:
    caller = call(aurora, in_aurora.advisor, may_write=False)
    assert caller.get(ME).status_code == 200
    assert_problem(post(caller, "clients/", {}), 403, "permission_denied")


def test_a_role_without_the_right_does_not_write(in_aurora: Cast, aurora: Institution, call: Call) -> None:
    body = assert_problem(post(call(aurora, in_aurora.compliance), "clients/", {}), 403, "permission_denied")
    assert "client.edit" in body["detail"]


def test_the_browsers_session_writes_only_from_its_own_pages(in_aurora: Cast, aurora: Institution) -> None:
    caller = Caller(enforce_csrf_checks=True, HTTP_HOST="aurora.localhost")
    with tenant_context(aurora):
        caller.force_login(in_aurora.advisor, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert caller.get(ME).status_code == 200
    assert_problem(post(caller, "clients/", {}), 403, "permission_denied")


def test_an_agreements_token_reaches_what_the_agreement_shares_and_nothing_else(
    in_aurora: Cast, aurora: Institution, meadow: Institution
) -> None:
    agreement = agreements.active(aurora, meadow, "advice")
    expires = timezone.now() + datetime.timedelta(days=1)
    _token, text = make_token(
        agreement, by=in_aurora.administrator, institution=aurora, name="Meadow", expires_at=expires
    )
    partner = bearer(aurora, f"Bearer {text}")
    for name in ("models", "versions", "views"):
        assert partner.get(f"/api/v1/agreement/{name}/").status_code == 200
    from tests.api.test_reading import PATHS

    for path in (*PATHS, "agreements/", "streams/"):
        assert_problem(partner.get(f"/api/v1/{path}"), 401, "authentication_failed")
    assert_problem(post(partner, "clients/", {}), 401, "authentication_failed")


def test_a_users_token_is_no_agreements_token(in_aurora: Cast, aurora: Institution, call: Call) -> None:
    response = call(aurora, in_aurora.manager).get("/api/v1/agreement/models/")
    assert response.status_code == 401
    assert response["Content-Type"].startswith("application/problem+json")


@pytest.mark.parametrize(
    "path", ["/api/", "/api/v1/", "/api/v1/nothing/", "/api/v2/clients/", "/api/v1/clients/x/"]
)
def test_an_unknown_path_is_a_problem_too(
    path: str, in_aurora: Cast, aurora: Institution, call: Call
) -> None:
    assert_problem(call(aurora, in_aurora.operations).get(path), 404, "not_found")


def test_a_method_a_format_and_a_body_that_do_not_fit_are_problems(
    in_aurora: Cast, aurora: Institution, call: Call
) -> None:
    caller = call(aurora, in_aurora.advisor)
    assert_problem(caller.delete(ME), 405, "method_not_allowed")
    assert_problem(caller.get(ME, headers={"accept": "text/html"}), 406, "not_acceptable")
    assert_problem(caller.post(ME, "{", content_type="application/json"), 400, "parse_error")
    nested = "[" * 100_000 + "]" * 100_000
    assert_problem(caller.post(ME, nested, content_type="application/json"), 400, "parse_error")
    assert_problem(caller.post(ME, "a=1", content_type="text/plain"), 415, "unsupported_media_type")


def test_too_many_requests_are_told_when_to_go_on(
    in_aurora: Cast, aurora: Institution, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(UserRateThrottle, "get_rate", lambda self: "2/min")
    cache.clear()
    caller = call(aurora, in_aurora.advisor)
    statuses = [caller.get("/api/v1/schema/").status_code for _each in range(3)]
    assert statuses == [200, 200, 429]
    response = caller.get("/api/v1/schema/")
    assert_problem(response, 429, "throttled")
    assert int(response["Retry-After"]) > 0


def test_an_unexpected_error_is_a_problem_without_particulars(
    in_aurora: Cast, aurora: Institution, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    from config.api.clients import Clients

    def broken(self: object, queryset: object) -> None:
        raise ZeroDivisionError("particulars")

    monkeypatch.setattr(Clients, "narrow", broken)
    caller = call(aurora, in_aurora.operations)
    caller.raise_request_exception = False
    body = assert_problem(caller.get(ME), 500, "server_error")
    assert "particulars" not in str(body)
