"""Long work and how far it is."""

from django.urls import reverse

from accounts.jobs import advance, create_job, finish, start
from accounts.models import Job


def job(by, **fields: object) -> Job:
    return create_job(kind="test", title="Propose for 4 portfolios", by=by, total=4, **fields)


FAILURE = {"why": "No price", "remedy": "Import one"}


def test_a_job_starts_once_however_often_its_task_is_delivered(in_aurora):
    found = job(in_aurora.manager)
    assert start(found.pk) == found
    assert start(found.pk) is None


def test_a_job_counts_and_keeps_what_failed(in_aurora):
    found = job(in_aurora.manager)
    start(str(found.pk))
    advance(found.pk, by_count=2)
    advance(found.pk, failures=[FAILURE])
    advance(found.pk, failures=[{**FAILURE, "why": "No rate"}])
    finish(found.pk)
    found.refresh_from_db()
    assert (found.done, found.state, [failure["why"] for failure in found.failures]) == (
        4,
        Job.State.DONE,
        ["No price", "No rate"],
    )
    assert found.finished_at is not None


def test_a_job_that_broke_off_says_why(in_aurora):
    found = job(in_aurora.manager)
    finish(found.pk, failures=[FAILURE], is_failed=True)
    found.refresh_from_db()
    assert (found.state, found.failures, found.done) == (Job.State.FAILED, [FAILURE], 0)


def test_a_page_follows_a_job_and_stops_when_it_is_over(aurora, in_aurora, browse):
    found = job(in_aurora.manager, back_url="/portfolios/", back_label="Back to the book")
    page = browse(aurora, in_aurora.manager)
    shown = page.get(reverse("accounts:job", args=[found.pk])).content.decode()
    assert "Queued" in shown
    assert 'hx-trigger="every 1s"' in shown
    assert "<noscript>" in shown
    start(found.pk)
    advance(found.pk, by_count=3, failures=[FAILURE])
    polled = page.get(reverse("accounts:job_state", args=[found.pk]))
    assert "3 of 4" in polled.content.decode()
    finish(found.pk)
    last = page.get(reverse("accounts:job_state", args=[found.pk]))
    assert last.status_code == 286
    assert "hx-get" not in last.content.decode()
    over = page.get(reverse("accounts:job", args=[found.pk])).content.decode()
    assert "Import one" in over
    assert "Back to the book" in over


def test_a_job_is_followed_by_who_began_it(aurora, in_aurora, browse):
    found = job(in_aurora.manager)
    for name in ("accounts:job", "accounts:job_state"):
        url = reverse(name, args=[found.pk])
        assert browse(aurora, in_aurora.second_manager).get(url).status_code == 404


def test_a_retry_is_offered_for_what_failed(aurora, in_aurora, browse):
    found = job(in_aurora.manager, retry_url="/proposals/retry/")
    page = browse(aurora, in_aurora.manager)
    url = reverse("accounts:job", args=[found.pk])
    assert "Try again" not in page.get(url).content.decode()
    finish(found.pk, failures=[FAILURE])
    assert 'action="/proposals/retry/"' in page.get(url).content.decode()


def test_one_comes_back_to_a_job_by_the_list_of_ones_own(aurora, in_aurora, browse):
    mine, other = job(in_aurora.manager), job(in_aurora.advisor)
    finish(other.pk, failures=[FAILURE])
    client = browse(aurora, in_aurora.manager)
    assert [row.record for row in client.get("/jobs/").context["table"].rows] == [mine]
    everybody = browse(aurora, in_aurora.administrator)
    assert len(everybody.get("/jobs/").context["table"].rows) == 2
    left = everybody.get("/jobs/?state=incomplete").context["table"].rows
    assert [row.record for row in left] == [other]
    assert len(everybody.get("/jobs/?q=Manager").context["table"].rows) == 1
    export = everybody.get("/jobs/?_export=csv").content.decode()
    assert "Propose for 4 portfolios" in export
    assert "Nothing has been started yet" in browse(aurora, in_aurora.stranger).get("/jobs/").content.decode()
