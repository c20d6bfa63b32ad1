"""Add to the ledger: the only way into it."""

import datetime
import uuid
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import cast

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from accounts import bulk
from accounts.errors import DomainError
from accounts.models import AuditEntry, User
from clients.duties import Duty
from portfolios.calculations.entries import EntryType, LedgerError, LedgerErrorCode, signed_net_amount
from portfolios.calculations.ledger import Positions, derive_positions
from portfolios.duties import performed
from portfolios.models import Portfolio, Security, Transaction
from portfolios.services.entries import load_entries
from portfolios.services.market import rate_between
from portfolios.services.refreshing import refresh
from portfolios.signals import transactions_booked

Type = Transaction.Type
_CENT, _NOTHING = Decimal("0.0001"), Decimal(0)
_TRADES = {Type.BUY, Type.SELL}
_IN_KIND = {Type.TRANSFER_IN, Type.TRANSFER_OUT}
_CASH_ONLY = {Type.DEPOSIT, Type.WITHDRAWAL, Type.FEE, Type.TAX, Type.INTEREST}


def book(*, entries: Iterable[Transaction], by: User | None, refreshing: bool = True) -> list[Transaction]:
    """Add unsaved entries to the ledger and derive anew what follows from them.

    Signs and amounts have to be as ``Transaction`` says. An ``exchange_rate`` left at 1 for a
    foreign currency is filled in from the day's rate. Entries may be back-dated, into a closed portfolio
    too; after its last day only what empties it is booked. Raises
    DomainError, and books nothing, where a partner keeps the ledger, an entry that does not add up, or a
    sale of more than is held on its day. ``refreshing=False`` leaves holdings and valuations to a
    later ``refresh`` of the same portfolios.
    """
    listed = list(entries)
    if any(entry.type == Type.REVERSAL for entry in listed):
        raise DomainError("reversal_by_hand", _("Open the entry to be corrected and reverse it there."))
    return _add(listed, by, refreshing)


@transaction.atomic
def reverse(*, entry: Transaction, by: User | None, text: str = "") -> Transaction:
    """Cancel an entry by its reversal, as if it had never been booked; both stay in the ledger."""
    # Of two at once the second waits here, and reads what the first has done.
    portfolio = _lock({entry.portfolio_id})[entry.portfolio_id]
    if entry.type == Type.REVERSAL:
        raise DomainError("reverses_reversal", _("A reversal is not reversed. Book the entry again instead."))
    if portfolio.closed_on is not None and entry.type == Type.TRANSFER_OUT:
        raise DomainError(
            "portfolio_closed",
            _(
                "Portfolio %(number)s is closed: what was transferred out of it may have been taken over. Ask for"
                " it to be transferred back to an open one."
            )
            % {"number": portfolio.number},
        )
    if Transaction.objects.filter(reverses=entry).exists():
        raise DomainError(
            "already_reversed", _("This entry is already reversed. Nothing more is to be done.")
        )
    reversal = Transaction(
        portfolio=portfolio,
        type=Type.REVERSAL,
        trade_date=entry.trade_date,
        settlement_date=entry.settlement_date,
        security=entry.security,
        quantity=-entry.quantity,
        price=entry.price,
        currency=entry.currency,
        gross_amount=entry.gross_amount,
        fees=entry.fees,
        taxes=entry.taxes,
        net_amount=-entry.net_amount,
        exchange_rate=entry.exchange_rate,
        counter_currency=entry.counter_currency,
        counter_amount=None if entry.counter_amount is None else -entry.counter_amount,
        ratio=entry.ratio,
        reverses=entry,
        reference=entry.reference,
        text=text[:200],
    )
    return _add([reversal], by, True)[0]


@transaction.atomic
def _add(entries: list[Transaction], by: User | None, refreshing: bool) -> list[Transaction]:
    if not entries:
        return []
    portfolios = _lock({entry.portfolio_id for entry in entries})
    for entry in entries:
        _check(entry, portfolios[entry.portfolio_id])
    now = timezone.now()
    for i, entry in enumerate(entries):
        # Bookings of one moment keep their order: the ledger is read in the order of booking.
        entry.created_at = now + datetime.timedelta(microseconds=i)
    bulk.insert(entries)
    _check_ledgers(portfolios, entries)
    bulk.insert(
        [
            AuditEntry(
                actor=by,
                actor_name=by.full_name if by else "",
                action="entry.reversed" if entry.type == Type.REVERSAL else "entry.booked",
                kind=Transaction._meta.label_lower,
                record_id=entry.pk,
                data={"type": str(entry.type), "portfolio": str(entry.portfolio_id)},
            )
            for entry in entries
        ]
    )
    if refreshing:
        refresh(portfolio_ids=list(portfolios), from_date=min(entry.trade_date for entry in entries))
    transactions_booked.send(sender=Transaction, transactions=entries, by=by)
    return entries


