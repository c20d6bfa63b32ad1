"""Start the servers before Django reads its settings, and give every worker a database of its own."""

import gc
import os
from collections.abc import Iterator

import hypothesis
import pytest
from django.conf import settings
from pytest_django import DjangoDbBlocker

from tests import servers

# No test fails because the machine is busy.
_PATIENT = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
hypothesis.settings.register_profile("patient", **_PATIENT)
hypothesis.settings.load_profile("patient")
# pytest --hypothesis-profile=long looks at many more examples, others in each run.
hypothesis.settings.register_profile("long", max_examples=1_000, **_PATIENT)

if settings.configured:
    pytest.exit("Unset DJANGO_SETTINGS_MODULE: the tests set it once their servers run.", returncode=4)

_servers = servers.Run() if servers.worker() == "main" else servers.Worker()
os.environ.setdefault("STATICFILES_BACKEND", "django.contrib.staticfiles.storage.StaticFilesStorage")
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"

import django  # noqa: E402

django.setup()
# Workers start like this process: first the servers' URLs, then the settings.
del os.environ["DJANGO_SETTINGS_MODULE"]

# What is loaded by now stays: there is no need to look for garbage in it again and again, nor after every 700
# objects of tests that make millions.
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 20, 5)

from django.contrib.auth.hashers import PBKDF2PasswordHasher  # noqa: E402

from tests import databases  # noqa: E402
from tests.chromium import HINT, chromium  # noqa: E402

# Passwords of tests guard nothing. A hash says how often it was made, so that the platform's programs can read it.
PBKDF2PasswordHasher.iterations = 1_000

# Fixtures that put a test inside one of the standing institutions.
pytest_plugins = ["tests.institutions"]


def pytest_unconfigure() -> None:
    """Stop the servers at the end, also after Ctrl-C."""
    _servers.stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the browser's tests where there is no browser, and say how to enable them."""
    if chromium() is None:
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.skip(reason=HINT))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was skipped for want of a browser, and what may not be skipped."""
    skipped = terminalreporter.stats.get("skipped", [])
    if any(HINT in str(report.longrepr) for report in skipped):
        terminalreporter.write_line(f"Browser tests were skipped. Each {HINT}.", yellow=True)
    if skipped and _in_ci():
        for report in skipped:
            terminalreporter.write_line(
                f"Skipped although CI is set: {report.nodeid}: {report.longrepr}", red=True
            )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run in CI that skipped anything."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and _in_ci() and reporter.stats.get("skipped") and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _in_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"1", "true"}


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Work in this worker's copy of the run's template."""
    with django_db_blocker.unblock():
        databases.build_template()
        name = databases.name_for(servers.worker())
        databases.create(name)
        databases.connect_to(name)
    yield
    with django_db_blocker.unblock():
        from django.db import connections

        connections.close_all()
        databases.drop(name)
