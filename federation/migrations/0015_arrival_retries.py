from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("federation", "0014_stream_scope_default")]

    operations = [
        migrations.AddField(
            model_name="arrival",
            name="attempts",
            field=models.PositiveSmallIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="arrival",
            name="retry_at",
            field=models.DateTimeField(null=True),
        ),
    ]
