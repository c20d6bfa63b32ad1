"""Cash that is expected, that arrived, and that is to be paid out."""

import uuid
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, TypeVar

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accounts.amounts import AmountField
from accounts.errors import DomainError
from accounts.formatting import rate as rate_text
from accounts.lists import ListView
from accounts.models import Role, User
from accounts.rights import can
from accounts.views_base import form_on, signed_in
from clients.duties import Duty
from clients.models import ClientInstruction
from clients.partners import held_up
from portfolios.filters import BankEntryFilter
from portfolios.forms import BankEntryForm, BankFileForm
from portfolios.models import BankEntry, Portfolio
from portfolios.services.arrived_cash import enter_cash, import_cash
from portfolios.services.cash_matching import (
    MATCHES,
    bookable,
    expected,
    match_cash,
    matchable_entries,
    pay_withdrawal,
    send_back,
    visible_entries,
)
from portfolios.services.cash_suggestions import suggest
from portfolios.services.imports import MAXIMUM_UPLOAD
from portfolios.tables import BankEntryTable

_READERS = (Role.COMPLIANCE,)
_SHOWN = 100
Row = TypeVar("Row", bound=Model)
Kind = ClientInstruction.Kind


@signed_in(MATCHES, roles=_READERS)
def cash(request: HttpRequest) -> HttpResponse:
    """Show arrived cash with what it most likely answers, what is expected, and what is to be paid."""
    assert isinstance(request.user, User)
    deposits, deposit_count = _first(expected(request.user, Kind.DEPOSIT))
    withdrawals, withdrawal_count = _first(expected(request.user, Kind.WITHDRAWAL))
    payable = bookable(request.user, Kind.WITHDRAWAL).filter(pk__in=[each.pk for each in withdrawals])
    entries, entry_count = _first(visible_entries(request.user).filter(state=BankEntry.State.UNMATCHED))
    context = {
        "arrived": [
            {"entry": entry, "best": next(iter(suggest(entry, deposits)), None)} for entry in entries
        ],
        "arrived_count": entry_count,
        "deposits": deposits,
        "deposit_count": deposit_count,
        "withdrawals": withdrawals,
        "withdrawal_count": withdrawal_count,
        "shown": _SHOWN,
        "held_up": held_up([*deposits, *withdrawals]),
        "payable": set(payable.values_list("pk", flat=True)),
        "may_match": can(request.user, MATCHES),
    }
    is_part = bool(getattr(request, "htmx", False))
    return render(request, "portfolios/_cash_lists.html" if is_part else "portfolios/cash.html", context)


def _first(rows: QuerySet[Row]) -> tuple[list[Row], int]:
    """Return the rows that the page has room for, and how many there are."""
    found = list(rows[: _SHOWN + 1])
    return found[:_SHOWN], rows.count() if len(found) > _SHOWN else len(found)


class EntryList(ListView):
    """List all arrived cash."""

    right = MATCHES
    roles = _READERS
    table_class = BankEntryTable
    filterset_class = BankEntryFilter
    template_name = "portfolios/bank_entry_list.html"
    title = gettext_lazy("Arrived cash")
    empty_title = gettext_lazy("No cash has arrived yet")
    empty_text = gettext_lazy("Enter what the bank reports, or import its statement.")

    def get_queryset(self) -> QuerySet[BankEntry]:
        return visible_entries(self.request.user).select_related("portfolio").order_by("-value_date", "-pk")