def _lock(ids: set[uuid.UUID]) -> dict[uuid.UUID, Portfolio]:
    found = {
        portfolio.pk: portfolio
        for portfolio in Portfolio.objects.filter(pk__in=ids)
        .select_for_update(of=("self",))
        .select_related("mandate")
        .order_by("pk")
    }
    settled_here = {portfolio.pk for portfolio in performed(Duty.SETTLEMENT, found.values())}
    for portfolio in found.values():
        is_ours = portfolio.pk in settled_here or not portfolio.is_received
        if portfolio.retired_at is not None or not is_ours:
            raise DomainError(
                "received_portfolio",
                _("Your partner keeps the ledger of portfolio %(number)s. Send an instruction instead.")
                % {"number": portfolio.number},
            )
        if portfolio.pk not in settled_here:
            raise DomainError(
                "not_our_duty",
                _(
                    "Your partner settles for portfolio %(number)s and keeps its ledger: what they book appears here."
                )
                % {"number": portfolio.number},
            )
    if len(found) != len(ids):
        raise DomainError("unknown_portfolio", _("This portfolio no longer exists. Reload the page."))
    return found


def _check(entry: Transaction, portfolio: Portfolio) -> None:
    today = timezone.now().date()
    if entry.origin is not None:
        raise DomainError("received_entry", _("Your partner owns this entry; it cannot be booked again."))
    _require(
        entry,
        entry.trade_date <= today,
        "trade_date",
        gettext_noop("Choose a trade date that is not in the future."),
    )
    _require(
        entry,
        entry.settlement_date >= entry.trade_date,
        "settlement_date",
        gettext_noop("Choose a settlement date on or after the trade date."),
    )
    _require(
        entry,
        entry.trade_date >= portfolio.opened_on,
        "trade_date",
        gettext_noop("Portfolio %(number)s was opened on %(day)s. Choose a trade date from then on."),
        number=portfolio.number,
        day=portfolio.opened_on,
    )
    _require(entry, bool(entry.currency), "currency", gettext_noop("Choose a currency."))
    for field in ("fees", "taxes"):
        _require(
            entry,
            getattr(entry, field) >= 0,
            field,
            gettext_noop("Enter fees and taxes as amounts of zero or more."),
        )
    if entry.type != Type.REVERSAL:
        _CHECKS.get(Type(entry.type), _check_cash)(entry)
        _fill_rate(entry, portfolio)


def _require(entry: Transaction, holds: bool, field: str, sentence: str, **words: object) -> None:
    # Translated here: of many thousand entries hardly any is refused.
    if not holds:
        raise DomainError("entry_refused", _(sentence) % words, field=field, data={"type": str(entry.type)})


def _check_net(entry: Transaction) -> None:
    expected = signed_net_amount(
        EntryType(entry.type), entry.gross_amount, fees=entry.fees, taxes=entry.taxes
    )
    _require(
        entry,
        abs(expected - entry.net_amount) < _CENT,
        "net_amount",
        gettext_noop("The net amount should be %(expected)s: the gross amount with fees and taxes."),
        expected=expected,
    )


def _check_trade(entry: Transaction) -> None:
    is_buy = entry.type == Type.BUY
    _require(entry, entry.security_id is not None, "security", gettext_noop("Choose the security."))
    _require(
        entry,
        entry.quantity > 0 if is_buy else entry.quantity < 0,
        "quantity",
        gettext_noop("A purchase has a quantity above zero, a sale one below zero."),
    )
    _require(
        entry, entry.price is not None and entry.price > 0, "price", gettext_noop("Enter a price above zero.")
    )
    _require(entry, entry.gross_amount > 0, "gross_amount", gettext_noop("Enter a gross amount above zero."))
    _check_net(entry)


def _check_transfer(entry: Transaction) -> None:
    is_in = entry.type == Type.TRANSFER_IN
    _require(
        entry, entry.gross_amount >= 0, "gross_amount", gettext_noop("Enter the market value, zero or more.")
    )
    if entry.security_id is None:
        _require(
            entry,
            entry.net_amount > 0 if is_in else entry.net_amount < 0,
            "net_amount",
            gettext_noop("Cash transferred in is above zero, transferred out below zero."),
        )
        return
    _require(
        entry,
        entry.quantity > 0 if is_in else entry.quantity < 0,
        "quantity",
        gettext_noop("Securities transferred in have a quantity above zero, transferred out below zero."),
    )
    _check_net(entry)


def _check_cash(entry: Transaction) -> None:
    allows_any_sign = entry.type == Type.TAX
    _require(
        entry,
        entry.gross_amount != 0 if allows_any_sign else entry.gross_amount > 0,
        "gross_amount",
        gettext_noop("Enter an amount above zero."),
    )
    _require(entry, not entry.quantity, "quantity", gettext_noop("Cash has no quantity. Leave it empty."))
    _check_net(entry)


def _check_dividend(entry: Transaction) -> None:
    _require(entry, entry.security_id is not None, "security", gettext_noop("Choose the security."))
    _check_cash(entry)


