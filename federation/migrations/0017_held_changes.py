from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("federation", "0016_fill_reasons")]

    operations = [
        migrations.AddField(
            model_name="agreement",
            name="resumed_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="streamfigures",
            name="held",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
    ]
