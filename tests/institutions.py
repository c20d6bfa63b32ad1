"""Fixtures that put a test inside one of the standing institutions."""

from collections.abc import Callable, Iterator

import pytest
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection
from django.test import Client
from django_tenants.utils import tenant_context

from accounts.models import User
from federation.models import Institution
from tests import factories


@pytest.fixture(autouse=True)
def public_schema() -> None:
    """Begin each test outside of the institution whose page the test before asked for last."""
    connection.set_schema_to_public()


def _standing(schema: str) -> Institution:
    return Institution.objects.get(schema_name=schema)


@pytest.fixture
def aurora(db: None) -> Institution:
    """A manager."""
    return _standing("aurora")


@pytest.fixture
def borealis(db: None) -> Institution:
    """A second manager."""
    return _standing("borealis")


@pytest.fixture
def harbour(db: None) -> Institution:
    """A sales channel."""
    return _standing("harbour")


@pytest.fixture
def lakeside(db: None) -> Institution:
    """A second sales channel."""
    return _standing("lakeside")


@pytest.fixture
def meadow(db: None) -> Institution:
    """A channel that manages its own clients by the models of others."""
    return _standing("meadow")


@pytest.fixture
def in_aurora(aurora: Institution) -> Iterator[factories.Cast]:
    """Run the test in Aurora's schema; gives its cast."""
    with tenant_context(aurora):
        yield factories.cast()


@pytest.fixture
def in_harbour(harbour: Institution) -> Iterator[factories.Cast]:
    """Run the test in Harbour's schema; gives its cast."""
    with tenant_context(harbour):
        yield factories.cast()


@pytest.fixture
def in_meadow(meadow: Institution) -> Iterator[factories.Cast]:
    """Run the test in Meadow's schema; gives its cast."""
    with tenant_context(meadow):
        yield factories.cast()


def sign_in(client: Client, user: User) -> None:
    """Leave what signing in leaves in a browser: a session. ``force_login`` takes four times as long to come to the same."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key


@pytest.fixture
def browse() -> Iterator[Callable[[Institution, User | None], Client]]:
    """Return a Django test client on an institution's domain, signed in as a user where one is given."""

    def on(institution: Institution, user: User | None = None) -> Client:
        client = Client(HTTP_HOST=f"{institution.schema_name}.localhost")
        if user is not None:
            with tenant_context(institution):
                sign_in(client, user)
        return client

    yield on
    # A request leaves its institution's schema behind.
    connection.set_schema_to_public()
