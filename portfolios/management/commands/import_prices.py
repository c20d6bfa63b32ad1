"""Import closing prices from a CSV file, packed or not."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from portfolios.management.commands._importing import run
from portfolios.models import PriceSource
from portfolios.services.imports import PRICES
from portfolios.services.securities import save_source


class Command(BaseCommand):
    """Import closes into the institution whose schema is current."""

    help = "Import closing prices: date, isin or ticker, close, currency; or one column per ticker (gz and zip too)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file")
        parser.add_argument("--source", default="IMPORT", help="code of the source; created when it is new")
        parser.add_argument("--source-name", default="", help="name of a new source")
        parser.add_argument(
            "--redistributable", action="store_true", help="a new source may be passed on to partners"
        )
        parser.add_argument(
            "--simulated", action="store_true", help="the prices of a new source are simulated"
        )
        parser.add_argument("--currency", default="", help="currency of new securities whose rows name none")
        parser.add_argument(
            "--create-missing", action="store_true", help="create securities for unknown keys"
        )
        parser.add_argument("--preview", action="store_true", help="say what would happen and write nothing")
        parser.add_argument("--no-valuation", action="store_true", help="leave valuing to the next daily run")

    def handle(self, *args: Any, **options: Any) -> None:
        code = options["source"].upper()
        source = PriceSource.objects.own().filter(code=code).first() or save_source(
            code=code,
            name=options["source_name"] or code,
            is_redistributable=options["redistributable"],
            is_simulated=options["simulated"],
            by=None,
        )
        run(
            self,
            kind=PRICES,
            path=options["file"],
            source=source,
            currency=options["currency"].upper(),
            creates_missing=options["create_missing"],
            is_preview=options["preview"],
            values=not options["no_valuation"],
        )
