"""Reasons of trades, and of trades not made, in words."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

REASONS: dict[str, Any] = {
    "underweight": gettext_lazy("Below its target"),
    "new_position": gettext_lazy("In the model, not held yet"),
    "overweight": gettext_lazy("Above its target"),
    "not_in_model": gettext_lazy("Held, but not in the model"),
    "excluded": gettext_lazy("Excluded by the client"),
    "cash_needed": gettext_lazy("Sold for the cash that is needed"),
    "liquidation": gettext_lazy("Everything is sold"),
    "edited": gettext_lazy("Changed by hand"),
    "at_target": gettext_lazy("At its target"),
    "below_lot": gettext_lazy("The difference is less than one lot"),
    "below_minimum": gettext_lazy("The trade would be below the minimum"),
    "costs_exceed_trade": gettext_lazy("Costs would exceed the trade"),
    "no_cash": gettext_lazy("No cash left for it"),
    "do_not_buy": gettext_lazy("May not be bought"),
    "do_not_sell": gettext_lazy("May not be sold"),
    "open_order": gettext_lazy("Has an open order; it counts as done"),
    "buys_only": gettext_lazy("Above its target, but only cash is invested here"),
    "sells_only": gettext_lazy("Not needed: only cash is raised here"),
    "cash_suffices": gettext_lazy("There is enough cash"),
    "no_model": gettext_lazy("No model says what to do"),
    "no_value": gettext_lazy("The portfolio is worth nothing"),
    "missing_price": gettext_lazy("No price: not traded"),
    "missing_rate": gettext_lazy("No exchange rate: not traded"),
    "value_not_available": gettext_lazy("The portfolio's value is not available"),
    "cash": gettext_lazy("What is left after all trades and their costs"),
}
BECAUSE: dict[str, Any] = {
    "restricted_list": gettext_lazy("restricted list"),
    "mandate": gettext_lazy("client's restriction"),
    "profile": gettext_lazy("risk profile"),
    "inactive": gettext_lazy("security"),
}
# Reasons that a barrier explains.
_BARRED = {"do_not_buy", "do_not_sell", "excluded"}


def reason_in_words(reason: str, data: Mapping[str, Any]) -> str:
    """Return why a line trades or does not, with what stops it and whose rule that is."""
    words = str(REASONS.get(reason, reason))
    if reason in _BARRED and data.get("barriers"):
        notes = [
            f"{BECAUSE.get(each['because'], each['because'])}: {each['note']}" for each in data["barriers"]
        ]
        words = f"{words} – {'; '.join(notes)}"
    if data.get("limited_by"):
        limit = str(REASONS.get(data["limited_by"], data["limited_by"]))
        words = _("%(why)s; not further: %(limit)s") % {"why": words, "limit": limit[:1].lower() + limit[1:]}
    if data.get("skipped") == "open_order":
        words = _("%(why)s; skipped at approval: there was an open order") % {"why": words}
    return words
