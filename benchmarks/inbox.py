"""How soon is a submitted mandate in the manager's open inbox, in a browser that nobody reloads?

Web server, workers, dispatcher and Chromium are real; the clock runs from the commit of the submission at the channel
until the row is drawn in the manager's page, which asks for news once a second.
"""

import os
import socket
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import transaction
from django.test import Client as Session
from django.utils import timezone
from django_tenants.utils import tenant_context

from accounts.models import Role, RoleAssignment, Unit, User
from benchmarks._pairs import agree, create_institution
from benchmarks.measure import percentile, print_table
from clients.models import Client, Mandate
from config.supervisor import parts
from federation.models import Domain, Institution

SUBMISSIONS, WARM_UP = 40, 5
# Submissions fall at any moment between two questions of the page.
_PAUSE = 0.37
_START_SECONDS = 60


def run() -> dict[str, float]:
    """Submit mandates one after the other; return milliseconds until each was in the open inbox."""
    from playwright.sync_api import sync_playwright

    # Playwright runs an event loop in this thread; Django would refuse to ask the database beside it.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    manager, channel = _party("aurora"), _party("harbour")
    agreement = agree(manager, channel)
    with tenant_context(manager):
        user = User.objects.create_user("manager@bench.test", full_name="Manager")
        RoleAssignment.objects.create(
            user=user, role=Role.PORTFOLIO_MANAGER, unit=Unit.objects.create(name="Desk")
        )
    taken = []
    with _platform() as port, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=["--no-sandbox"])
        page = _signed_in(browser, manager, user)
        page.goto(f"http://aurora.localhost:{port}/inbox/")
        for number in range(WARM_UP + SUBMISSIONS):
            time.sleep(_PAUSE)
            name = f"Client {number:03d}"
            _submit(channel, agreement.pk, name)
            started = time.perf_counter()
            page.get_by_role("link", name=name).wait_for(timeout=30_000)
            if number >= WARM_UP:
                taken.append((time.perf_counter() - started) * 1000)
        browser.close()
    figures: dict[str, float] = {
        "inbox_p50_ms": round(percentile(taken, 50)),
        "inbox_p95_ms": round(percentile(taken, 95)),
        "inbox_worst_ms": round(max(taken)),
    }
    print_table(
        ["submitted to drawn in the open inbox", "ms"], [[key, value] for key, value in figures.items()]
    )
    return figures


def _party(name: str) -> Institution:
    institution = create_institution(name)
    Domain.objects.create(domain=f"{name}.localhost", tenant=institution, is_primary=True)
    return institution


@contextmanager
def _platform() -> Iterator[int]:
    """Run what `make run` runs but beat, which nothing here waits for; give the port of its web server."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    call_command("collectstatic", interactive=False, verbosity=0)
    running = [part for part in parts.parts("127.0.0.1", port) if part.name != "beat"]
    with tempfile.TemporaryDirectory() as logs:
        try:
            for part in running:
                part.start(Path(logs), {**os.environ, "PORT": str(port)})
            until = time.monotonic() + _START_SECONDS
            while not all(_is_ready(part, Path(logs), port) for part in running):
                if time.monotonic() > until:
                    sys.exit("The platform did not start.")
                time.sleep(0.2)
            yield port
        finally:
            for part in running:
                if part.child is not None:
                    parts.end_session(part.child.pid)
                    part.child.wait()


def _is_ready(part: parts.Part, logs: Path, port: int) -> bool:
    if part.name == "web":
        return parts.answers("127.0.0.1", port)
    return part.ready_text.decode() in (logs / f"{part.name}.log").read_text(errors="replace")


def _chromium() -> str:
    from tests.chromium import HINT, chromium

    return chromium() or sys.exit(f"This benchmark {HINT}.")


def _signed_in(browser: Any, institution: Institution, user: User) -> Any:
    session = Session(HTTP_HOST="aurora.localhost")
    with tenant_context(institution):
        session.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    context = browser.new_context()
    cookie = {
        "name": settings.SESSION_COOKIE_NAME,
        "value": session.cookies[settings.SESSION_COOKIE_NAME].value,
    }
    context.add_cookies([{**cookie, "domain": "aurora.localhost", "path": "/"}])
    return context.new_page()


@transaction.atomic
def _submit(channel: Institution, agreement: uuid.UUID, name: str) -> None:
    today = timezone.now().date()
    with tenant_context(channel):
        client = Client.objects.create(number=name, name=name)
        Mandate.objects.create(
            number=f"M-{name[-3:]}",
            client=client,
            agreement=agreement,
            status=Mandate.Status.SUBMITTED,
            submission=1,
            signed_on=today,
            submitted_at=timezone.now(),
            disclosure_authorised_on=today,
        )
