import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("federation", "0012_watch_within_bounds")]

    operations = [
        migrations.CreateModel(
            name="SealedErasure",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("mandate", models.UUIDField()),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "sealed",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="erasures",
                        to="federation.sealedrecords",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("sealed", "mandate"), name="sealederasure_once")
                ],
            },
        ),
    ]
