"""The pages of mirrors: who sees and does what, and how many questions they ask of the database."""

import csv
import datetime
import importlib
import io

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from federation.models import AgreementEvent, ParkedRow, Proof, Stream, Watch
from federation.monitor import charts
from tests.federation.agreements import make
from tests.federation.monitor.browsing import park, person, stream_of, url

pytestmark = pytest.mark.usefixtures("nothing_is_sent")


def pages(stream: Stream) -> list[str]:
    names = ("mirror_detail", "mirror_live", "mirror_charts", "mirror_parked")
    return [url(name, stream.pk) for name in names]


def posts(stream: Stream) -> list[tuple[str, dict]]:
    row = park(stream)
    return [
        (url("mirror_prove", stream.pk), {}),
        (url("mirror_prove", stream.pk), {"repair": "1"}),
        (url("mirror_retry", stream.pk), {"row": row.pk}),
        (url("mirror_retry", stream.pk), {}),
        (url("mirror_skip", stream.pk), {"row": row.pk, "reason": "x"}),
        (url("mirror_alerts", stream.pk, "threshold"), {"seconds": 5}),
        (url("mirror_alerts", stream.pk, "mute"), {"hours": 1, "reason": "x"}),
        (url("mirror_alerts", stream.pk, "unmute"), {}),
    ]


@pytest.mark.parametrize("party", ["aurora", "harbour"])
def test_administrators_of_both_parties_see_both_directions(aurora, harbour, browse, party) -> None:
    agreement = make.active(aurora, harbour)
    institution = {"aurora": aurora, "harbour": harbour}[party]
    client = browse(institution, person(institution))
    text = client.get(url("mirrors")).content.decode()
    assert "Aurora → Harbour" in text
    assert "Harbour → Aurora" in text
    for stream in agreement.streams.all():
        for path in pages(stream):
            assert client.get(path).status_code == 200, path


def test_to_a_third_institution_a_mirror_does_not_exist(aurora, harbour, lakeside, browse) -> None:
    agreement = make.active(aurora, harbour)
    stream = stream_of(agreement, harbour)
    client = browse(lakeside, person(lakeside))
    for path in pages(stream):
        assert client.get(path).status_code == 404, path
    for path, data in posts(stream):
        assert client.post(path, data).status_code == 404, path
    assert b"Aurora" not in client.get(url("mirrors")).content
    assert not Proof.objects.exists()
    assert not Watch.objects.exists()
    assert not ParkedRow.objects.filter(skipped_at__isnull=False).exists()


@pytest.mark.parametrize("who", ["manager", "advisor", "operations", "stranger"])
def test_mirrors_are_for_administrators_and_compliance(aurora, harbour, browse, who) -> None:
    stream = stream_of(make.active(aurora, harbour), harbour)
    client = browse(harbour, person(harbour, who))
    for path in [url("mirrors"), *pages(stream)]:
        assert client.get(path).status_code == 404, path


def test_compliance_reads_mirrors_and_changes_nothing(aurora, harbour, browse) -> None:
    stream = stream_of(make.active(aurora, harbour), harbour)
    client = browse(harbour, person(harbour, "compliance"))
    assert "Compare both sides" not in client.get(url("mirror_detail", stream.pk)).content.decode()
    for path, data in posts(stream):
        assert client.post(path, data).status_code == 404, path


def test_mirrors_and_agreements_are_in_the_order_of_their_numbers(aurora, harbour, browse) -> None:
    for number in ("", " 10", " 3"):
        agreement = make.active(aurora, harbour)
        type(agreement).objects.filter(pk=agreement.pk).update(name=f"A – B{number}")
    client = browse(harbour, person(harbour))
    wanted = ["A – B", "A – B 3", "A – B 10"]
    for name, sort in (("agreements", ""), ("agreements", "name"), ("mirrors", ""), ("mirrors", "agreement")):
        rows = client.get(url(name), {"sort": sort}).context["table"].rows
        found = [getattr(row.record, "agreement", row.record).name for row in rows]
        assert list(dict.fromkeys(found)) == wanted, (name, sort)
    rows = client.get(url("agreements"), {"sort": "-name"}).context["table"].rows
    assert [row.record.name for row in rows] == wanted[::-1]


def test_a_proof_that_is_asked_for_is_seen_by_both(aurora, harbour, browse) -> None:
    stream = stream_of(make.active(aurora, harbour), harbour)
    client = browse(harbour, person(harbour))
    client.post(url("mirror_prove", stream.pk))
    asked = Proof.objects.get()
    assert (asked.institution, asked.by_name) == (harbour, person(harbour).full_name)
    other = browse(aurora, person(aurora)).get(url("mirror_live", stream.pk)).content.decode()
    assert "Queued" in other
    Proof.objects.update(
        state="done", result="unequal", at=timezone.now(), finished_at=timezone.now(),
        kinds=[{"kind": "clients.Client", "ours": 3, "theirs": 2, "is_equal": False, "missing": 1, "extra": 0,
                "different": 0, "parked": 0}],
    )  # fmt: skip
    text = browse(aurora, person(aurora)).get(url("mirror_live", stream.pk)).content.decode()
    assert "Not in step" in text
    assert "Repair compares everything again" in text


