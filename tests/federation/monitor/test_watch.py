"""What timelines and administrators are told of mirrors: once, and that it is over."""

import datetime
from typing import Any

import pytest
from celery import current_app
from celery.exceptions import SoftTimeLimitExceeded
from django.core import mail as outbox
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from federation import tasks
from federation.agreements.timeline import words
from federation.mirror import control
from federation.mirror.batch import run_batch
from federation.mirror.status import streams_of
from federation.models import AgreementEvent, Alert, ParkedRow, Stream, Watch
from federation.monitor import mail, parked, proof, settings, watch
from portfolios.models import Portfolio
from tests import factories
from tests.federation.mirror.beside import refusing
from tests.federation.mirror.world import World

REFUSED = ("harbour.portfolios_portfolio", "name <> 'Bad'")


@pytest.fixture(autouse=True)
def _no_hints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "_send", lambda *_args, **_kwargs: None)
    outbox.outbox.clear()


def age(world: World, schema: str, seconds: int) -> None:
    """Have what waits in a log wait for that long already."""
    world.execute(f"UPDATE {schema}.mirror_log SET at = now() - interval '{seconds} seconds'")


def look(world: World) -> None:
    """Look as the beat task does, once the server has counted what was written."""
    world.execute("SELECT pg_stat_force_next_flush()")
    watch.look()


def later(monkeypatch: pytest.MonkeyPatch, **by: int) -> None:
    """Go on as if so much time had passed."""
    now = timezone.now() + datetime.timedelta(**by)
    monkeypatch.setattr(timezone, "now", lambda: now)


def told(kind: str) -> list[str]:
    return [
        event.data.get("stream", str(event.stream))
        for event in AgreementEvent.objects.filter(kind=kind).select_related("stream")
    ]


def raised(kind: str) -> set[str]:
    return {
        alert.institution.schema_name or ""
        for alert in Alert.objects.filter(kind=kind, cleared_at=None).select_related("institution")
    }


def test_a_fill_is_told_once(world: World) -> None:
    world.agree()
    look(world)
    look(world)

    assert len(told("filled")) == 2
    assert not Alert.objects.exists()


def test_a_mirror_that_is_behind_is_raised_for_both_parties_and_cleared_when_it_stays_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement = world.agree()
    world.mandate(agreement)
    look(world)
    assert raised("behind") == set()
    age(world, "harbour", 90)
    look(world)
    look(world)

    assert raised("behind") == {"aurora", "harbour"}
    assert Alert.objects.count() == 2
    assert len(told("behind")) == 1
    assert mail.deliver() == 2
    assert mail.deliver() == 0
    (to_aurora,) = [each for each in outbox.outbox if "Aurora" in each.body.splitlines()[0]]
    assert "seconds behind" in to_aurora.body
    assert "Ann Example" not in to_aurora.body
    assert "http://aurora.localhost" in to_aurora.body

    world.drain()
    look(world)
    assert raised("behind") == {"aurora", "harbour"}
    later(monkeypatch, minutes=3)
    look(world)
    assert raised("behind") == set()
    assert len(told("caught_up")) == 1
    assert mail.deliver() == 2
    assert "order again" in outbox.outbox[-1].subject
    assert mail.deliver() == 0


def test_with_all_mirror_workers_stopped_being_behind_is_raised_and_mailed(world: World) -> None:
    agreement = world.agree()
    world.mandate(agreement)
    age(world, "harbour", 90)
    world.execute("SELECT pg_stat_force_next_flush()")
    router = current_app.amqp.router
    queue = {
        task.name: router.route({}, task.name)["queue"].name
        for task in (tasks.watch_streams, tasks.apply_stream)
    }
    assert queue == {tasks.watch_streams.name: "work", tasks.apply_stream.name: "mirror"}
    tasks.watch_streams()
    assert raised("behind") == {"aurora", "harbour"}
    assert len(outbox.outbox) == 2


def test_p2_timelines_and_alerts_say_nothing_of_changes_that_the_agreement_does_not_share(
    world: World,
) -> None:
    agreement = world.agree()
    other = world.agree("borealis", "harbour")
    world.mandate(other)
    world.mandate(None)
    age(world, "harbour", 90)
    look(world)
    assert raised("behind") == {"borealis", "harbour"}
    assert not AgreementEvent.objects.filter(agreement=agreement, kind="behind").exists()


