"""What was sealed before sets of sealed records were kept gets its set, so that it is erased in time too."""

from typing import Any

from django.db import migrations


def _years_later(day: Any, years: int) -> Any:
    leaps = day.month == 2 and day.day == 29
    return day.replace(year=day.year + years, day=28 if leaps else day.day)


def add_sets(apps: Any, _schema_editor: Any) -> None:
    """Add the sets of both parties of agreements that have ended and kept nothing private."""
    ended = apps.get_model("federation", "Agreement").objects.filter(
        state="terminated", ended_at__isnull=False, version__private=[]
    )
    sets = apps.get_model("federation", "SealedRecords").objects
    for agreement in ended.select_related("version", "manager", "channel"):
        parties = agreement.manager, agreement.channel
        for owner, receiver in (parties, parties[::-1]):
            if owner.schema_name and receiver.schema_name:
                sets.get_or_create(
                    agreement=agreement,
                    receiver=receiver,
                    defaults={
                        "owner": owner,
                        "sealed_at": agreement.ended_at,
                        "retain_until": _years_later(
                            agreement.ended_at.date(), agreement.version.retention_years
                        ),
                    },
                )


class Migration(migrations.Migration):
    dependencies = [("federation", "0004_sealed_records")]

    operations = [migrations.RunPython(add_sets, migrations.RunPython.noop)]
