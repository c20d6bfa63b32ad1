"""manage.py import_rates: the portfolios' command, for one institution of many."""

from federation.management.commands._institution import InInstitution
from portfolios.management.commands import import_rates


class Command(InInstitution, import_rates.Command):
    """Take the place of the portfolios' command, which knows of one institution only."""
