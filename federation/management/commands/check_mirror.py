"""manage.py check_mirror: compare the triggers of every institution's schema with the scope table."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from federation.mirror import capture
from federation.models import Institution


class Command(BaseCommand):
    help = "Compare the triggers of every institution with the scope table; --repair brings them in line."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--repair", action="store_true", help="install what is missing or changed")

    def handle(self, *_args: Any, **options: Any) -> None:
        found = []
        for schema in Institution.objects.values_list("schema_name", flat=True):
            if options["repair"]:
                capture.install(schema)
            found += capture.differences(schema)
        for difference in found:
            self.stdout.write(str(difference))
        if found:
            raise CommandError(f"{len(found)} differences. Run check_mirror --repair.")
        self.stdout.write("Every trigger is as the scope table wants it.")