def test_it_is_reminded_of_once_a_day_and_not_while_muted(world: World, monkeypatch) -> None:
    agreement = world.agree()
    Stream.objects.filter(owner__schema_name="aurora").update(state="broken", problem="a reason")
    look(world)
    assert raised("broken") == {"aurora", "harbour"}
    assert mail.deliver() == 2
    later(monkeypatch, hours=23)
    assert mail.deliver() == 0
    with world.within("harbour"):
        settings.mute(
            agreement,
            by=factories.cast().administrator,
            institution=world.institution("harbour"),
            until=timezone.now() + datetime.timedelta(hours=3),
            reason="We move house.",
        )
    later(monkeypatch, hours=2)
    assert watch.count_open(world.institution("harbour").pk) == 0
    assert watch.count_open(world.institution("aurora").pk) == 1
    assert mail.deliver() == 1
    later(monkeypatch, hours=2)
    assert mail.deliver() == 1
    assert len(told("broken")) == 1


def test_each_party_sets_from_when_on_it_is_told_and_the_timeline_tells_both(world: World) -> None:
    agreement = world.agree()
    with world.within("aurora"):
        by = factories.cast().administrator
        settings.set_threshold(agreement, by=by, institution=world.institution("aurora"), seconds=10)
    world.mandate(agreement)
    age(world, "harbour", 30)
    look(world)

    assert raised("behind") == {"aurora"}
    assert Watch.objects.get().changed_by_name == by.full_name
    assert len(told("behind")) == 1
    line = AgreementEvent.objects.get(kind="behind")
    age_told = line.at - datetime.datetime.fromisoformat(line.data["since"])
    assert 29 <= age_told.total_seconds() <= 60
    assert "Since " in words(line)
    world.drain()
    look(world)
    assert len(told("caught_up")) == 1


