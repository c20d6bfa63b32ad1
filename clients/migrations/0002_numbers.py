"""Sequences that number clients and mandates: unique under concurrency without a lock."""

from django.db import migrations

NAMES = ("clients_client_number", "clients_mandate_number")


class Migration(migrations.Migration):
    dependencies = [("clients", "0001_initial")]

    operations = [
        migrations.RunSQL(f"CREATE SEQUENCE {name}", f"DROP SEQUENCE {name}") for name in NAMES
    ]
