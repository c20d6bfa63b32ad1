"""What the commands have in common that work in one institution."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django_tenants.utils import get_public_schema_name, tenant_context

from federation.models import Institution

SHOWN = 20


class InInstitution(BaseCommand):
    """Run an app's command in the institution that ``--institution`` names, else in the one whose schema is set."""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--institution", metavar="SCHEMA", help="for which one, by its schema: aurora")

    def handle(self, *args: Any, **options: Any) -> None:
        schema = options.pop("institution")
        if not schema and getattr(connection, "schema_name", "") != get_public_schema_name():
            super().handle(*args, **options)
            return
        institution = Institution.objects.filter(schema_name=schema).first() if schema else None
        if institution is None:
            wrong = f"There is no institution {schema}" if schema else "Say for which institution"
            raise CommandError(f"{wrong}: --institution takes one of {_known()}.")
        with tenant_context(institution):
            super().handle(*args, **options)


def _known() -> str:
    schemas = list(Institution.objects.order_by("schema_name").values_list("schema_name", flat=True))
    more = f" and {len(schemas) - SHOWN:,} more" if len(schemas) > SHOWN else ""
    return ", ".join(map(str, schemas[:SHOWN])) + more if schemas else "none: there is no institution yet"