def test_parked_rows_are_raised_until_they_cross_or_are_skipped_and_told_together(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    with refusing(world, *REFUSED):
        world.portfolio(mandate)
        with world.within("aurora"):
            Portfolio.objects.update(name="Bad")
        world.drain()
        look(world)
        look(world)
        assert raised("parked") == {"aurora", "harbour"}
        assert len(told("parked")) == 1
        ParkedRow.objects.update(skipped_at=timezone.now())
        look(world)
        later(monkeypatch, minutes=3)
        look(world)
        assert raised("parked") == set()


def test_drift_is_raised_by_an_unequal_proof_and_cleared_by_the_next_equal_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement = world.agree()
    world.mandate(agreement)
    world.drain()
    stream = world.stream(agreement, "harbour")
    world.execute(
        "SET session_replication_role = replica; UPDATE aurora.clients_client SET name = 'X';"
        " SET session_replication_role = origin"
    )
    proof.run(proof.ask(stream).pk)
    look(world)
    assert raised("drifted") == {"aurora", "harbour"}
    mended = proof.ask(stream, repairs=True)
    while not mended.is_over:
        proof.run(mended.pk)
        mended.refresh_from_db()
    look(world)
    later(monkeypatch, minutes=3)
    look(world)
    assert raised("drifted") == set()


def test_a_mirror_that_waits_for_an_older_transaction_is_raised_like_one_that_is_behind(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = world.another_connection()
    long.execute("SELECT pg_current_xact_id()")
    agreement = world.agree(fill=False)
    stream = world.stream(agreement, "harbour")
    run_batch(stream.pk)
    look(world)
    assert raised("behind") == set()
    later(monkeypatch, minutes=2)
    run_batch(stream.pk)
    look(world)

    assert raised("behind") == {"aurora", "harbour"}
    alert = Alert.objects.filter(stream=stream).select_related("stream").first()
    assert alert is not None
    assert alert.words == "waiting for 120 seconds for changes under way to be saved"
    assert "behind" in Stream.objects.values_list("told_state", flat=True)
    long.rollback()
    world.drain()
    look(world)
    later(monkeypatch, minutes=3)
    look(world)
    assert raised("behind") == set()
    assert not Stream.objects.exclude(waits_since=None).exists()


def test_a_mirror_that_an_update_of_the_platform_fills_again_is_not_behind(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement = world.agree()
    stream = world.stream(agreement, "harbour")
    control.refill(stream, Stream.FillReason.UPDATED)
    look(world)
    later(monkeypatch, minutes=30)
    look(world)

    assert raised("behind") == set()
    assert set(Stream.objects.values_list("told_state", flat=True)) == {""}
    party = world.institution("aurora")
    assert "Waiting for its turn to be filled" in [status.words for status in streams_of(party, agreement)]
    with world.within("aurora"):
        browser = Browser(headers={"host": "aurora.localhost"})
        browser.force_login(factories.cast().administrator)
    url = reverse("federation:mirror_live", args=[stream.pk], urlconf="config.urls")
    page = browser.get(url).content.decode()
    assert "The platform was updated, and what is shared is compared again." in page
    assert "Transactions that were open" not in page


def test_skipped_rows_do_not_count_in_an_alert(world: World) -> None:
    agreement = world.agree()
    mandates = [world.mandate(agreement) for _number in range(2)]
    world.drain()
    with refusing(world, *REFUSED):
        for mandate in mandates:
            world.portfolio(mandate)
        with world.within("aurora"):
            Portfolio.objects.update(name="Bad")
        world.drain()
        look(world)
        counts = []
        for row in ParkedRow.objects.all():
            with world.within("harbour"):
                parked.skip(
                    row,
                    by=factories.cast().administrator,
                    institution=world.institution("harbour"),
                    reason="A test.",
                )
            counts.append(sorted(Alert.objects.filter(cleared_at=None).values_list("count", flat=True)))
        assert counts == [[1, 1], []]


def test_what_is_suspended_on_purpose_raises_nothing(world: World) -> None:
    agreement = world.agree()
    world.suspend(agreement)
    world.mandate(agreement)
    age(world, "harbour", 1000)
    look(world)

    assert not Alert.objects.exists()
    assert told("behind") == []


def test_a_look_asks_no_more_for_three_agreements_than_whether_each_log_has_news(world: World) -> None:
    def asked() -> int:
        look(world)
        with CaptureQueriesContext(connection) as captured:
            look(world)
        return sum(not each["sql"].startswith("SET search_path") for each in captured)

    world.agree()
    one = asked()
    world.agree("borealis", "harbour")
    world.agree("aurora", "lakeside")

    assert one <= 16
    assert asked() - one <= Stream.objects.count() - 2


def test_the_state_of_three_mirrors_costs_as_many_queries_as_that_of_one(world: World) -> None:
    def asked(streams: int) -> int:
        with CaptureQueriesContext(connection) as captured:
            found.append(streams_of(world.institution("harbour")))
        assert len(found[-1]) == streams
        return sum(not each["sql"].startswith("SET search_path") for each in captured)

    found: list[Any] = []
    world.agree()
    one = asked(2)
    world.agree("borealis", "harbour")
    mandate = world.mandate(world.agree("aurora", "harbour"))
    assert asked(6) == one
    assert sum(bool(status.pending) for status in found[-1]) == 3
    assert mandate.pk


def test_a_time_limit_at_any_moment_leaves_the_watch_to_the_next(world: World) -> None:
    def late(execute: Any, statement: str, *rest: Any) -> Any:
        result = execute(statement, *rest)
        if "pg_try_advisory_lock" in statement:
            raise SoftTimeLimitExceeded
        return result

    with connection.execute_wrapper(late), pytest.raises(SoftTimeLimitExceeded):
        watch.look()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            [watch._LOCK],
        )
        assert cursor.fetchone() == (0,)


def test_mail_speaks_the_language_of_each_person_and_names_nobody(world: World) -> None:
    world.agree()
    with world.within("harbour"):
        User.objects.filter(email__startswith="administrator").update(language="de")
    try:
        Stream.objects.filter(owner__schema_name="aurora").update(state="broken", problem="x")
        look(world)
        assert mail.deliver() == 2
    finally:
        with world.within("harbour"):
            User.objects.filter(email__startswith="administrator").update(language="en")
    for message in outbox.outbox:
        assert message.to == ["administrator@example.test"]
        assert "Administrator" not in message.body