def test_a_reason_with_a_nul_is_refused_in_words(aurora, harbour, browse) -> None:
    agreement, client = make.active(aurora, harbour), browse(aurora, make.administrator(aurora))
    page = client.post(url("switch", agreement.pk, "everything", "suspend"), {"reason": "Because\x00"})
    assert page.status_code == 409
    assert b"Type it again" in page.content
    assert not agreement.suspensions.exists()


def test_nothing_is_repaired_while_everything_is_suspended(aurora, harbour, browse) -> None:
    agreement = make.active(aurora, harbour)
    stream = stream_of(agreement, harbour)
    client = browse(harbour, person(harbour))
    client.post(url("switch", agreement.pk, "everything", "suspend"))
    answer = client.post(url("mirror_prove", stream.pk), {"repair": "1"}, follow=True)
    assert answer.status_code in {200, 409}
    assert "Resume it first" in answer.content.decode()
    assert not Proof.objects.exists()


def test_alerts_are_set_and_muted_with_a_reason(aurora, harbour, browse) -> None:
    agreement = make.active(aurora, harbour)
    stream = stream_of(agreement, harbour)
    client = browse(harbour, person(harbour))
    for seconds in (0, 4, 86_401):
        refused = client.post(url("mirror_alerts", stream.pk, "threshold"), {"seconds": seconds})
        assert "Choose between 5 and 86,400 seconds" in refused.content.decode()
    refused = client.post(url("mirror_alerts", stream.pk, "threshold"), {"seconds": "1e3"})
    assert "Write the number out in digits, such as 1000000." in refused.content.decode()
    assert not Watch.objects.exists()
    client.post(url("mirror_alerts", stream.pk, "threshold"), {"seconds": 5})
    client.post(url("mirror_alerts", stream.pk, "mute"), {"hours": 8, "reason": ""})
    assert Watch.objects.get().muted_until is None
    client.post(url("mirror_alerts", stream.pk, "mute"), {"hours": 8, "reason": "Migration."})
    wanted = Watch.objects.get()
    assert (wanted.behind_seconds, wanted.institution, wanted.is_muted) == (5, harbour, True)
    # It is this party's own affair.
    assert (
        "Migration."
        not in browse(aurora, person(aurora)).get(url("mirror_detail", stream.pk)).content.decode()
    )
    client.post(url("mirror_alerts", stream.pk, "unmute"))
    assert not Watch.objects.get().is_muted


def test_an_alert_stands_on_the_first_page_and_beside_the_navigation(aurora, harbour, browse) -> None:
    stream = stream_of(make.active(aurora, harbour), harbour)
    stream.alerts.create(institution=harbour, kind="parked", count=3)
    client = browse(harbour, person(harbour))
    for path in (url("agreements"), url("mirrors"), url("mirror_detail", stream.pk)):
        text = client.get(path).content.decode()
        assert "3 rows are parked" in text, path
        assert "nav-badge" in text, path
    assert "nav-badge" not in browse(harbour, person(harbour, "advisor")).get("/my-day/").content.decode()
    assert "rows are parked" not in browse(aurora, person(aurora)).get(url("agreements")).content.decode()


def test_the_list_filters_sorts_exports_and_says_when_it_is_empty(aurora, harbour, borealis, browse) -> None:
    client = browse(harbour, person(harbour))
    assert "Nothing is mirrored" in client.get(url("mirrors")).content.decode()
    make.active(aurora, harbour)
    second = make.active(borealis, harbour)
    text = client.get(url("mirrors") + "?q=boreal").content.decode()
    assert "Borealis → Harbour" in text
    assert "Aurora → Harbour" not in text
    assert "Harbour → Aurora" not in client.get(url("mirrors") + "?direction=in").content.decode()
    for sort in ("pending", "-oldest_age", "p95", "proof", "-last_applied_at", "state"):
        assert client.get(url("mirrors") + f"?sort={sort}").status_code == 200, sort
    assert client.get(url("mirrors") + "?_export=csv").content.decode().count("→") == 4
    assert client.get(url("mirrors") + "?_export=xlsx").status_code == 200
    stream = stream_of(second, harbour)
    moment = datetime.datetime(2026, 3, 2, 8, 30, tzinfo=datetime.UTC)
    Stream.objects.filter(pk=stream.pk).update(last_applied_at=moment)
    Proof.objects.create(stream=stream, state="done", result="equal", at=moment, finished_at=moment)
    detail = client.get(url("mirror_detail", stream.pk)).content.decode()
    assert '<span class="text-secondary">by itself</span>' in detail
    text = client.get(url("mirrors") + "?direction=out&q=boreal&_export=csv").content.decode()
    (row,) = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    assert row["Last change (UTC)"] == row["Last comparison (UTC)"] == "2026-03-02T08:30:00+00:00"
    assert row["Last comparison"] == "In step"
    assert row["95% within, last hour (ms)"] == ""
    assert row["Last error"] == row["Last error (UTC)"] == ""
    problem = {"state": Stream.State.BROKEN, "problem": "column unknown", "problem_at": moment}
    Stream.objects.filter(pk=stream.pk).update(**problem)
    text = client.get(url("mirrors") + "?direction=out&q=boreal&_export=csv").content.decode()
    (row,) = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    assert (row["Last error"], row["Last error (UTC)"]) == ("column unknown", "2026-03-02T08:30:00+00:00")
    text = client.get(url("mirrors") + "?direction=out&q=boreal").content.decode()
    assert "column unknown" in text
    assert f'href="{url("agreement_detail", second.pk)}#switches"' in text
    reader = browse(harbour, person(harbour, "compliance")).get(url("mirrors")).content.decode()
    assert "column unknown" in reader
    assert "#switches" not in reader
    Stream.objects.filter(agreement=second).update(state=Stream.State.ENDED)
    assert "#switches" not in client.get(url("mirrors") + "?state=ended").content.decode()
    for query, count in (("", 2), ("state=ended&", 2), ("state=bogus&", 2), ("direction=up&q=boreal&", 2)):
        text = client.get(url("mirrors") + f"?{query}_export=csv").content.decode()
        assert text.count("→") == count, query
        assert ("Borealis" in text) == (query == "state=ended&"), query


