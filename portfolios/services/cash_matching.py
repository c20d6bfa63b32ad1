"""Arrived cash: booking it for an instruction, sending it back; and paying withdrawals."""

from decimal import Decimal

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import formatting
from accounts.errors import DomainError
from accounts.models import User, audit
from clients.duties import Duty, require
from clients.models import ClientInstruction, InstructionBooking
from clients.services import booked_for, record_booking
from portfolios.models import Account, BankEntry, Holding, Portfolio, Transaction
from portfolios.querysets import PortfolioQuerySet
from portfolios.services.holdings import open_instructions, promised_to_buys
from portfolios.services.ledger import book
from portfolios.services.market import rate_between
from portfolios.services.opening import account_number

Kind = ClientInstruction.Kind
Outcome = InstructionBooking.Outcome
State = BankEntry.State

MATCHES = "cash.match"
_RATE = Decimal("1e-10")


def expected(user: User, kind: str) -> QuerySet[ClientInstruction]:
    """Return the open deposits or withdrawals of portfolios kept here that a person may see, the oldest first."""
    return _open_of(Portfolio.objects.visible_to(user), kind)


def bookable(user: User, kind: str) -> QuerySet[ClientInstruction]:
    """Return those of the expected deposits or withdrawals that a person may book."""
    return _open_of(Portfolio.objects.with_right(user, MATCHES), kind)


def _open_of(portfolios: PortfolioQuerySet, kind: str) -> QuerySet[ClientInstruction]:
    portfolios = portfolios.performed_here(Duty.SETTLEMENT)
    return (
        open_instructions(kind)
        .filter(mandate__portfolio__in=portfolios.values("pk"))
        .select_related("mandate__client", "mandate__portfolio", "payout_account")
        .order_by("sent_at")
    )


def visible_entries(user: User) -> QuerySet[BankEntry]:
    """Return arrived cash that nobody could place yet, and that of visible portfolios."""
    return _entries_of(Portfolio.objects.visible_to(user))


def matchable_entries(user: User) -> QuerySet[BankEntry]:
    """Return arrived cash that nobody could place yet, and that of portfolios whose cash a person may book."""
    return _entries_of(Portfolio.objects.with_right(user, MATCHES))


def _entries_of(portfolios: PortfolioQuerySet) -> QuerySet[BankEntry]:
    entries = BankEntry.objects.current()
    return entries.filter(portfolio__isnull=True) | entries.filter(portfolio__in=portfolios.values("pk"))


@transaction.atomic
def match_cash(
    *,
    entry: BankEntry,
    by: User,
    instruction: ClientInstruction | None = None,
    portfolio: Portfolio | None = None,
    accepts_difference: bool = False,
    more_to_come: bool = False,
    reason: str = "",
    exchange_rate: Decimal | None = None,
) -> BankEntry:
    """Book arrived cash as a deposit and tell the instruction's sender that it is done.

    Without an instruction the cash goes into ``portfolio``. Another amount than announced has to be
    accepted, with a ``reason`` that whoever manages and the advisor read; ``more_to_come`` leaves the
    instruction open for the rest instead. Cash in another currency stays in that; ``exchange_rate``, else
    the rate of its value date, turns it into the announced one, to say how much of the instruction it is.
    """
    reason = reason.strip()
    entry = _open_entry(entry)
    if instruction is not None:
        instruction = _open_instruction(instruction)
        portfolio = instruction.mandate.portfolio
    if portfolio is None:
        raise DomainError(
            "portfolio_missing", _("Choose the portfolio that the cash belongs to."), field="portfolio"
        )
    require(Duty.SETTLEMENT, portfolio.mandate)
    rate, differs, cost_rate = None, False, None
    if instruction is not None:
        rate = _rate_of(entry, instruction, exchange_rate)
        differs = rate is not None or booked_for(instruction) + entry.amount != instruction.amount
        # What it was matched at is what it costs in the portfolio's currency.
        cost_rate = rate if instruction.currency == portfolio.currency else None
        if differs:
            _check_accepted(entry, instruction, accepts_difference, bool(reason) or more_to_come)
    is_explained = differs and not more_to_come
    [deposit] = book(
        entries=[
            Transaction(
                portfolio=portfolio,
                type=Transaction.Type.DEPOSIT,
                trade_date=max(entry.value_date, portfolio.opened_on),
                settlement_date=max(entry.value_date, portfolio.opened_on),
                currency=entry.currency,
                gross_amount=entry.amount,
                net_amount=entry.amount,
                exchange_rate=cost_rate or 1,
                reference=instruction.pk if instruction else entry.pk,
                # The reason first: it is all that whoever manages hears of it, and a bank's reference may be long.
                text=" · ".join(filter(None, [reason if is_explained else "", entry.reference]))[:200],
            )
        ],
        by=by,
    )
    entry.portfolio, entry.instruction, entry.transaction = portfolio, instruction, deposit
    entry.account = _cash_account(portfolio, entry.currency)
    entry.state, entry.matched_by_name, entry.matched_at = State.MATCHED, by.full_name, timezone.now()
    entry.note = reason[:200] if is_explained else ""
    entry.save()
    if instruction is not None:
        record_booking(
            instruction=instruction,
            outcome=Outcome.IN_PROGRESS if more_to_come else Outcome.DONE,
            entry=deposit.pk,
            arrived=(entry.amount, entry.currency),
            exchange_rate=rate,
            reason=_("More is to come.") if more_to_come else entry.note,
            by=by,
        )
    audit("cash.matched", entry, by=by, portfolio=str(portfolio.pk))
    return entry


def _open_entry(entry: BankEntry) -> BankEntry:
    locked: BankEntry = BankEntry.objects.select_for_update(of=("self",)).get(pk=entry.pk)
    if locked.state != State.UNMATCHED:
        raise DomainError("entry_not_open", _("Somebody has dealt with this entry already. Reload the page."))
    return locked


