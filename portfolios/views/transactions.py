"""One entry of the ledger: where it stands, what follows from it, and its reversal."""

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts import formatting
from accounts.errors import DomainError
from accounts.models import User, audit_reading
from accounts.rights import may
from accounts.views_base import signed_in
from portfolios.calculations.ledger import Gain, derive_positions
from portfolios.calculations.lots import Lot
from portfolios.models import BankEntry, Portfolio, Transaction
from portfolios.services import reverse
from portfolios.services.entries import load_entries

REVERSING = ("portfolio.manage", "settlement.edit")


def _may_reverse(user: User, entry: Transaction) -> bool:
    is_open = (
        entry.origin is None and entry.type != Transaction.Type.REVERSAL and not hasattr(entry, "reversed_by")
    )
    return is_open and any(may(user, right, entry) for right in REVERSING)


@signed_in()
def detail(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Show an entry with its amounts, the lots that a sale used, and what corrected it."""
    assert isinstance(request.user, User)
    entry = get_object_or_404(
        Transaction.objects.visible_to(request.user).select_related(
            "portfolio", "security", "reverses", "reversed_by"
        ),
        pk=pk,
    )
    audit_reading(entry, by=request.user)
    gain, lots = _explain(entry)
    return render(
        request,
        "portfolios/transaction_detail.html",
        {
            "entry": entry,
            "portfolio": entry.portfolio,
            "gain": gain,
            "lots": lots,
            "reversal": getattr(entry, "reversed_by", None),
            "may_reverse": _may_reverse(request.user, entry),
        },
    )


def _explain(entry: Transaction) -> tuple[Gain | None, list[dict[str, Any]]]:
    """Return the realised gain of a sale and the lots it used, or for a purchase the lots held after it."""
    if entry.security_id is None or entry.type == Transaction.Type.REVERSAL or hasattr(entry, "reversed_by"):
        return None, []
    ledger = load_entries([entry.portfolio_id], until=entry.trade_date)[entry.portfolio_id]
    positions = derive_positions(ledger, as_of=entry.trade_date)
    gain = next((each for each in positions.gains if each.entry_id == entry.pk), None)
    if gain is not None:
        return gain, [_lot(lot) for lot in gain.lots]
    held = positions.holdings.get(entry.security_id)
    return None, [_lot(lot) for lot in held.lots] if held else []


def _lot(lot: Lot) -> dict[str, Any]:
    return {
        "entry": lot.entry_id,
        "acquired_on": lot.acquired_on,
        "quantity": lot.quantity,
        "book_cost": lot.book_cost,
        "book_cost_portfolio": lot.book_cost_portfolio,
        "per_unit": lot.book_cost / lot.quantity if lot.quantity else None,
    }


@require_POST
@signed_in(REVERSING)
def reverse_entry(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Reverse an own entry, with a reason."""
    assert isinstance(request.user, User)
    entry = get_object_or_404(Transaction.objects.with_right(request.user, *REVERSING).own(), pk=pk)
    text = request.POST.get("text", "").strip()
    if not text:
        messages.error(request, _("Say why the entry is reversed. The ledger keeps it."))
        return redirect("portfolios:transaction_detail", entry.pk)
    matched = BankEntry.objects.filter(transaction=entry).first()
    try:
        reversal = reverse(entry=entry, by=request.user, text=text)
    except DomainError as error:
        messages.error(request, error.message)
        return redirect("portfolios:transaction_detail", entry.pk)
    messages.success(request, _("Reversed. Holdings and values are worked out again."))
    if matched is not None:
        text = (
            _("The arrived cash is unmatched again, and its instruction open.")
            if matched.instruction_id
            else _("The arrived cash is unmatched again.")
        )
        messages.info(request, text)
    _warn_of_overdrawn_cash(request, entry.portfolio)
    return redirect("portfolios:transaction_detail", reversal.pk)


def _warn_of_overdrawn_cash(request: HttpRequest, portfolio: Portfolio) -> None:
    """Say by how much cash is overdrawn over all currencies, as the book's reason for attention counts it."""
    cash = portfolio.valuations.filter(is_latest=True).values_list("cash_value", flat=True).first()
    if cash is not None and cash < 0:
        text = _(
            "The cash of %(number)s is overdrawn: %(cash)s. Match what is paid in, or reverse what was paid from it."
        )
        messages.warning(
            request, text % {"number": portfolio.number, "cash": formatting.money(cash, portfolio.currency)}
        )
