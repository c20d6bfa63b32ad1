"""Import the ECB's euro reference rates."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from portfolios.management.commands._importing import run
from portfolios.services.imports import RATES
from portfolios.services.securities import ecb_source


class Command(BaseCommand):
    """Import rates into the institution whose schema is current."""

    help = "Import exchange rates: the ECB's eurofxref-hist.zip, eurofxref-daily.xml or CSV."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file")
        parser.add_argument("--preview", action="store_true", help="say what would happen and write nothing")
        parser.add_argument("--no-valuation", action="store_true", help="leave valuing to the next daily run")

    def handle(self, *args: Any, **options: Any) -> None:
        run(
            self,
            kind=RATES,
            path=options["file"],
            source=ecb_source(),
            is_preview=options["preview"],
            values=not options["no_valuation"],
        )
