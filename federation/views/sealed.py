"""Sealed records: the list, one mandate's with its holds and openings, and what was opened."""

import uuid
from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.text import capfirst, slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accounts.errors import DomainError
from accounts.lists import Export, ListView, RowFilter
from accounts.models import User, audit
from accounts.rights import can_everywhere
from accounts.views_base import signed_in
from clients.models import Mandate
from federation.agreements import sealing
from federation.forms import HoldForm, ReasonForm
from federation.models import RecordsHold, SealedAccess, SealedRecords
from federation.sealed import SHOWN, SealedMandate, kept_mandates, names_in, sealed_mandates, sealed_rows
from federation.sealed_export import texts_of, workbook
from federation.tables import SEALED_STATES, SealedTable
from federation.views.base import institution_of, say, show_refusal, user_of

HOLD, OPEN = "sealed.hold", "sealed.open"


class SealedFilterForm(forms.Form):
    """Narrow the list down by number, partner and state."""

    q = forms.CharField(label=gettext_lazy("Mandate"), required=False, widget=forms.SearchInput())
    partner = forms.ChoiceField(label=gettext_lazy("Partner"), required=False)
    state = forms.ChoiceField(
        label=gettext_lazy("State"),
        required=False,
        choices=[("", gettext_lazy("All")), *SEALED_STATES.items()],
    )

    def __init__(self, *args: Any, partners: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["partner"] = forms.ChoiceField(
            label=_("Partner"), required=False, choices=[("", _("All")), *((name, name) for name in partners)]
        )


class SealedFilter(RowFilter):
    """Narrow what is sealed down."""

    def get_form(self) -> SealedFilterForm:
        return SealedFilterForm(self.data, partners=sorted({row.partner for row in self.rows}))

    def passes(self, row: SealedMandate, wanted: dict[str, Any]) -> bool:
        return (
            wanted["q"].lower() in row.number.lower()
            and wanted["partner"] in {"", row.partner}
            and wanted["state"] in {"", row.state}
        )


def _require_whole_institution(request: HttpRequest, right: str = HOLD) -> None:
    """Sealed records belong to no unit any more: whoever sees them answers for the whole institution."""
    if not can_everywhere(user_of(request), right):
        raise Http404


class SealedList(ListView):
    """Show what is kept of ended agreements, by mandate: numbers and days alone."""

    right = HOLD
    title = gettext_lazy("Sealed records")
    subtitle = gettext_lazy("What was received under agreements that have ended, and has to be kept")
    table_class = SealedTable
    template_name = "federation/disclosure_list.html"
    empty_title = gettext_lazy("Nothing is sealed")
    empty_text = gettext_lazy(
        "When an agreement ends, what the partner shared of managed mandates is kept here until the law allows to erase it."
    )

    def get_queryset(self) -> Any:
        _require_whole_institution(self.request)
        return sealed_mandates(institution_of(self.request))

    def get_filterset(self, queryset: Any) -> SealedFilter:
        return SealedFilter(self.request.GET, queryset)


def _sealed_or_404(
    request: HttpRequest, pk: uuid.UUID, mandate_pk: uuid.UUID
) -> tuple[SealedRecords, Mandate]:
    _require_whole_institution(request)
    sealed: SealedRecords = get_object_or_404(
        SealedRecords.objects.kept().select_related("agreement", "owner"),
        pk=pk,
        receiver=institution_of(request),
    )
    return sealed, get_object_or_404(kept_mandates(sealed), pk=mandate_pk)


@signed_in(HOLD)
def sealed_detail(request: HttpRequest, pk: uuid.UUID, mandate_pk: uuid.UUID) -> HttpResponse:
    """Show how long one mandate's records are kept, who opened them and what holds them; open them with a reason."""
    sealed, mandate = _sealed_or_404(request, pk, mandate_pk)
    may_open = can_everywhere(user_of(request), OPEN)
    asked = request.POST.get("do", "") if request.method == "POST" else ""
    opening = ReasonForm(request.POST if asked == "open" else None)
    # Both forms of the page ask for a reason.
    holding = HoldForm(request.POST if asked == "hold" else None, auto_id="hold_%s")
    by, institution = user_of(request), institution_of(request)
    if asked == "open" and not may_open:
        raise Http404
    if asked == "open" and opening.is_valid():
        try:
            access = sealing.open_records(
                sealed, mandate, by=by, institution=institution, **opening.cleaned_data
            )
        except DomainError as error:
            show_refusal(opening, error)
        else:
            return redirect("federation:sealed_opened", access.pk)
    if asked == "hold" and holding.is_valid():
        wanted = holding.cleaned_data
        try:
            sealing.place_hold(
                sealed,
                by=by,
                institution=institution,
                reason=wanted["reason"],
                until=wanted["until"],
                mandate=None if wanted["everything"] else mandate,
            )
        except DomainError as error:
            show_refusal(holding, error)
        else:
            say(request, _("Held. These records are not erased while the hold stands."))
            return redirect("federation:sealed_detail", sealed.pk, mandate.pk)
    concerns = [None, mandate.pk]
    return render(
        request,
        "federation/sealed_detail.html",
        {
            "sealed": sealed,
            "mandate": mandate,
            "may_open": may_open,
            "own_access": _open_access(sealed, mandate, user_of(request)) if may_open else None,
            "opening": opening,
            "holding": holding,
            "holds": [hold for hold in sealed.holds.all() if hold.mandate in concerns],
            "accesses": sealed.accesses.filter(mandate=mandate.pk),
        },
    )


def _open_access(sealed: SealedRecords, mandate: Mandate, user: User) -> SealedAccess | None:
    """Return this person's opening of a mandate that still lasts; None where there is none."""
    latest = sealed.accesses.filter(mandate=mandate.pk, by=user.pk).first()
    return latest if latest is not None and latest.is_open else None


@require_POST
@signed_in(HOLD)
def hold_lift(request: HttpRequest, pk: uuid.UUID, mandate_pk: uuid.UUID, hold_pk: uuid.UUID) -> HttpResponse:
    """Lift a hold, with a reason."""
    sealed, mandate = _sealed_or_404(request, pk, mandate_pk)
    hold = get_object_or_404(RecordsHold, pk=hold_pk, sealed=sealed)
    sealing.lift_hold(
        hold, by=user_of(request), institution=institution_of(request), reason=request.POST.get("reason", "")
    )
    say(request, _("Lifted. These records are erased once they are due."))
    return redirect("federation:sealed_detail", sealed.pk, mandate.pk)


def _access_or_404(request: HttpRequest, pk: uuid.UUID) -> SealedAccess:
    """Return an opening of this person's own; whether it lasts is asked apart."""
    _require_whole_institution(request, OPEN)
    access: SealedAccess = get_object_or_404(
        SealedAccess.objects.select_related(
            "sealed__agreement__manager",
            "sealed__agreement__channel",
            "sealed__agreement__version",
            "sealed__owner",
        ),
        pk=pk,
        by=user_of(request).pk,
        sealed__receiver=institution_of(request),
        sealed__erased_at=None,
    )
    return access


@signed_in(OPEN)
def sealed_opened(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Show the records to who opened them, or export them, for as long as that lasts."""
    access = _access_or_404(request, pk)
    if not access.is_open:
        say(request, _("Your look has ended. Open the records again if you still need them."))
        return redirect("federation:sealed_detail", access.sealed_id, access.mandate)
    if request.GET.get("_export") == "xlsx":
        return _exported(request, access)
    found = sealed_rows(access.sealed, access.mandate)
    names = names_in(access.sealed, found)
    kinds = [
        {
            "title": capfirst(kind.title),
            "count": kind.count,
            "heads": [label for _name, label in kind.fields],
            "is_numbered": kind.is_numbered,
            "rows": list(zip(kind.names, texts_of(kind, names), strict=True)),
        }
        for kind in found
    ]
    response = render(
        request,
        "federation/sealed_opened.html",
        {"access": access, "sealed": access.sealed, "kinds": kinds, "shown": SHOWN},
    )
    response["Cache-Control"] = "no-store"
    return response


def _exported(request: HttpRequest, access: SealedAccess) -> HttpResponse:
    audit("sealed.exported", access, by=user_of(request), mandate=str(access.mandate))
    name = f"{slugify(access.mandate_number) or 'sealed'}.xlsx"
    return HttpResponse(
        workbook(access.sealed, sealed_rows(access.sealed, access.mandate, limit=None)),
        content_type=Export.FORMATS[Export.XLSX],
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )
