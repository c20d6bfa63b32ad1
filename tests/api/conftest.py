"""A caller of the API: a client that sends a user's token."""

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from django_tenants.utils import tenant_context

from accounts.models import User
from federation.models import Institution
from tests.factories import create_token

Call = Callable[..., Client]
PREFIX = "/api/v1/"


@pytest.fixture(autouse=True)
def unthrottled() -> None:
    """Begin each test with nobody's requests counted."""
    cache.clear()


@pytest.fixture
def call(db: None) -> Call:
    """Return a client on an institution's domain that sends a new token of a user."""

    def on(institution: Institution, user: User | None, *, may_write: bool = True) -> Client:
        headers: dict[str, Any] = {}
        if user is not None:
            with tenant_context(institution):
                _token, text = create_token(
                    user=user,
                    name="Test",
                    expires_at=timezone.now() + datetime.timedelta(days=1),
                    may_write=may_write,
                    by=user,
                )
            headers["authorization"] = f"Bearer {text}"
        return Client(HTTP_HOST=f"{institution.schema_name}.localhost", headers=headers)

    return on


def rows(client: Client, path: str, /, **parameters: Any) -> list[dict[str, Any]]:
    """Return the rows of a list's first page."""
    response = client.get(PREFIX + path, parameters)
    assert response.status_code == 200, response.content
    found: list[dict[str, Any]] = response.json()["results"]
    return found


def post(client: Client, path: str, body: Any = None, **headers: str) -> Any:
    """Send JSON and return the response."""
    return client.post(
        PREFIX + path, body if body is not None else {}, content_type="application/json", headers=headers
    )


def assert_problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """Assert that the response is a problem with this status and code; return it."""
    assert response.status_code == status, response.content
    assert response["Content-Type"].startswith("application/problem+json")
    body: dict[str, Any] = response.json()
    assert body["code"] == code, body
    assert body["status"] == status
    assert body["detail"]
    assert body["title"]
    assert body["type"].endswith(code)
    return body