def _open_instruction(instruction: ClientInstruction) -> ClientInstruction:
    """Lock an instruction whose cash is still to come or to go; raise DomainError where it is answered."""
    locked: ClientInstruction = (
        ClientInstruction.objects.select_for_update(of=("self",), no_key=True)
        .select_related("mandate__portfolio", "payout_account")
        .get(pk=instruction.pk)
    )
    if not open_instructions(locked.kind).filter(pk=locked.pk).exists():
        raise DomainError("instruction_gone", _("This instruction is no longer open. Reload the page."))
    return locked


def _rate_of(
    entry: BankEntry, instruction: ClientInstruction, exchange_rate: Decimal | None
) -> Decimal | None:
    """Return what turns arrived cash into the announced currency; None where it is the same."""
    if entry.currency == instruction.currency:
        return None
    rate = exchange_rate or rate_between(entry.currency, instruction.currency, entry.value_date)
    if rate is None or rate <= 0:
        raise DomainError(
            "rate_missing",
            _("Enter the rate: how many %(announced)s one %(arrived)s is.")
            % {"announced": instruction.currency, "arrived": entry.currency},
            field="exchange_rate",
        )
    return rate.quantize(_RATE)


def _check_accepted(
    entry: BankEntry,
    instruction: ClientInstruction,
    accepts_difference: bool,
    is_explained: bool,
) -> None:
    if not accepts_difference:
        raise DomainError(
            "amount_differs",
            _("%(announced)s was announced and %(arrived)s arrived. Tick that you accept the difference.")
            % {
                "announced": formatting.money(instruction.amount, instruction.currency),
                "arrived": formatting.money(entry.amount, entry.currency),
            },
            field="accepts_difference",
        )
    if not is_explained:
        raise DomainError(
            "reason_missing",
            _(
                "Say why the instruction is done with another amount; whoever manages and the advisor read it."
            ),
            field="reason",
        )


def _cash_account(portfolio: Portfolio, currency: str) -> Account:
    account, _created = Account.objects.get_or_create(
        portfolio=portfolio,
        kind=Account.Kind.CASH,
        currency=currency,
        defaults={"number": account_number(portfolio, currency)},
    )
    return account


@transaction.atomic
def send_back(
    *, entry: BankEntry, reason: str, by: User, instruction: ClientInstruction | None = None
) -> BankEntry:
    """Mark arrived cash as sent back to its payer, and reject the ``instruction`` that it came for.

    Raises DomainError where a part of the instruction is booked already.
    """
    entry = _open_entry(entry)
    if not reason.strip():
        raise DomainError("reason_missing", _("Say why the cash goes back."), field="reason")
    if instruction is not None:
        instruction = _open_instruction(instruction)
        if booked_for(instruction):
            raise DomainError(
                "part_booked",
                _(
                    "The instruction can not be rejected: a part of it is booked. Send the cash back alone; "
                    "whoever manages closes the instruction with what was booked."
                ),
                field="instruction",
            )
        entry.instruction = instruction
        record_booking(instruction=instruction, outcome=Outcome.REJECTED, reason=reason, by=by)
    entry.state, entry.note = State.REFUSED, reason.strip()[:200]
    entry.matched_by_name, entry.matched_at = by.full_name, timezone.now()
    entry.save()
    audit("cash.sent_back", entry, by=by)
    return entry


@transaction.atomic
def pay_withdrawal(*, instruction: ClientInstruction, by: User) -> Transaction:
    """Pay an open withdrawal to the client's verified account and tell its sender that it is done.

    Raises DomainError while the cash that is settled and free does not suffice, or the account is not verified.
    """
    instruction = _open_instruction(instruction)
    portfolio = Portfolio.objects.select_for_update(of=("self",)).get(pk=instruction.mandate.portfolio.pk)
    require(Duty.SETTLEMENT, portfolio.mandate)
    account, amount = instruction.payout_account, instruction.amount
    if account is None or not account.is_verified:
        raise DomainError(
            "payout_account_unverified",
            _("Two people have to verify the client's account before money goes to it."),
        )
    if amount is None:
        raise DomainError("amount_missing", _("The instruction names no amount. Ask its sender."))
    currency = instruction.currency or portfolio.currency
    free = _free_cash(portfolio, currency)
    if free < amount:
        raise DomainError(
            "cash_short",
            _(
                "Only %(free)s is settled and not needed for purchases. Free %(missing)s first: sell, wait until "
                "sales have settled, exchange currency, or cancel open purchases."
            )
            % {
                "free": formatting.money(free, currency),
                "missing": formatting.money(amount - free, currency),
            },
        )
    day = timezone.now().date()
    [paid] = book(
        entries=[
            Transaction(
                portfolio=portfolio,
                type=Transaction.Type.WITHDRAWAL,
                trade_date=day,
                settlement_date=day,
                currency=currency,
                gross_amount=amount,
                net_amount=-amount,
                reference=instruction.pk,
            )
        ],
        by=by,
    )
    record_booking(instruction=instruction, outcome=Outcome.DONE, entry=paid.pk, by=by)
    audit("withdrawal.paid", paid, by=by, instruction=str(instruction.pk))
    return paid


def _free_cash(portfolio: Portfolio, currency: str) -> Decimal:
    """Return what may leave a portfolio: settled cash that no purchase, settled later or still open, will take."""
    cash = Holding.objects.filter(portfolio=portfolio, security=None, currency=currency).first()
    if cash is None:
        return Decimal(0)
    free: Decimal = min(cash.quantity, cash.settled_quantity) - promised_to_buys(portfolio, currency)
    return max(free, Decimal(0))
