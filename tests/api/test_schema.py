"""The documentation: valid, complete, served from here, and true (schemathesis tries each operation)."""

import datetime
import re
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from typing import Any

import pytest
import schemathesis
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.test import Client as Caller
from django.urls import URLPattern
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from accounts.models import Role, RoleAssignment
from config.api import urls
from config.wsgi import application
from federation.agreements.tokens import make_token
from federation.models import Institution
from tests.api.conftest import Call
from tests.api.test_reading import furnish
from tests.factories import Cast, create_token
from tests.federation.agreements import make as agreements

Browse = Callable[..., Caller]
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
]  # fmt: skip


@cache
def document() -> dict[str, Any]:
    generated: dict[str, Any] = SchemaGenerator(urlconf="config.urls").get_schema(request=None, public=True)
    return generated


def test_the_schema_is_valid_and_names_everything_once(capsys: pytest.CaptureFixture[str]) -> None:
    found = document()
    operations = [operation for methods in found["paths"].values() for operation in methods.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names)) > 50
    assert all(
        operation["description"] for operation in operations if "schema" not in operation["operationId"]
    )
    assert not any("kind9" in name.lower() for name in found["components"]["schemas"])
    call_command(
        "spectacular", "--fail-on-warn", "--validate", "--format", "openapi-json", "--file", "/dev/null"
    )


def test_problems_are_documented_where_they_occur() -> None:
    found = document()
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            assert "429" in operation["responses"], path
            if method == "post":
                assert operation["responses"]["422"]["content"].keys() == {"application/problem+json"}


def test_the_documentation_is_served_from_here_alone_to_those_who_sign_in(
    in_aurora: Cast, aurora: Institution, browse: Browse
) -> None:
    stranger = browse(aurora).get("/api/v1/docs/")
    assert stranger["Location"].startswith("/accounts/login/")
    reader = browse(aurora, in_aurora.advisor)
    paths = [route.pattern for route in urls.urlpatterns if isinstance(route, URLPattern)]
    pages = [reader.get(f"/api/v1/{path}") for path in paths if str(path) != "schema/"]
    for page in pages:
        assert page.status_code == 200
        text = page.content.decode()
        named = re.findall(r"""(?:src|href)=["']([^"']+)""", text)
        assert "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js" in named
        assert not [path for path in named if not re.match("/[^/]", path)]
        assert "//" not in text
        # Whatever the scripts would like to call: the browser refuses.
        assert "default-src 'self';" in page["Content-Security-Policy"]
    script = reader.get("/api/v1/docs/?script=").content.decode()
    assert 'url: "/api/v1/schema/"' in script
    assert '"validatorUrl": null' in script


def test_whoever_may_call_reads_the_schema(
    in_aurora: Cast, aurora: Institution, meadow: Institution, call: Call, browse: Browse
) -> None:
    assert browse(aurora).get("/api/v1/schema/").status_code == 401
    assert call(aurora, in_aurora.advisor).get("/api/v1/schema/").status_code == 200
    partner = {"Authorization": f"Bearer {_partner_token(aurora, meadow)}", "Accept": "application/json"}
    assert browse(aurora).get("/api/v1/schema/", headers=partner).status_code == 200


def _partner_token(issuer: Institution, partner: Institution) -> str:
    agreement = agreements.active(issuer, partner, "advice")
    expires = timezone.now() + datetime.timedelta(days=1)
    _row, text = agreements.act(make_token, agreement, issuer, name="Their system", expires_at=expires)
    return str(text)


# Each operation is tried some times with what its schema allows, by a person with every role, so that
# rows come back and are checked as well.


@pytest.fixture
def everybody(in_aurora: Cast, aurora: Institution) -> str:
    """Return the token of somebody with all roles, in an institution with one of everything."""
    furnish(in_aurora, 1)
    user = in_aurora.operations
    for role in Role:
        RoleAssignment.objects.get_or_create(user=user, role=role, unit=None)
    expires = timezone.now() + datetime.timedelta(days=1)
    _row, text = create_token(user=user, name="Test", expires_at=expires, may_write=True, by=user)
    return text


def _operations() -> Any:
    loaded = schemathesis.openapi.from_dict(deepcopy(document()))
    loaded.app = application
    return loaded.include(path_regex="^/api/v1/(?!schema)")


def test_each_operation_answers_as_documented(
    everybody: str, aurora: Institution, meadow: Institution, monkeypatch: pytest.MonkeyPatch
) -> None:
    partner = _partner_token(aurora, meadow)
    headers = {"Host": "aurora.localhost"}
    monkeypatch.setattr("rest_framework.throttling.UserRateThrottle.allow_request", lambda *_args: True)
    # The application would give up the connection, and with it the test's transaction, after each call.
    for signal in (request_started, request_finished):
        monkeypatch.setattr(signal, "receivers", [])
        signal.sender_receivers_cache.clear()
    tried = 0
    for result in _operations().get_all_operations():
        operation = result.ok()
        token = partner if operation.path.startswith("/api/v1/agreement/") else everybody
        headers["Authorization"] = f"Bearer {token}"

        # An id that is made up names nothing, and tried again it names nothing again.
        examples = 1 if "{id}" in operation.path else 5

        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def attempt(case: Any) -> None:
            response = case.call(headers=headers)
            case.validate_response(response, checks=CHECKS)

        attempt()
        tried += 1
    assert tried > 45


def test_a_caller_without_token_learns_nothing(aurora: Institution) -> None:
    caller = Caller(HTTP_HOST="aurora.localhost")
    for path, methods in document()["paths"].items():
        if "get" in methods and "{" not in path:
            response = caller.get(path)
            assert response.status_code == 401, path
            assert response["Content-Type"].startswith("application/problem+json")
