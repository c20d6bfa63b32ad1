from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0004_dates_and_numbers'),
    ]

    operations = [
        migrations.AddField(
            model_name='user',
            name='reactivated_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
    ]
