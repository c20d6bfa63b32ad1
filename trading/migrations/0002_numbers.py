"""A sequence that numbers orders: unique under concurrency without a lock."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("trading", "0001_initial")]
    operations = [
        migrations.RunSQL("CREATE SEQUENCE trading_order_number START 10001", "DROP SEQUENCE trading_order_number"),
    ]
