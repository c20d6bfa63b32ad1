"""The Celery application: tasks carry ids only, results are ignored, work is acknowledged late.

A task runs in the schema of whoever sent it (tenant-schemas-celery carries it in a header). Connections
to the database outlive it: a new one costs more than most tasks.
"""

import os
from typing import Any

import redis
from celery.signals import task_postrun
from django.db import connections
from kombu.transport import redis as transport
from psycopg.pq import TransactionStatus
from tenant_schemas_celery.app import CeleryApp, get_schema_name_from_task

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# Django's checks load every page, which no worker serves: more than a second and 40 MB for each. `make lint`
# and the tests run them.
os.environ.setdefault("CELERY_SKIP_CHECKS", "true")


class Channel(transport.Channel):
    """A channel that is closed says so as a lost connection, which a worker outlives.

    Kombu 5.7 asks it for what it no longer has: a worker with a task in hand ended when Redis went away.
    """

    def _connparams(self, *args: Any, **kwargs: Any) -> Any:
        if self.connection.client is None:
            raise redis.ConnectionError("the channel is closed")
        return super()._connparams(*args, **kwargs)


class Transport(transport.Transport):
    """A transport with which a worker that waits is woken by what comes, and by little else."""

    Channel = Channel
    # What comes is handed over at once; after so many seconds a worker asks anew. To end takes as long at most.
    brpop_timeout = 3


transport.Transport = Transport  # type: ignore[misc]

app = CeleryApp("roboblock")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


# A server process remembers every table that it has met: after so many institutions another one takes over.
_SCHEMAS_PER_CONNECTION = 50
_met: set[str | None] = set()


@task_postrun.connect
def leave_a_clean_connection(sender: Any, **_kwargs: object) -> None:
    """Close a connection that is too old or not to be used again, as one that a time limit met at work."""
    if sender.request.is_eager:
        return
    _met.add(get_schema_name_from_task(sender, {}))
    is_full = len(_met) > _SCHEMAS_PER_CONNECTION
    for each in connections.all(initialized_only=True):
        if each.connection is None:
            continue
        if is_full or each.connection.info.transaction_status != TransactionStatus.IDLE:
            each.close()
        else:
            each.close_if_unusable_or_obsolete()
    if is_full:
        _met.clear()
