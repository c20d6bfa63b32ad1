"""What the reversal of an entry takes back beside the ledger: the match of arrived cash, the answer to an instruction."""

from django.utils.translation import gettext as _

from accounts import formatting
from accounts.models import User, audit
from clients.models import InstructionBooking
from clients.services import reopen_booking
from portfolios.models import BankEntry, Transaction


def reopen_cash(*, reversal: Transaction, by: User | None) -> None:
    """Give arrived cash back as unmatched whose booking was reversed, and open again the instruction that it answered."""
    reversed_entry = reversal.reverses
    assert reversed_entry is not None
    entry = BankEntry.objects.select_for_update(of=("self",)).filter(transaction=reversal.reverses_id).first()
    if entry is not None:
        _unmatch(entry, reversal, by)
    booking = (
        InstructionBooking.objects.current()
        .own()
        .filter(entry=reversal.reverses_id, instruction__retired_at=None)
        .exclude(outcome=InstructionBooking.Outcome.REOPENED)
        .select_related("instruction")
        .order_by("-at")
        .first()
    )
    if booking is not None:
        words = {"entry": reversed_entry.get_type_display(), "day": formatting.day(reversal.trade_date)}
        said = _("%(entry)s of %(day)s was reversed.") % words
        reopen_booking(booking=booking, by=by, reason=" ".join(filter(None, [said, reversal.text])))


def _unmatch(entry: BankEntry, reversal: Transaction, by: User | None) -> None:
    audit(
        "cash.unmatched",
        entry,
        by=by,
        portfolio=str(entry.portfolio_id),
        instruction=str(entry.instruction_id or ""),
        transaction=str(reversal.reverses_id),
        matched_by=entry.matched_by_name,
    )
    words = {
        "number": reversal.portfolio.number,
        "who": entry.matched_by_name,
        "by": by.full_name if by else "",
        "why": reversal.text,
    }
    entry.note = (_("Matched to %(number)s by %(who)s, reversed by %(by)s: %(why)s") % words)[:200]
    entry.state, entry.matched_by_name, entry.matched_at = BankEntry.State.UNMATCHED, "", None
    entry.portfolio = entry.instruction = entry.transaction = entry.account = None
    entry.save()
