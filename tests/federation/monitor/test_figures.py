"""What each batch notes of itself, and how long it is kept."""

import datetime

from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clients.models import ContactDetail
from federation.mirror import figures, keys
from federation.models import StreamFigures
from tests.federation.mirror.world import World

BUCKETS = len(figures.BOUNDS) + 1


def counts(**buckets: int) -> list[int]:
    found = [0] * BUCKETS
    for name, count in buckets.items():
        found[int(name.removeprefix("b"))] = count
    return found


def test_a_percentile_lies_within_the_bucket_that_holds_it() -> None:
    histogram = counts(b3=50, b6=49, b12=1)

    assert figures.percentile(histogram, 0.5) == 5
    assert 13 < figures.percentile(histogram, 0.95) <= 20  # type: ignore[operator]
    assert figures.percentile(histogram, 0.999) > 200  # type: ignore[operator]
    assert figures.percentile(counts(), 0.5) is None
    assert figures.percentile(counts(b23=1), 0.5) == figures.BOUNDS[-1]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(0, 1000), min_size=BUCKETS, max_size=BUCKETS).filter(any))
def test_percentiles_never_fall_as_the_share_grows(histogram: list[int]) -> None:
    found = [figures.percentile(histogram, share) or 0 for share in (0.1, 0.5, 0.9, 0.99, 1)]

    assert found == sorted(found)


def test_a_batch_notes_its_rows_and_how_long_each_statement_took(world: World) -> None:
    agreement = world.agree()
    stream = world.stream(agreement, "harbour")
    StreamFigures.objects.all().delete()
    before = sum(stream.latencies)
    world.mandate(agreement)
    world.drain()

    stream.refresh_from_db()
    minutes = StreamFigures.objects.filter(stream=stream)
    assert sum(minute.rows for minute in minutes) >= 4
    assert sum(sum(minute.latencies) for minute in minutes) == sum(stream.latencies) - before > 0
    assert stream.latency_seconds > 0


def test_a_load_that_is_cut_over_batches_keeps_the_time_it_was_written_at(world: World, monkeypatch) -> None:
    agreement = world.agree()
    portfolio = world.managed(agreement)
    monkeypatch.setattr(keys, "BATCH_KEYS", 10)
    monkeypatch.setattr(keys, "_SLICE", 4)
    stream = world.stream(agreement, "aurora")
    world.transactions(portfolio, 40)
    world.drain()

    before = sum(stream.latencies)
    stream.refresh_from_db()
    assert sum(stream.latencies) > before
    world.assert_in_step(agreement)


def test_what_waited_for_a_resume_is_counted_apart_from_the_times_to_appear(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    StreamFigures.objects.all().delete()

    def change(value: str) -> None:
        with world.within("harbour"):
            ContactDetail.objects.filter(client=mandate.client_id).update(value=value)

    world.suspend(agreement)
    change("meanwhile@example.test")
    # For longer than a busy machine takes between two looks at the clock.
    world.execute("UPDATE harbour.mirror_log SET at = at - interval '1 minute'")
    world.resume(agreement)
    world.drain()
    change("after@example.test")
    world.drain()

    minutes = StreamFigures.objects.filter(stream=world.stream(agreement, "harbour"))
    assert sum(minute.held for minute in minutes) == 1
    assert sum(sum(minute.latencies) for minute in minutes) == 1
    since = timezone.now() - datetime.timedelta(hours=1)
    spans = figures.spans(minutes[0].stream, since, datetime.timedelta(days=1))
    assert [sum(span.held for span in spans), sum(sum(span.latencies) for span in spans)] == [1, 1]


def test_nothing_is_noted_while_nothing_happens(world: World) -> None:
    agreement = world.agree()
    count = StreamFigures.objects.count()
    batches = sum(row.batches for row in StreamFigures.objects.all())
    world.drain()

    assert StreamFigures.objects.count() == count
    assert sum(row.batches for row in StreamFigures.objects.all()) == batches
    assert agreement.streams.count() == 2


def test_minutes_become_hours_and_hours_go_with_nothing_lost_before(world: World) -> None:
    agreement = world.agree()
    stream = world.stream(agreement, "harbour")
    StreamFigures.objects.all().delete()
    hour = timezone.now().replace(minute=0, second=0, microsecond=0) - datetime.timedelta(hours=30)
    for minute in range(3):
        StreamFigures.objects.create(
            stream=stream, at=hour + datetime.timedelta(minutes=minute), batches=2, rows=5, held=1, latencies=counts(b1=minute)
        )  # fmt: skip
    StreamFigures.objects.create(stream=stream, at=timezone.now(), batches=1, rows=1, latencies=counts(b2=1))
    StreamFigures.objects.create(
        stream=stream, at=timezone.now() - datetime.timedelta(days=200), is_hour=True, latencies=counts()
    )
    figures.roll_up()
    figures.roll_up()

    (old,) = StreamFigures.objects.filter(is_hour=True)
    assert (old.at, old.batches, old.rows, old.held, old.latencies) == (hour, 6, 15, 3, counts(b1=3))
    assert StreamFigures.objects.filter(is_hour=False).count() == 1


def test_p2_changes_of_other_clients_leave_no_figures_of_a_mirror(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    StreamFigures.objects.all().delete()
    before = world.stream(agreement, "harbour")
    for _number in range(3):
        world.mandate(None)
    world.drain()
    after = world.stream(agreement, "harbour")
    assert (after.batches, after.latencies) == (before.batches, before.latencies)
    assert not StreamFigures.objects.filter(stream=after).exists()

    with world.within("harbour"):
        ContactDetail.objects.filter(client=mandate.client_id).update(value="new@example.test")
    world.mandate(None)
    world.drain()
    (minute,) = StreamFigures.objects.filter(stream=after)
    assert (minute.rows, sum(minute.latencies)) == (1, 1)


def test_p2_a_change_of_another_client_that_waited_longer_does_not_count_in_the_time_to_appear(
    world: World,
) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    other = world.mandate(None)
    world.drain()
    StreamFigures.objects.all().delete()

    with world.within("harbour"):
        ContactDetail.objects.filter(client=other.client_id).update(value="other@example.test")
        world.execute("UPDATE harbour.mirror_log SET at = now() - interval '136 seconds'")
        ContactDetail.objects.filter(client=mandate.client_id).update(value="new@example.test")
        world.execute(
            "UPDATE harbour.mirror_log SET at = now() - interval '18 seconds' WHERE at > now() - interval '60 seconds'"
        )
    world.drain()

    (minute,) = StreamFigures.objects.filter(stream=world.stream(agreement, "harbour"))
    assert minute.rows == 1
    assert minute.latencies == counts(b19=1)
    assert figures.BOUNDS[18:20] == (10_000, 30_000)
