from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('trading', '0003_affirmation'),
    ]

    operations = [
        migrations.AddField(
            model_name='proposal',
            name='revision',
            field=models.PositiveIntegerField(default=1, editable=False, verbose_name='revision'),
        ),
    ]
