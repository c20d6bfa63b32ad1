"""manage.py import_prices: the portfolios' command, for one institution of many."""

from federation.management.commands._institution import InInstitution
from portfolios.management.commands import import_prices


class Command(InInstitution, import_prices.Command):
    """Take the place of the portfolios' command, which knows of one institution only."""