def _check_exchange(entry: Transaction) -> None:
    _require(
        entry,
        bool(entry.counter_currency) and entry.counter_currency != entry.currency,
        "counter_currency",
        gettext_noop("Choose the other currency."),
    )
    opposite = entry.counter_amount is not None and entry.counter_amount * entry.net_amount < 0
    _require(entry, opposite, "counter_amount", gettext_noop("One amount goes out and the other comes in."))


def _check_split(entry: Transaction) -> None:
    _require(entry, entry.security_id is not None, "security", gettext_noop("Choose the security."))
    _require(
        entry,
        entry.ratio is not None and entry.ratio > 0 and entry.ratio != 1,
        "ratio",
        gettext_noop("Enter the new units for one old unit, for example 2."),
    )
    _require(entry, not entry.net_amount, "net_amount", gettext_noop("A split moves no cash."))


_CHECKS: dict[Type, Callable[[Transaction], None]] = {
    **dict.fromkeys(_TRADES, _check_trade),
    **dict.fromkeys(_IN_KIND, _check_transfer),
    **dict.fromkeys(_CASH_ONLY, _check_cash),
    Type.DIVIDEND: _check_dividend,
    Type.CURRENCY_EXCHANGE: _check_exchange,
    Type.SPLIT: _check_split,
}


def _fill_rate(entry: Transaction, portfolio: Portfolio) -> None:
    if entry.currency == portfolio.currency:
        entry.exchange_rate = Decimal(1)
        return
    if entry.exchange_rate != 1:
        _require(entry, entry.exchange_rate > 0, "exchange_rate", gettext_noop("Enter a rate above zero."))
        return
    rate = rate_between(entry.currency, portfolio.currency, entry.trade_date)
    if rate is None:
        raise DomainError(
            "rate_missing",
            _("There is no exchange rate for %(pair)s on %(day)s. Import rates first.")
            % {"pair": f"{entry.currency}/{portfolio.currency}", "day": entry.trade_date},
            field="exchange_rate",
        )
    entry.exchange_rate = rate.quantize(Decimal("1e-10"))


def _check_ledgers(portfolios: dict[uuid.UUID, Portfolio], added: list[Transaction]) -> None:
    """Refuse what no ledger can hold, with back-dated entries in their place."""
    ledgers = load_entries(list(portfolios))
    held: dict[uuid.UUID, Positions] = {}
    for portfolio_id, entries in ledgers.items():
        try:
            held[portfolio_id] = derive_positions(entries, as_of=datetime.date.max)
        except LedgerError as error:
            raise _refusal(error, portfolios[portfolio_id]) from error
    late = {
        each.portfolio_id: each for each in added if _is_after_the_end(each, portfolios[each.portfolio_id])
    }
    new = {each.pk for each in added}
    for portfolio_id, entry in late.items():
        entries = [each for each in ledgers[portfolio_id] if each.id not in new]
        _require(
            entry,
            _empties(derive_positions(entries, as_of=datetime.date.max), held[portfolio_id]),
            "trade_date",
            gettext_noop(
                "Portfolio %(number)s is closed. After %(day)s only what it still holds can be paid or transferred"
                " out."
            ),
            number=portfolios[portfolio_id].number,
            day=portfolios[portfolio_id].closed_on,
        )


def _is_after_the_end(entry: Transaction, portfolio: Portfolio) -> bool:
    if portfolio.closed_on is None or entry.type == Type.REVERSAL:
        return False
    return entry.trade_date > portfolio.closed_on


def _empties(before: Positions, after: Positions) -> bool:
    """Say whether nothing grew, what was owed least of all."""
    was, now = before.quantities(), after.quantities()
    return all(
        min(was.get(key, _NOTHING), _NOTHING) <= quantity <= max(was.get(key, _NOTHING), _NOTHING)
        for key, quantity in now.items()
    )


def _refusal(error: LedgerError, portfolio: Portfolio) -> DomainError:
    entry = error.entry
    security = (
        Security.objects.filter(pk=cast("uuid.UUID", entry.security)).first() if entry.security else None
    )
    words = {
        "name": security.name if security else "",
        "number": portfolio.number,
        "day": entry.trade_date,
        "held": f"{(error.held or Decimal(0)).normalize():f}",
        "wanted": f"{abs(entry.quantity).normalize():f}",
        "currency": entry.currency,
    }
    sentences: dict[LedgerErrorCode, str] = {
        LedgerErrorCode.SELLS_MORE_THAN_HELD: _(
            "Portfolio %(number)s holds %(held)s of %(name)s on %(day)s, and %(wanted)s would leave it. "
            "Reduce the quantity, or reverse the later entry first."
        ),
        LedgerErrorCode.CURRENCY_DIFFERS: _(
            "Portfolio %(number)s holds %(name)s in another currency than %(currency)s. "
            "Book the entry in the currency of the holding."
        ),
        LedgerErrorCode.REVERSED_TWICE: _("This entry is already reversed. Nothing more is to be done."),
    }
    sentence = sentences.get(
        error.code, _("This entry does not fit the ledger of portfolio %(number)s. Check it.")
    )
    return DomainError(error.code.value, sentence % words, field="quantity", data={"entry": str(entry.id)})
