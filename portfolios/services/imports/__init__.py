"""Imports of prices and exchange rates: preview, confirm, run, undo."""

from portfolios.services.imports.batches import (
    PRICES,
    RATES,
    confirm_import,
    preview_import,
    run_import,
    undo_import,
)
from portfolios.services.imports.files import MAXIMUM_UPLOAD

__all__ = [
    "MAXIMUM_UPLOAD",
    "PRICES",
    "RATES",
    "confirm_import",
    "preview_import",
    "run_import",
    "undo_import",
]
