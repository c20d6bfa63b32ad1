from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("federation", "0013_sealed_erasures")]

    # Whoever still runs from before the update begins streams without naming it.
    operations = [
        migrations.AlterField(
            model_name="stream",
            name="scope",
            field=models.CharField(blank=True, db_default="", default="", max_length=16),
        ),
    ]
