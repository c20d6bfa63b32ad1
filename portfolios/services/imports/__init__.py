"""Imports of prices and exchange rates: preview, confirm, run, undo."""

from portfolios.services.imports.batches import confirm_import, preview_import, run_import, undo_import
from portfolios.services.imports.files import MAXIMUM_UPLOAD
from portfolios.services.imports.keys import PRICES, RATES

__all__ = [
    "MAXIMUM_UPLOAD",
    "PRICES",
    "RATES",
    "confirm_import",
    "preview_import",
    "run_import",
    "undo_import",
]
