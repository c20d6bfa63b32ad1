"""manage.py check_mirror: compare triggers and privileges of every institution's schema with the scope table."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from federation.mirror import capture, roles
from federation.models import Institution


class Command(BaseCommand):
    """Check, and with ``--repair`` mend, what the mirror rests on in each schema."""

    help = (
        "Compare the triggers of every institution, and what the mirror's roles may do, with the scope table;"
        " --repair brings them in line."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--repair", action="store_true", help="install what is missing or changed")

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["repair"]:
            roles.prepare()
        shortcoming = roles.shortcoming()
        if shortcoming:
            self.stdout.write(shortcoming)
        found: list[object] = [*roles.differences("public")]
        for schema in Institution.objects.values_list("schema_name", flat=True):
            if options["repair"]:
                capture.install(schema)
            found += [*capture.differences(schema), *roles.differences(schema)]
        for difference in found:
            self.stdout.write(str(difference))
        if found:
            raise CommandError(f"{len(found)} differences. Run check_mirror --repair.")
        self.stdout.write("Every trigger and privilege is as the scope table wants it.")
