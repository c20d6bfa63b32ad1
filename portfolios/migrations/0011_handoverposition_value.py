import accounts.fields
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('portfolios', '0010_handover_taken_over'),
    ]

    operations = [
        migrations.AddField(
            model_name='handoverposition',
            name='value',
            field=accounts.fields.MoneyField(blank=True, null=True, verbose_name='value'),
        ),
    ]
