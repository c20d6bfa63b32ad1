from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("federation", "0010_withdrawn_agreements")]

    # Empty is the fingerprint of no scope: what was filled before is filled again.
    operations = [
        migrations.AddField(
            model_name="stream",
            name="scope",
            field=models.CharField(blank=True, max_length=16),
        ),
        migrations.AlterField(
            model_name="stream",
            name="state",
            field=models.CharField(
                choices=[
                    ("waiting", "Waiting for changes under way to be saved"),
                    ("filling", "First fill"),
                    ("running", "Running"),
                    ("broken", "Stopped by a problem"),
                    ("ended", "Ended"),
                ],
                default="waiting",
                max_length=10,
            ),
        ),
    ]
