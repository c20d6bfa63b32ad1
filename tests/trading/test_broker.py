"""The paper broker with a real Celery worker, a real Redis and rows that are committed."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from django_tenants.utils import tenant_context
from pytest_django import DjangoDbBlocker

from accounts.jobs import create_job
from accounts.models import Job
from federation.models import Institution
from portfolios.models import Transaction
from tests import databases, factories
from tests.trading import make
from trading.models import Execution, Order, Settlement
from trading.services import settle_due
from trading.tasks import fill_block, propose_for_job, submit_block

PATIENCE = 60


@pytest.fixture
def committed(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Institution]:
    """Work in a database of its own, where what is written is committed."""
    with django_db_blocker.unblock(), databases.fresh("broker"):
        yield Institution.objects.get(schema_name="aurora")


@pytest.fixture
def worker(committed: Institution) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Celery worker on that database."""
    child = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "config",
            "worker",
            "-Q",
            "work",
            "-P",
            "solo",
            "-l",
            "warning",
        ],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", "PAPER_BROKER_DELAY": "0"},
    )
    yield child
    # To stop in order it takes seconds.
    child.kill()
    child.wait()


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "The worker did not come to an end in time."
        time.sleep(0.2)


def test_orders_are_filled_in_parts_by_a_worker_and_settle(committed: Institution, worker: object):
    with tenant_context(committed):
        cast = factories.cast()
        portfolio = make.portfolio(cast, make.balanced(cast.manager))
        orders = make.sent(portfolio, cast, parts=3)

        wait_for(lambda: not Order.objects.exclude(state="filled").exists())

        assert Execution.objects.count() == 9
        assert Transaction.objects.filter(type="buy").count() == 9
        # The broker says it all once more.
        block = Order.objects.get(pk=orders[0].pk).block
        for part in (1, 2, 3):
            fill_block.delay(str(block.pk), part)
        submit_block.delay(str(block.pk))
        # One worker takes messages in their order: once this job is done, so is all before it.
        job = create_job(
            kind="trading.propose",
            title="Marker",
            by=cast.manager,
            data={"portfolios": [], "mode": "to_target"},
        )
        propose_for_job.delay(str(job.pk))
        wait_for(lambda: Job.objects.get(pk=job.pk).state == Job.State.DONE)
        last = Settlement.objects.order_by("-expected_date").first()
        settle_due(day=last.expected_date)

        assert Execution.objects.count() == 9
        assert set(Order.objects.values_list("state", flat=True)) == {"settled"}
        assert make.held(portfolio)["EUR"] > 4900