@signed_in(MATCHES, roles=_READERS)
def entry_detail(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Show arrived cash with the instructions that it may answer."""
    assert isinstance(request.user, User)
    return _entry_page(request, _entry(visible_entries(request.user), pk))


def _entry(entries: QuerySet[BankEntry], pk: uuid.UUID) -> BankEntry:
    return get_object_or_404(entries.select_related("portfolio", "instruction", "transaction"), pk=pk)


def _entry_page(request: HttpRequest, entry: BankEntry, error: DomainError | None = None) -> HttpResponse:
    assert isinstance(request.user, User)
    is_open = entry.state == BankEntry.State.UNMATCHED
    may_match = is_open and can(request.user, MATCHES)
    # Who matches chooses among what may be booked; who reads sees what there is.
    asked = bookable if may_match else expected
    deposits = list(asked(request.user, Kind.DEPOSIT)) if is_open else []
    suggestions = suggest(entry, deposits)
    suggested = {each.instruction.pk for each in suggestions}
    return render(
        request,
        "portfolios/bank_entry_detail.html",
        {
            "entry": entry,
            "is_open": is_open,
            "suggestions": suggestions,
            "deposits": deposits,
            "needs_rate": any(each.currency != entry.currency for each in deposits),
            "others": [instruction for instruction in deposits if instruction.pk not in suggested],
            "namesakes": _namesakes(request, error),
            "may_match": may_match and matchable_entries(request.user).filter(pk=entry.pk).exists(),
            "error": error,
            "chosen": request.POST.get("instruction", ""),
            "typed": request.POST,
        },
        status=200 if error is None else 409,
    )


def _namesakes(request: HttpRequest, error: DomainError | None) -> Iterable[Portfolio]:
    if error is None or error.code != "several_portfolios":
        return ()
    assert isinstance(request.user, User)
    return _numbered(request.user, request.POST.get("number", "").strip())


@signed_in(MATCHES)
@form_on("portfolios:bank_entry_detail")
def entry_match(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Confirm which instruction, or which portfolio, arrived cash belongs to."""
    assert isinstance(request.user, User)
    entry = _entry(matchable_entries(request.user), pk)
    try:
        matched = match_cash(
            entry=entry,
            instruction=_instruction(request),
            portfolio=_portfolio(request),
            accepts_difference="accepts_difference" in request.POST,
            more_to_come="more_to_come" in request.POST,
            reason=request.POST.get("difference_reason", ""),
            exchange_rate=_rate(request),
            by=request.user,
        )
    except DomainError as error:
        return _entry_page(request, entry, error)
    messages.success(request, _("Booked into %(number)s.") % {"number": matched.portfolio})
    return redirect("portfolios:cash")


def _rate(request: HttpRequest) -> Decimal | None:
    try:
        rate: Decimal | None = AmountField(places=10, required=False).clean(
            request.POST.get("exchange_rate", "")
        )
    except ValidationError as error:
        raise DomainError(
            "rate_unreadable",
            _(
                "Enter the rate as a number above zero, such as %(example)s, or leave it empty for the reference rate."
            )
            % {"example": rate_text(Decimal("1.0845"))},
            field="exchange_rate",
        ) from error
    return rate


def _instruction(request: HttpRequest, name: str = "instruction") -> ClientInstruction | None:
    wanted = request.POST.get(name, "")
    if not wanted:
        return None
    assert isinstance(request.user, User)
    try:
        key = uuid.UUID(wanted)
    except ValueError as error:
        raise DomainError(
            "instruction_gone", _("This instruction is no longer open. Reload the page.")
        ) from error
    found = bookable(request.user, Kind.DEPOSIT).filter(pk=key).first()
    if found is None:
        raise DomainError("instruction_gone", _("This instruction is no longer open. Reload the page."))
    return found


def _portfolio(request: HttpRequest) -> Portfolio | None:
    number = request.POST.get("number", "").strip()
    if not number:
        return None
    assert isinstance(request.user, User)
    found = list(_numbered(request.user, number))
    if not found:
        raise DomainError(
            "unknown_portfolio",
            _("There is no open portfolio %(number)s here.") % {"number": number},
            field="number",
        )
    if len(found) == 1:
        return found[0]
    for portfolio in found:
        if str(portfolio.pk) == request.POST.get("portfolio"):
            return portfolio
    raise DomainError(
        "several_portfolios",
        _("Several portfolios have the number %(number)s. Choose the one that the cash belongs to.")
        % {"number": number},
        field="number",
    )


def _numbered(user: User, number: str) -> QuerySet[Portfolio]:
    """Return the portfolios of a number that cash may go to: each partner numbers its own."""
    return (
        Portfolio.objects.with_right(user, MATCHES)
        .performed_here(Duty.SETTLEMENT)
        # A closed one may owe what is paid in now.
        .filter(Q(closed_on=None) | Q(pk__in=Portfolio.objects.closed_but_holding().values("pk")))
        .filter(number__iexact=number)
        .select_related("mandate__client")
    )


@signed_in(MATCHES)
@form_on("portfolios:bank_entry_detail")
def entry_send_back(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Send arrived cash back to its payer."""
    assert isinstance(request.user, User)
    entry = _entry(matchable_entries(request.user), pk)
    try:
        send_back(
            entry=entry,
            reason=request.POST.get("reason", ""),
            instruction=_instruction(request, "rejected_instruction"),
            by=request.user,
        )
    except DomainError as error:
        return _entry_page(request, entry, error)
    messages.success(request, _("Marked as sent back."))
    return redirect("portfolios:cash")


@signed_in(MATCHES)
def entry_create(request: HttpRequest) -> HttpResponse:
    """Enter cash that arrived by hand, or take it from a file."""
    assert isinstance(request.user, User)
    is_file = "from_file" in request.POST
    form = BankEntryForm(
        request.POST if request.method == "POST" and not is_file else None,
        currency=getattr(getattr(request, "tenant", None), "currency", "EUR"),
    )
    file_form = BankFileForm(*((request.POST, request.FILES) if is_file else ()))
    errors: list[Any] = []
    try:
        if is_file and file_form.is_valid():
            upload = file_form.cleaned_data["file"]
            # One byte more than may be: what is larger is refused without being read.
            content = upload.read(MAXIMUM_UPLOAD + 1)
            added, known, errors = import_cash(content=content, file_name=upload.name, by=request.user)
            if not errors:
                messages.success(
                    request, _("%(added)s new, %(known)s known already.") % {"added": added, "known": known}
                )
                return redirect("portfolios:cash")
        elif form.is_bound and form.is_valid():
            entry = enter_cash(by=request.user, **form.cleaned_data)
            messages.success(request, _("Entered."))
            return redirect("portfolios:bank_entry_detail", entry.pk)
    except DomainError as error:
        target = file_form if is_file else form
        target.add_error(error.field if error.field in target.fields else None, str(error.message))
    return render(
        request,
        "portfolios/bank_entry_form.html",
        {
            "form": form,
            "file_form": file_form,
            "errors": errors[:_SHOWN],
            "more_errors": max(0, len(errors) - _SHOWN),
        },
    )


@require_POST
@signed_in(MATCHES)
def withdrawal_pay(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Pay an open withdrawal."""
    assert isinstance(request.user, User)
    instruction = get_object_or_404(bookable(request.user, Kind.WITHDRAWAL), pk=pk)
    try:
        pay_withdrawal(instruction=instruction, by=request.user)
    except DomainError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, _("Paid and booked."))
    return redirect("portfolios:cash")
