from django.db import migrations, models


def keep_within_bounds(apps, schema_editor):
    """Bring thresholds from before there were bounds to the nearest one."""
    watches = apps.get_model("federation", "Watch").objects
    watches.filter(behind_seconds__lt=5).update(behind_seconds=5)
    watches.filter(behind_seconds__gt=86_400).update(behind_seconds=86_400)


class Migration(migrations.Migration):
    dependencies = [("federation", "0011_stream_scope")]

    operations = [
        migrations.RunPython(keep_within_bounds, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="watch",
            constraint=models.CheckConstraint(
                condition=models.Q(("behind_seconds__range", (5, 86400))), name="watch_within_bounds"
            ),
        ),
    ]
