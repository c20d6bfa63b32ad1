"""Records that were sealed before sets of them were kept."""

import datetime
import importlib

import pytest
from django.apps import apps

from federation.models import Agreement, SealedRecords
from tests.federation.agreements import make

pytestmark = pytest.mark.django_db
add_sets = importlib.import_module("federation.migrations.0005_sealed_before").add_sets


def test_agreements_that_had_ended_get_a_set_at_both_parties_once(aurora, harbour) -> None:
    make.active(aurora, harbour)
    ended, advice = make.active(aurora, harbour), make.active(aurora, harbour, "advice")
    leap_day = datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC)
    Agreement.objects.filter(pk__in=[ended.pk, advice.pk]).update(state="terminated", ended_at=leap_day)

    for _time in range(2):
        add_sets(apps, None)

    found = SealedRecords.objects.values_list("agreement", "owner", "receiver", "retain_until")
    assert {(row[0], str(row[3])) for row in found} == {(ended.pk, "2029-02-28")}
    assert {(row[1], row[2]) for row in found} == {(aurora.pk, harbour.pk), (harbour.pk, aurora.pk)}
