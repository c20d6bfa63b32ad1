"""The documentation: valid, complete, served from here, and true (schemathesis tries each operation)."""

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client as Caller
from django.utils import timezone
from django_tenants.utils import tenant_context
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from accounts.models import User
from accounts.services.tokens import create_token
from config.wsgi import application
from federation.models import Institution
from tests.api.conftest import Call
from tests.api.test_reading import furnish
from tests.factories import Cast, cast

CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
]  # fmt: skip


def document() -> dict[str, Any]:
    generated: dict[str, Any] = SchemaGenerator(urlconf="config.urls").get_schema(request=None, public=True)
    return generated


def test_the_schema_is_valid_and_names_everything_once(capsys: pytest.CaptureFixture[str]) -> None:
    found = document()
    validate_schema(found)
    operations = [
        operation for methods in found["paths"].values() for operation in methods.values()
    ]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names)) > 50
    assert all(operation["description"] for operation in operations if "schema" not in operation["operationId"])
    assert not any("kind9" in name.lower() for name in found["components"]["schemas"])
    call_command("spectacular", "--fail-on-warn", "--validate", "--file", "/dev/null")


def test_problems_are_documented_where_they_occur() -> None:
    found = document()
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            assert "429" in operation["responses"], path
            if method == "post":
                assert operation["responses"]["422"]["content"].keys() == {"application/problem+json"}


@pytest.mark.parametrize("path", ["docs", "redoc"])
def test_the_documentation_is_served_from_here(path: str, aurora: Institution, call: Call) -> None:
    page = call(aurora, None).get(f"/api/v1/{path}/")
    assert page.status_code == 200
    text = page.content.decode()
    assert "/api/v1/schema/" in text
    assert "cdn." not in text
    assert "//unpkg" not in text
    assert "/static/drf_spectacular_sidecar/" in text


# Each operation is tried some times with what its schema allows and forbids. The whole institution
# is there for the cast's most far-reaching person, so that rows come back and are checked as well.


@pytest.fixture
def institution(in_aurora: Cast, aurora: Institution) -> Iterator[dict[str, str]]:
    furnish(in_aurora, 1)
    cache.clear()
    yield {
        role: f"Bearer {_token(aurora, getattr(in_aurora, role))}"
        for role in ("advisor", "operations", "manager", "administrator")
    }


def _token(institution: Institution, user: User) -> str:
    with tenant_context(institution):
        _row, text = create_token(
            user=user,
            name="Test",
            expires_at=timezone.now() + datetime.timedelta(days=1),
            may_write=True,
            by=user,
        )
    return text


def _operations() -> Any:
    loaded = schemathesis.openapi.from_dict(document())
    loaded.app = application
    return loaded.include(path_regex="^/api/v1/(?!schema|agreement/)")


@pytest.mark.parametrize("role", ["advisor", "operations"])
def test_each_operation_answers_as_documented(
    role: str, institution: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {"Authorization": institution[role], "Host": "aurora.localhost"}
    monkeypatch.setattr("rest_framework.throttling.UserRateThrottle.allow_request", lambda *_args: True)
    tried = 0
    for result in _operations().get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=8,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @_given(operation)
        def attempt(case: Any) -> None:
            response = case.call(headers=headers)
            case.validate_response(response, checks=CHECKS)

        attempt()
        tried += 1
    assert tried > 45
    assert cast().advisor


def _given(operation: Any) -> Any:
    from hypothesis import given

    return given(case=operation.as_strategy())


def test_a_caller_without_token_learns_nothing(aurora: Institution) -> None:
    caller = Caller(HTTP_HOST="aurora.localhost")
    for path, methods in document()["paths"].items():
        if "get" in methods and "{" not in path and "schema" not in path:
            response = caller.get(path)
            assert response.status_code == 401, path
            assert response["Content-Type"].startswith("application/problem+json")
