from django.db import migrations, models
from django.db.models import Exists, OuterRef


def name_what_was_withdrawn(apps, schema_editor):
    """Show agreements again to the partner who had seen them proposed."""
    agreements = apps.get_model("federation", "Agreement").objects
    proposed = apps.get_model("federation", "AgreementVersion").objects.filter(
        agreement=OuterRef("pk"), number__isnull=False
    )
    agreements.filter(Exists(proposed), state="draft").update(state="withdrawn")


class Migration(migrations.Migration):
    dependencies = [("federation", "0009_event_mail")]

    operations = [
        migrations.AlterField(
            model_name="agreement",
            name="state",
            field=models.CharField(
                choices=[
                    ("draft", "Draft"),
                    ("proposed", "Proposed"),
                    ("active", "Active"),
                    ("declined", "Declined"),
                    ("withdrawn", "Withdrawn"),
                    ("winding_down", "Winding down"),
                    ("terminated", "Terminated"),
                ],
                default="draft",
                max_length=15,
                verbose_name="state",
            ),
        ),
        migrations.RunPython(name_what_was_withdrawn, migrations.RunPython.noop),
    ]
