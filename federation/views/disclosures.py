"""The disclosure log: of all clients for compliance, and of one client beside its page."""

import uuid
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext_lazy as _

from accounts.lists import ListView, RowFilter
from accounts.views_base import signed_in
from clients.models import Client, Mandate
from federation.disclosure import Disclosure, Until
from federation.disclosure_log import log_of
from federation.forms import day_input
from federation.tables import DisclosureTable
from federation.views.base import institution_of, user_of
from federation.wording import UNTIL, interruption_words, kept_words


class DisclosureFilterForm(forms.Form):
    """Narrow the log down by client, partner, day and whether it goes on."""

    q = forms.CharField(label=_("Client or mandate"), required=False, widget=forms.SearchInput())
    partner = forms.ChoiceField(label=_("To whom"), required=False)
    on = forms.DateField(label=_("In effect on"), required=False, widget=day_input())
    why = forms.ChoiceField(
        label=_("Goes on, or ended because"),
        required=False,
        choices=[("", _("All")), *((key.value, text) for key, text in UNTIL.items())],
    )

    def __init__(self, *args: Any, partners: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["partner"] = forms.ChoiceField(
            label=_("To whom"), required=False, choices=[("", _("All")), *((name, name) for name in partners)]
        )


class DisclosureFilter(RowFilter):
    """Narrow the disclosure log down."""

    def get_form(self) -> DisclosureFilterForm:
        return DisclosureFilterForm(self.data, partners=sorted({row.partner for row in self.rows}))

    def passes(self, row: Disclosure, wanted: dict[str, Any]) -> bool:
        words, day = wanted["q"].lower(), wanted["on"]
        return (
            (not words or words in row.client_name.lower() or words in row.mandate_number.lower())
            and (not wanted["partner"] or row.partner == wanted["partner"])
            and (not wanted["why"] or row.why == Until(wanted["why"]))
            and (not day or (row.since.date() <= day and (row.until is None or row.until.date() >= day)))
        )


class DisclosureLog(ListView):
    """Show per client what reached whom, since when, on whose authority, until when."""

    right = "disclosure.read"
    title = _("Disclosure log")
    subtitle = _(
        "What partners received of clients, worked out from mandates, decisions, agreements and suspensions"
    )
    table_class = DisclosureTable
    template_name = "federation/disclosure_list.html"
    empty_title = _("Nothing has been disclosed")
    empty_text = _("A client's records reach a partner once a mandate is submitted under an agreement.")

    def get_queryset(self) -> Any:
        mandates = Mandate.objects.with_right(user_of(self.request), "disclosure.read")
        return log_of(institution_of(self.request), mandates)

    def get_filterset(self, queryset: Any) -> DisclosureFilter:
        return DisclosureFilter(self.request.GET, queryset)


@signed_in()
def client_disclosures(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Show what was disclosed of one client under the mandates that one may see: part of its page, or a page of its own."""
    user = user_of(request)
    client = get_object_or_404(Client.objects.visible_to(user), pk=pk)
    rows = log_of(institution_of(request), Mandate.objects.visible_to(user).filter(client=client))
    is_part = bool(getattr(request, "htmx", False))
    template = "federation/_client_disclosures.html" if is_part else "federation/client_disclosures.html"
    shown = [(each, interruption_words(each), kept_words(each)) for each in rows]
    return render(request, template, {"client": client, "disclosures": shown, "UNTIL": UNTIL})
