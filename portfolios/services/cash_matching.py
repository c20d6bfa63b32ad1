"""Arrived cash: which instruction it answers, booking it, sending it back; and paying withdrawals."""

import datetime
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import formatting
from accounts.errors import DomainError
from accounts.models import User, audit
from clients.duties import Duty, performs, require
from clients.models import ClientInstruction, InstructionOutcome
from clients.numbers import same_reference
from clients.services import booked_for, record_outcome
from portfolios.models import Account, BankEntry, Holding, Portfolio, Transaction
from portfolios.services.holdings import open_instructions
from portfolios.services.imports.files import UnreadableFile, read_table, read_text
from portfolios.services.imports.values import RowError, Unreadable, read_date, read_number
from portfolios.services.ledger import book
from portfolios.services.opening import account_number

Kind = ClientInstruction.Kind
Outcome = InstructionOutcome.Outcome
State = BankEntry.State

# Points of a suggestion; from here on it is shown, and from there on it is sure enough to offer first.
LEAST_SCORE, SURE_SCORE = 25, 80
_CLOSE_AMOUNT = Decimal("0.02")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An instruction that arrived cash may answer, how likely (0 to 100) and why."""

    instruction: ClientInstruction
    portfolio: Portfolio
    score: int
    reasons: tuple[str, ...]
    difference: Decimal | None

    @property
    def is_sure(self) -> bool:
        """Say whether the match is beyond reasonable doubt."""
        return self.score >= SURE_SCORE and not self.difference


def expected(user: User, kind: str) -> QuerySet[ClientInstruction]:
    """Return the open deposits or withdrawals of portfolios kept here that a person may see, the oldest first."""
    portfolios = Portfolio.objects.visible_to(user).performed_here(Duty.SETTLEMENT)
    return (
        open_instructions(kind)
        .filter(mandate__portfolio__in=portfolios.values("pk"))
        .select_related("mandate__client", "mandate__portfolio", "payout_account")
        .order_by("sent_at")
    )


def visible_entries(user: User) -> QuerySet[BankEntry]:
    """Return arrived cash that nobody could place yet, and that of visible portfolios."""
    portfolios = Portfolio.objects.visible_to(user)
    entries = BankEntry.objects.current()
    return entries.filter(portfolio__isnull=True) | entries.filter(portfolio__in=portfolios.values("pk"))


def suggest(entry: BankEntry, instructions: Iterable[ClientInstruction]) -> list[Suggestion]:
    """Return the instructions that an entry may answer, the most likely first."""
    found = [_score(entry, instruction) for instruction in instructions]
    return sorted(
        (each for each in found if each.score >= LEAST_SCORE),
        key=lambda each: (-each.score, each.instruction.pk),
    )


def _score(entry: BankEntry, instruction: ClientInstruction) -> Suggestion:
    portfolio, client = instruction.mandate.portfolio, instruction.mandate.client
    score, reasons = 0, []
    compact = re.sub(r"[^A-Z0-9]", "", entry.reference.upper())
    if instruction.reference and (
        same_reference(entry.reference, instruction.reference) or instruction.reference.upper() in compact
    ):
        score += 60
        reasons.append(_("the same reference"))
    elif portfolio.number and re.sub(r"[^A-Z0-9]", "", portfolio.number.upper()) in compact:
        score += 30
        reasons.append(_("the portfolio's number in the reference"))
    difference: Decimal | None = None
    if entry.currency == (instruction.currency or portfolio.currency):
        difference = entry.amount - (instruction.amount or Decimal(0))
        if not difference:
            score += 25
            reasons.append(_("the same amount and currency"))
        elif instruction.amount and abs(difference) <= instruction.amount * _CLOSE_AMOUNT:
            score += 12
            reasons.append(_("almost the same amount"))
    else:
        reasons.append(_("another currency"))
    shared = _words(entry.payer) & _words(client.name if client else "")
    if shared:
        score += 15
        reasons.append(_("the payer's name"))
    return Suggestion(instruction, portfolio, min(score, 100), tuple(reasons), difference)


def _words(name: str) -> set[str]:
    return {word for word in re.findall(r"\w+", name.casefold()) if len(word) > 2}


@transaction.atomic
def enter_cash(
    *,
    value_date: datetime.date,
    amount: Decimal,
    currency: str,
    by: User | None,
    payer: str = "",
    reference: str = "",
) -> BankEntry:
    """Record cash that arrived; raise DomainError where the same entry is here already."""
    if amount <= 0:
        raise DomainError("amount_missing", _("Enter an amount above zero."), field="amount")
    if value_date > timezone.now().date():
        raise DomainError(
            "date_in_future", _("Choose a value date that is not in the future."), field="value_date"
        )
    fields = {
        "value_date": value_date,
        "amount": amount,
        "currency": currency.upper(),
        "payer": payer.strip(),
        "reference": reference.strip(),
    }
    if BankEntry.objects.own().filter(**fields).exists():
        raise DomainError("entry_known", _("This entry is here already. Nothing was added."))
    entry = BankEntry.objects.create(**fields)
    audit("enter_cash", entry, by=by)
    return entry


@transaction.atomic
def import_cash(*, content: bytes, file_name: str, by: User | None) -> tuple[int, int, list[RowError]]:
    """Record the arrived cash of a CSV; return how many entries are new, how many known, and what is wrong.

    Nothing is recorded while a row is wrong, so that the file can be corrected and sent again.
    """
    table = read_table(read_text(content, file_name))
    header = [cell.strip().lower().replace(" ", "_") for cell in table.rows[0]]
    missing = [name for name in ("value_date", "amount", "currency") if name not in header]
    if missing:
        raise UnreadableFile(
            "file_columns", _("These columns are missing: %(names)s.") % {"names": ", ".join(missing)}
        )
    errors: list[RowError] = []
    added = known = 0
    with transaction.atomic():
        for number, cells in enumerate(table.rows[1:], start=2):
            if not any(cell.strip() for cell in cells):
                continue
            row = dict(zip(header, cells, strict=False))
            try:
                enter_cash(
                    value_date=read_date(row.get("value_date", "")),
                    amount=read_number(row.get("amount", ""), table.has_decimal_commas),
                    currency=row.get("currency", "").strip(),
                    payer=row.get("payer", ""),
                    reference=row.get("reference", ""),
                    by=by,
                )
                added += 1
            except Unreadable as error:
                errors.append(RowError(number, error.problem, error.remedy))
            except DomainError as error:
                if error.code == "entry_known":
                    known += 1
                else:
                    errors.append(RowError(number, str(error.message), ""))
        if errors:
            transaction.set_rollback(True)
            added = 0
    return added, known, errors


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
) -> BankEntry:
    """Book arrived cash as a deposit and tell the instruction's sender that it is done.

    Without an instruction the cash goes into ``portfolio``. Another amount than announced has to be
    accepted, with a ``reason`` that whoever manages and the advisor read; ``more_to_come`` leaves the
    instruction open for the rest instead.
    """
    reason = reason.strip()
    entry = _open_entry(entry)
    if instruction is not None:
        instruction = ClientInstruction.objects.select_related("mandate__portfolio").get(pk=instruction.pk)
        portfolio = instruction.mandate.portfolio
    if portfolio is None:
        raise DomainError(
            "portfolio_missing", _("Choose the portfolio that the cash belongs to."), field="portfolio"
        )
    require(Duty.SETTLEMENT, portfolio.mandate)
    differs = instruction is not None and _differs(entry, instruction, portfolio)
    if instruction is not None and differs:
        _check_accepted(entry, instruction, portfolio, accepts_difference, bool(reason) or more_to_come)
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
    # Where another party manages, it answers the instruction once it has received the booking.
    if instruction is not None and performs(Duty.MANAGEMENT, instruction.mandate):
        record_outcome(
            instruction=instruction,
            outcome=Outcome.IN_PROGRESS if more_to_come else Outcome.DONE,
            amount=entry.amount,
            currency=entry.currency,
            note=_("More is to come.") if more_to_come else entry.note,
            by=by,
        )
    audit("match_cash", entry, by=by, portfolio=str(portfolio.pk))
    return entry


def _open_entry(entry: BankEntry) -> BankEntry:
    locked: BankEntry = BankEntry.objects.select_for_update(of=("self",)).get(pk=entry.pk)
    if locked.state != State.UNMATCHED:
        raise DomainError("entry_not_open", _("Somebody has dealt with this entry already. Reload the page."))
    return locked


def _differs(entry: BankEntry, instruction: ClientInstruction, portfolio: Portfolio) -> bool:
    """Say whether this with what was booked before is another amount or currency than announced."""
    currency = instruction.currency or portfolio.currency
    return entry.currency != currency or booked_for(instruction) + entry.amount != instruction.amount


def _check_accepted(
    entry: BankEntry,
    instruction: ClientInstruction,
    portfolio: Portfolio,
    accepts_difference: bool,
    is_explained: bool,
) -> None:
    currency = instruction.currency or portfolio.currency
    if not accepts_difference:
        raise DomainError(
            "amount_differs",
            _("%(announced)s was announced and %(arrived)s arrived. Tick that you accept the difference.")
            % {
                "announced": formatting.money(instruction.amount, currency),
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
def send_back(*, entry: BankEntry, reason: str, by: User) -> BankEntry:
    """Mark arrived cash as sent back to its payer."""
    entry = _open_entry(entry)
    if not reason.strip():
        raise DomainError("reason_missing", _("Say why the cash goes back."), field="reason")
    entry.state, entry.note = State.REFUSED, reason.strip()[:200]
    entry.matched_by_name, entry.matched_at = by.full_name, timezone.now()
    entry.save()
    audit("send_back_cash", entry, by=by)
    return entry


@transaction.atomic
def pay_withdrawal(
    *, instruction: ClientInstruction, by: User, paid_on: datetime.date | None = None
) -> Transaction:
    """Pay an open withdrawal to the client's verified account and tell its sender that it is done.

    Raises DomainError while the settled cash does not suffice, or the account is not verified.
    """
    instruction = ClientInstruction.objects.select_related("mandate__portfolio", "payout_account").get(
        pk=instruction.pk
    )
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
    cash = Holding.objects.filter(portfolio=portfolio, security=None, currency=currency).first()
    settled = cash.settled_quantity if cash else Decimal(0)
    if settled < amount:
        raise DomainError(
            "cash_short",
            _("Only %(settled)s is settled. Raise %(missing)s first: sell, or exchange currency.")
            % {
                "settled": formatting.money(settled, currency),
                "missing": formatting.money(amount - settled, currency),
            },
        )
    day = paid_on or timezone.now().date()
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
    if performs(Duty.MANAGEMENT, instruction.mandate):
        record_outcome(instruction=instruction, outcome=Outcome.DONE, amount=amount, currency=currency, by=by)
    audit("pay_withdrawal", paid, by=by, instruction=str(instruction.pk))
    return paid