def test_the_pages_ask_a_fixed_number_of_questions(aurora, harbour, borealis, meadow, browse) -> None:
    agreement = make.active(aurora, harbour)
    client = browse(harbour, person(harbour))

    def count(path: str) -> int:
        client.get(path)
        with CaptureQueriesContext(connection) as captured:
            client.get(path)
        return sum(not each["sql"].startswith("SET search_path") for each in captured)

    one = count(url("mirrors"))
    stream = stream_of(agreement, harbour)
    detail = count(url("mirror_detail", stream.pk))
    make.active(borealis, harbour)
    make.active(meadow, harbour)
    for _number in range(3):
        AgreementEvent.objects.create(agreement=agreement, stream=stream, kind="filled")

    assert count(url("mirrors")) == one <= 11
    assert count(url("mirror_detail", stream.pk)) == detail <= 16
    assert count(url("mirror_live", stream.pk)) <= 14


def test_the_charts_have_every_window_and_their_data_as_tables(aurora, harbour, browse) -> None:
    stream = stream_of(make.active(aurora, harbour), harbour)
    client = browse(harbour, person(harbour))
    assert "Nothing crossed in this time" in client.get(url("mirror_charts", stream.pk)).content.decode()
    histogram = [0] * 24
    histogram[4] = 7
    stream.figures.create(at=timezone.now(), batches=2, rows=9, held=3, latencies=histogram)
    for window in ("1h", "6h", "24h", "7d", "30d", "x"):
        text = client.get(url("mirror_charts", stream.pk) + f"?window={window}").content.decode()
        assert text.count("Show as a table") == 3, window
        assert "≤ 8.0 ms" in text or "≤ 8.0" in text, window
        assert '<dt title="p95">95% within</dt>' in text
        assert '<dt>Waited for a resume</dt><dd class="figure">3</dd>' in text
    assert "Rows per 12 hours" in client.get(url("mirror_charts", stream.pk) + "?window=30d").content.decode()
    drawn = charts.charts(stream, charts.window_of("30d"), timezone.now())["throughput"]
    assert max(drawn["series"][0]["data"]) == 9
    assert drawn["yAxis"]["minInterval"] == 1


def test_why_a_mirror_is_filled_again_reads_in_words(aurora, harbour, browse) -> None:
    stream = stream_of(make.active(aurora, harbour), harbour)
    client = browse(aurora, person(aurora))
    for reason in Stream.FillReason:
        Stream.objects.filter(pk=stream.pk).update(state=Stream.State.FILLING, fill_reason=reason)
        assert f"· {reason.label}<" in client.get(url("mirror_live", stream.pk)).content.decode()


def test_a_partner_reads_no_number_of_waiting_changes(aurora, harbour, browse) -> None:
    agreement = make.active(aurora, harbour)
    stream = stream_of(agreement, harbour)
    for institution, reads in ((harbour, True), (aurora, False)):
        client = browse(institution, person(institution))
        text = client.get(url("mirror_live", stream.pk)).content.decode()
        assert ("only this institution reads this figure" in text) == reads


def test_thresholds_from_before_there_were_bounds_are_brought_to_the_nearest(aurora, harbour, meadow) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE federation_watch DROP CONSTRAINT watch_within_bounds")
    agreement = make.active(aurora, harbour)
    for institution, seconds in ((aurora, 0), (harbour, 60), (meadow, 100_000)):
        Watch.objects.create(agreement=agreement, institution=institution, behind_seconds=seconds)
    importlib.import_module("federation.migrations.0012_watch_within_bounds").keep_within_bounds(apps, None)
    kept = Watch.objects.order_by("behind_seconds").values_list("behind_seconds", flat=True)
    assert list(kept) == [Watch.SHORTEST_SECONDS, 60, Watch.LONGEST_SECONDS]
