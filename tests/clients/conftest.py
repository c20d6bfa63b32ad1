"""Meadow's people, and their browsers: an institution that does everything itself."""

from collections.abc import Callable

import pytest
from django.test import Client as Browser
from django_tenants.utils import tenant_context

from federation.models import Institution
from tests.factories import Cast, cast

Browse = Callable[..., Browser]


@pytest.fixture
def people(meadow: Institution) -> Cast:
    with tenant_context(meadow):
        return cast()


@pytest.fixture
def advisor(browse: Browse, meadow: Institution, people: Cast) -> Browser:
    return browse(meadow, people.advisor)


@pytest.fixture
def manager(browse: Browse, meadow: Institution, people: Cast) -> Browser:
    return browse(meadow, people.manager)
