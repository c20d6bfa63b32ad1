"""Many rows are written by one statement, with the same rules as one by one."""

import pytest
from django.db import DataError, IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts import bulk
from accounts.models import AuditEntry, User

TEXTS = ["plain", 'tab\t, line\n, back\\slash and "quotes"', "", "Übergröße"]


def test_rows_are_inserted_and_updated_as_by_saving_each(in_harbour):
    entries = [
        AuditEntry(
            actor=in_harbour.manager, actor_name=text, action="seen", kind="test.bulk", data={"as": text}
        )
        for text in TEXTS
    ]
    bulk.insert(entries)
    found = AuditEntry.objects.in_bulk([entry.pk for entry in entries])
    for entry in entries:
        assert not entry._state.adding
        written = found[entry.pk]
        assert (written.actor, written.actor_name, written.data) == (
            in_harbour.manager, entry.actor_name, entry.data,
        )  # fmt: skip
        assert (written.at, written.record_id) == (entry.at, None)
        entry.actor, entry.actor_name, entry.record_id = None, entry.actor_name[::-1], in_harbour.unit.pk
        entry.action = "left as it was"
    with CaptureQueriesContext(connection) as queries:
        bulk.update(entries, ["actor", "actor_name", "record_id"])
    assert len([each for each in queries.captured_queries if each["sql"].startswith("UPDATE")]) == 1
    for entry in AuditEntry.objects.filter(pk__in=found):
        before = found[entry.pk]
        assert (entry.actor, entry.record_id, entry.action) == (None, in_harbour.unit.pk, "seen")
        assert (entry.actor_name, entry.data) == (before.actor_name[::-1], before.data)


def test_nothing_is_written_where_there_is_nothing(db, django_assert_num_queries):
    with django_assert_num_queries(0):
        bulk.insert([])
        bulk.update([], ["action"])


def test_what_one_row_alone_may_not_say_is_refused(in_harbour):
    manager, twin = in_harbour.manager, User(email=in_harbour.manager.email, full_name="Twin")
    with pytest.raises(IntegrityError), transaction.atomic():
        bulk.insert([twin])
    entry = AuditEntry(actor=manager, actor_name="x" * 151, action="seen", kind="test.bulk")
    with pytest.raises(DataError), transaction.atomic():
        bulk.insert([entry])
    entry.actor_name = ""
    bulk.insert([entry])
    entry.actor_name = "x" * 151
    with pytest.raises(DataError), transaction.atomic():
        bulk.update([entry], ["actor_name"])
