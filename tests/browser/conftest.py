"""Real servers, workers and a headless Chromium for the tests of this folder."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from pytest_django import DjangoDbBlocker

from tests import databases
from tests.browser import scenario
from tests.browser.journey import Journey
from tests.browser.people import People
from tests.browser.processes import Platform
from tests.browser.screenshots import ARGUMENTS
from tests.browser.traces import Traffic
from tests.chromium import chromium

# The machine may be busy with other tests.
PATIENCE_MS = 20_000


@pytest.fixture(scope="package")
def database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Work in a database of one's own, in which all is committed."""
    # Playwright runs an event loop in this thread; Django would refuse to ask the database beside it.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with django_db_blocker.unblock(), databases.fresh("browser"):
        yield
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture(scope="package")
def traffic(database: None) -> Iterator[Traffic]:
    """Listen to Redis from the beginning."""
    with Traffic() as listening:
        yield listening


@pytest.fixture(scope="package")
def prepared(database: None, traffic: Traffic) -> scenario.Scenario:
    """Write what is there before the programs start."""
    return scenario.prepare()


@pytest.fixture(scope="package")
def platform(prepared: scenario.Scenario, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Run the platform."""
    logs: Path = tmp_path_factory.mktemp("platform-logs")
    with Platform(logs) as running:
        yield running


@pytest.fixture(scope="package")
def scene(prepared: scenario.Scenario, platform: Platform) -> scenario.Scenario:
    """Return the institutions with Meadow at work."""
    scenario.settle_in_meadow(prepared)
    scenario.await_meadow(prepared)
    return prepared


@pytest.fixture(scope="package")
def browser(platform: Platform) -> Iterator[Browser]:
    """Start Chromium."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="package")
def people(browser: Browser, platform: Platform, scene: scenario.Scenario) -> People:
    """Return the people at their browsers."""
    return People(browser, platform.port)


@pytest.fixture(scope="package")
def journey() -> Journey:
    """Return what the parts of the journey hand on."""
    return Journey()


@pytest.fixture
def faultless(people: People) -> Iterator[None]:
    """See that nothing goes wrong on any page."""
    yield
    assert people.problems() == []
