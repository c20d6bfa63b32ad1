"""Background work that knows of more than one institution."""

import uuid
from collections.abc import Iterable

from celery import current_app, shared_task
from django.conf import settings
from django.db import connection
from django.utils import timezone

from federation import activity
from federation.agreements import mail as agreement_mail
from federation.agreements import sealing
from federation.mirror import arrivals, dispatch, figures, stubs, trimming
from federation.models import Institution
from federation.monitor import mail, proof, watch

# A task gives way after this long and asks for another one.
APPLY_SECONDS = 20.0


# Messages to all institutions leave in small lots, so that nobody's own job waits behind them.
_LOT, _LOT_SECONDS = 25, 2
# A connection of the server's remembers every table that it has met: after so many streams it starts anew.
_STREAMS_PER_CONNECTION = 200
_met: set[str] = set()


@shared_task(ignore_result=True)
def in_every_institution(task_name: str, after: str = "") -> None:
    """Send the task of this name to every hosted institution, to run in its schema, some at a time."""
    names = Institution.objects.filter(schema_name__gt=after).order_by("schema_name")
    schemas = [str(name) for name in names.values_list("schema_name", flat=True)[:_LOT]]
    _send(task_name, schemas)
    if len(schemas) == _LOT:
        in_every_institution.apply_async(args=[task_name, schemas[-1]], countdown=_LOT_SECONDS)


@shared_task(ignore_result=True)
def in_active_institutions(*task_names: str) -> None:
    """Send the tasks of these names to those institutions in which there can be something for them to do."""
    schemas = activity.active_institutions()
    for task_name in task_names:
        _send(task_name, schemas)


def _send(task_name: str, schemas: Iterable[str]) -> None:
    for schema_name in schemas:
        current_app.send_task(task_name, headers={"_schema_name": schema_name})


@shared_task(ignore_result=True)
def apply_stream(stream_id: str) -> None:
    """Apply what a stream has to do; somebody else's lease, or nothing to do, is no trouble.

    What is more than a few edits is left to `apply_load`, whose workers are others.
    """
    _apply(stream_id, most=dispatch.QUICK_KEYS)


@shared_task(ignore_result=True)
def apply_load(stream_id: str) -> None:
    """Apply what a stream has to do, however much; other loads get their turn between."""
    _apply(stream_id)


def _apply(stream_id: str, most: int | None = None) -> None:
    _met.add(stream_id)
    if len(_met) > _STREAMS_PER_CONNECTION:
        connection.close()
        _met.clear()
    dispatch.apply(uuid.UUID(stream_id), seconds=APPLY_SECONDS, most=most)


@shared_task(ignore_result=True)
def sweep_streams() -> None:
    """Ask for every stream that is behind, where no dispatcher does; deliver what arrived."""
    if not dispatch.is_dispatching():
        for stream in dispatch.behind(dispatch.live_streams()):
            dispatch.hint(stream.pk)
    for institution in arrivals.waiting_institutions():
        deliver_many.delay(str(institution.pk))


@shared_task(ignore_result=True)
def deliver_arrivals(institution_id: str) -> None:
    """Tell an institution's apps which rows have arrived; more than a few are left to `deliver_many`."""
    if arrivals.deliver(Institution.objects.get(pk=institution_id)) >= arrivals.AT_ONCE:
        deliver_many.delay(institution_id)


@shared_task(ignore_result=True)
def deliver_many(institution_id: str) -> None:
    """Tell an institution's apps which rows have arrived; other loads get their turn between."""
    institution = Institution.objects.get(pk=institution_id)
    if arrivals.deliver(institution, seconds=APPLY_SECONDS) >= arrivals.AT_ONCE:
        deliver_many.delay(institution_id)


@shared_task(ignore_result=True)
def trim_logs() -> None:
    """Delete what every stream has read from the institutions' logs."""
    trimming.trim()


@shared_task(ignore_result=True)
def erase_due() -> None:
    """Erase sealed records whose time has come; what does not fit into one task is another one's."""
    if sealing.erase_due(today=timezone.localdate(), seconds=APPLY_SECONDS):
        erase_due.delay()


@shared_task(ignore_result=True)
def clear_stubs(after: str = "") -> None:
    """Take stubs away that nothing names any more; what does not fit into one task is another one's."""
    reached = stubs.clear_away(after=uuid.UUID(after) if after else None, seconds=APPLY_SECONDS)
    if reached is not None:
        clear_stubs.delay(str(reached))


@shared_task(ignore_result=True, soft_time_limit=240, time_limit=270)
def prove_stream(proof_id: str) -> None:
    """Compare both sides of a stream, after repairing it where that was asked for."""
    proof.run(uuid.UUID(proof_id))


@shared_task(ignore_result=True)
def prove_nightly() -> None:
    """Have the next share of all streams proven."""
    proof.nightly()


@shared_task(ignore_result=True)
def watch_streams() -> None:
    """Tell timelines and administrators what has become of mirrors and agreements."""
    watch.look()
    mail.deliver()
    agreement_mail.deliver()
    proof.take_up()


@shared_task(ignore_result=True)
def roll_up_figures() -> None:
    """Turn old minutes of the mirrors' figures into hours."""
    figures.roll_up()


@shared_task(ignore_result=True, soft_time_limit=540, time_limit=600)
def go_on() -> None:
    """Bring the demonstration to today, where there is one."""
    # No worker loads what makes the demonstration before it is needed.
    from federation.demo import continuing

    if settings.DEMO:
        for cast, institution in continuing.institutions():
            continuing.go_on(cast, institution, timezone.now().date())
