"""What pages say of parked rows: which record, which rule, who skipped it and why."""

import html

import pytest
from django.utils import timezone
from django_tenants.utils import tenant_context

from federation.models import ParkedRow, Stream
from tests import factories
from tests.clients import make as enter
from tests.federation.agreements import make
from tests.federation.monitor.browsing import park, person, stream_of, url

pytestmark = pytest.mark.usefixtures("nothing_is_sent")


def test_a_parked_row_is_skipped_with_a_reason_that_both_read_and_tried_again(
    aurora, harbour, browse
) -> None:
    agreement = make.active(aurora, harbour)
    stream = stream_of(agreement, harbour)
    row = park(stream)
    client = browse(harbour, person(harbour))
    refused = client.post(url("mirror_skip", stream.pk), {"row": row.pk, "reason": " "})
    assert "Say why this row" in refused.content.decode()
    client.post(url("mirror_skip", stream.pk), {"row": row.pk, "reason": "A double entry."})
    row.refresh_from_db()
    assert (row.skipped_by, row.skip_reason) == (harbour, "A double entry.")
    other = browse(aurora, person(aurora))
    assert "A double entry." in other.get(url("mirror_live", stream.pk)).content.decode()
    assert (
        "A double entry."
        in other.get(url("timeline", agreement.pk) + f"?stream={stream.pk}").content.decode()
    )
    assert "A double entry." in other.get(url("mirror_parked", stream.pk) + "?_export=csv").content.decode()
    other.post(url("mirror_retry", stream.pk), {"row": row.pk})
    row.refresh_from_db()
    assert row.skipped_at is None
    assert row.retry_at <= timezone.now()


def test_rows_beyond_those_of_the_page_are_skipped_and_tried_again_in_the_list(
    aurora, harbour, browse
) -> None:
    stream = stream_of(make.active(aurora, harbour), harbour)
    row = park(stream)
    client = browse(harbour, person(harbour))
    listed = url("mirror_parked", stream.pk) + "?kind=clients.Client&page=2"
    shown = client.get(url("mirror_parked", stream.pk)).content.decode()
    assert f'id="retry-{row.pk}"' in shown
    typed = {"row": row.pk, "list": "kind=clients.Client&page=2"}
    refused = client.post(url("mirror_skip", stream.pk), {**typed, "reason": " "})
    assert refused.headers["Location"] == listed
    skipped = client.post(url("mirror_skip", stream.pk), {**typed, "reason": "A double entry."})
    assert skipped.headers["Location"] == listed
    row.refresh_from_db()
    assert row.skip_reason == "A double entry."
    again = client.post(url("mirror_retry", stream.pk), typed)
    assert again.headers["Location"] == listed
    row.refresh_from_db()
    assert row.skipped_at is None
    reader = browse(harbour, person(harbour, "compliance")).get(url("mirror_parked", stream.pk))
    assert "retry-" not in reader.content.decode()
    assert (
        "A double entry"
        not in client.get(url("mirror_parked", stream.pk), {"_export": "csv"}).content.decode()
    )


def test_a_mirror_with_a_parked_row_has_one_name_at_the_list_the_page_and_the_comparison(
    aurora, harbour, browse
) -> None:
    stream = stream_of(make.active(aurora, harbour), harbour)
    Stream.objects.filter(pk=stream.pk).update(state=Stream.State.RUNNING)
    client = browse(harbour, person(harbour))
    badge = 'data-state="parked"'
    assert badge not in client.get(url("mirror_live", stream.pk)).content.decode()
    row = park(stream)
    for path in (url("mirror_live", stream.pk), url("mirrors"), url("mirrors") + "?state=parked"):
        text = client.get(path).content.decode()
        assert badge in text
        assert "In step but for parked rows" in text
    assert badge not in client.get(url("mirrors") + "?state=in_step").content.decode()
    ParkedRow.objects.filter(pk=row.pk).update(skipped_at=timezone.now())
    assert badge in client.get(url("mirror_live", stream.pk)).content.decode()


def test_a_row_of_another_mirror_is_not_skipped_through_this_one(aurora, harbour, lakeside, browse) -> None:
    stream = stream_of(make.active(aurora, harbour), harbour)
    foreign = park(stream_of(make.active(aurora, lakeside), lakeside))
    client = browse(harbour, person(harbour))
    for row in (foreign.pk, "x", "9" * 30, ""):
        answer = client.post(url("mirror_skip", stream.pk), {"row": row, "reason": "x"})
        assert answer.status_code == 404
    foreign.refresh_from_db()
    assert foreign.skipped_at is None


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("client_number_unique_per_owner", "as another record at Aurora, where each may stand only once"),
        ("client_has_name", "breaks a rule at Aurora"),
        ("id belongs to another owner", "has the id of a record that is not Harbour's at Aurora"),
        ("currency", "which Aurora needs"),
        ("unit: not there", "does not have under this agreement"),
        ("somebody_elses_rule", "is refused by Aurora's database"),
    ],
)
def test_a_parked_row_says_which_record_which_rule_and_what_to_do(
    aurora, harbour, browse, reason, words
) -> None:
    stream = stream_of(make.active(aurora, harbour), harbour)
    row = park(stream)
    ParkedRow.objects.update(reason=reason)
    client = browse(harbour, person(harbour))
    for path in (url("mirror_live", stream.pk), url("mirror_parked", stream.pk)):
        text = html.unescape(client.get(path).content.decode())
        assert f"Client …{str(row.key)[-8:]}" in text
        assert words in text
        assert reason in text
    assert words in client.get(url("mirror_parked", stream.pk) + "?_export=csv").content.decode()


def test_the_owner_of_a_parked_row_reads_whose_it_is_and_who_may_see_clients_goes_there(
    aurora, harbour, browse
) -> None:
    stream = stream_of(make.active(aurora, harbour), harbour)
    with tenant_context(harbour):
        client = enter.client(factories.cast().advisor)
        contact = client.contact_details.get()
    ParkedRow.objects.create(
        stream=stream, kind="clients.ContactDetail", key=contact.pk, reason="x", retry_at=timezone.now()
    )
    words, link = f"Client {client.number}", f'href="/clients/{client.pk}/"'
    for path in (url("mirror_live", stream.pk), url("mirror_parked", stream.pk)):
        reads = {
            who: browse(harbour, person(harbour, who)).get(path).content.decode()
            for who in ("administrator", "compliance")
        }
        assert all(words in text for text in reads.values())
        assert link not in reads["administrator"]
        assert link in reads["compliance"]
        partner = browse(aurora, person(aurora)).get(path).content.decode()
        assert words not in partner
        assert f"Contact detail …{str(contact.pk)[-8:]}" in html.unescape(partner)
