"""The manager's inbox: mandates that wait for a decision."""

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import formatting
from accounts.errors import DomainError
from accounts.lists import ListView
from accounts.models import Role, Unit, User, audit_reading
from accounts.rights import PORTFOLIO_ROLES, reach, roles_with
from accounts.views_base import PersonRequest, signed_in
from clients import changes, services, words
from clients.calculations.states import MandateState
from clients.checks import BAD, WARNING, checks_of
from clients.filters import InboxFilter
from clients.forms import DecisionForm
from clients.models import Mandate, MandateDecision
from clients.partners import suspended
from clients.querysets import MandateQuerySet
from clients.tables import InboxTable
from clients.timeline import events_of
from clients.views.live import mark_of

_DECIDED = {
    "accepted": gettext_lazy("Already accepted by %(name)s, %(at)s."),
    "returned": gettext_lazy("Already returned by %(name)s, %(at)s."),
    "rejected": gettext_lazy("Already rejected by %(name)s, %(at)s."),
}
_NOT_RECORDED = {
    "accept": gettext_lazy("Your acceptance was not recorded."),
    "return": gettext_lazy("Your return was not recorded."),
    "reject": gettext_lazy("Your rejection was not recorded."),
}


def _inbox(user: User) -> MandateQuerySet:
    return (
        Mandate.objects.managed_by(user, roles_with("mandate.decide"))
        .filter(status="submitted")
        .managed_here()
        .select_related("client__kyc", "risk_profile")
        .prefetch_related("decisions")
    )


class InboxList(ListView):
    """What waits for a decision, oldest first, then what was returned; new rows appear by themselves."""

    right = "mandate.decide"
    table_class = InboxTable
    filterset_class = InboxFilter
    template_name = "clients/mandate_inbox.html"
    title = gettext_lazy("Mandate inbox")
    subtitle = gettext_lazy("New mandates appear here by themselves.")
    empty_title = gettext_lazy("Nothing waits")
    empty_text = gettext_lazy(
        "As soon as a sales channel submits a mandate, it appears here. You can leave this page open."
    )

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer with nothing to a page that asks again and shows what there is."""
        rows: list[Any] = list(self.inbox.order_by("submitted_at", "pk"))
        self.waiting = [each for each in rows if each.computed_state == MandateState.SUBMITTED]
        self.suspended = suspended(each.agreement for each in rows)
        self.mark = mark_of(
            (each.pk, each.computed_state, each.submission, each.agreement in self.suspended) for each in rows
        )
        asked = request.GET.copy()
        seen = asked.pop("seen", [])
        # Links of the list are made from what is asked for, without what was seen.
        request.GET = asked  # type: ignore[assignment]
        if seen == [self.mark]:
            return HttpResponse(status=204)
        self.is_update = bool(seen)
        response: HttpResponse = super().get(request, *args, **kwargs)
        return response

    @cached_property
    def inbox(self) -> QuerySet[Mandate]:
        """Return what is in the inbox; asked for once, as finding out who manages what takes questions."""
        rows = _inbox(self.request.user).prefetch_related(None)
        return rows.in_state(MandateState.SUBMITTED, MandateState.RETURNED)

    def get_queryset(self) -> QuerySet[Mandate]:
        return self.inbox.all()

    def get_table(self, **kwargs: Any) -> InboxTable:
        table: InboxTable = super().get_table(**kwargs)
        table.suspended = self.suspended
        return table

    def get_template_names(self) -> list[str]:
        found = super().get_template_names()
        return ["clients/_inbox_part.html"] if self._is_partial() else found

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {
            **super().get_context_data(**kwargs),
            "mark": self.mark,
            "is_update": self.is_update,
            "newest": self.waiting[-1] if self.waiting else None,
            "waiting": len(self.waiting),
            "part": super().get_template_names()[0],
        }


def _desks(user: User) -> "QuerySet[Unit]":
    within = reach(user, [Role.PORTFOLIO_MANAGER])
    if within.everything:
        return Unit.objects.order_by("-kind", "name")
    condition = Q(pk__in=[])
    for path in within.paths:
        condition |= Q(path__startswith=path)
    return Unit.objects.filter(condition).order_by("-kind", "name")


@signed_in("mandate.decide")
def mandate_decide(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Show one mandate with its checks, and decide on it."""
    mandate = _in_inbox(request.user).filter(pk=pk).first()
    if mandate is None:
        return _gone(request, pk)
    audit_reading(mandate, mandate.client, by=request.user)
    data = request.POST if request.method == "POST" else None
    form = DecisionForm(data, units=_desks(request.user), initial={"submission": mandate.submission})
    decision = request.POST.get("decision", "")
    if request.method == "POST" and form.is_valid():
        try:
            text = _decide(decision, mandate, form, request.user)
        except (DomainError, ValidationError) as error:
            mandate = _in_inbox(request.user).filter(pk=pk).first()
            if mandate is None:
                return _gone(request, pk)
            form.refuse(error)
            form.look_again(mandate.submission)
        else:
            messages.success(request, text)
            return redirect("clients:mandate_inbox")
    checks = checks_of(mandate)
    profile = mandate.risk_profile
    portfolio = mandate.shown_portfolio
    return render(
        request,
        "clients/mandate_decide.html",
        {
            "mandate": mandate,
            "client": mandate.client,
            "form": form,
            "decision": decision,
            "asked": changes.returned(mandate, mandate.submission - 1),
            "changes": changes.listed(mandate),
            "checks": checks,
            "bad": sum(each.result == BAD for each in checks),
            "warnings": sum(each.result == WARNING for each in checks),
            "too_late": _too_late(decision, mandate),
            "is_waiting": mandate.state == MandateState.SUBMITTED,
            "state": mandate.state,
            "portfolio": portfolio,
            "events": events_of(mandate, [], portfolio.pk if portfolio else None),
            "profile": profile,
            "profile_parts": words.parts(profile) if profile else [],
            "level_name": words.level_name(profile.level) if profile else "",
            "sustainability": words.SUSTAINABILITY.get(profile.sustainability, "") if profile else "",
            "parties": mandate.client.parties.current() if mandate.client else [],
            "contacts": mandate.client.contact_details.current() if mandate.client else [],
            "others": _same_client(request.user, mandate),
        },
    )


def _in_inbox(user: User) -> "QuerySet[Mandate]":
    return _inbox(user).prefetch_related("restrictions")


def _gone(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Tell who decides on a mandate that has left the inbox since that it came too late; else it is a 404."""
    # Of one that is sealed nothing is told; one that was rejected here has left at once.
    rejected = MandateDecision.objects.own().filter(outcome=MandateDecision.Outcome.REJECTED)
    is_told = Q(retired_at=None) | Q(pk__in=rejected.values("mandate"))
    asked = Mandate.objects.managed_here().filter(is_told, pk=pk, submission__gte=1)
    mandate = asked.prefetch_related("decisions").first() if reach(request.user, PORTFOLIO_ROLES) else None
    decision = request.POST.get("decision", "")
    if mandate is None or decision not in _NOT_RECORDED:
        raise Http404
    nothing = _("The mandate no longer waits for a decision.")
    # Who decided on another desk's mandate is that desk's to know.
    is_seen = asked.on_desks_of(request.user, roles_with("mandate.decide")).exists()
    text = _too_late(decision, mandate, is_named=is_seen) or f"{nothing} {_NOT_RECORDED[decision]}"
    wrote = request.POST.get("reason", "").strip()
    messages.error(request, f"{text} {_('You wrote: “%(text)s”') % {'text': wrote}}" if wrote else text)
    return redirect("clients:mandate_inbox")


def _too_late(decision: str, mandate: Mandate, *, is_named: bool = True) -> str:
    """Say which decision counts in place of this one, and whose; "" where none was made."""
    made = [each for each in mandate.decisions.all() if each.submission == mandate.submission]
    first = next((each for each in made if each.outcome in _DECIDED), None)
    if first is None or decision not in _NOT_RECORDED:
        return ""
    said = {
        "name": (is_named and first.decided_by_name) or _("somebody else"),
        "at": formatting.moment(first.decided_at),
    }
    return f"{_DECIDED[first.outcome] % said} {_NOT_RECORDED[decision]}"


def _same_client(user: User, mandate: Mandate) -> Any:
    managed = Mandate.objects.managed_by(user, roles_with("mandate.decide"))
    return managed.filter(client=mandate.client_id).exclude(pk=mandate.pk)


def _decide(decision: str, mandate: Mandate, form: DecisionForm, by: User) -> str:
    data = form.cleaned_data
    common: dict[str, Any] = {"mandate": mandate, "by": by, "submission": data["submission"]}
    if decision == "accept":
        if data["unit"] is None:
            raise DomainError("desk_missing", _("Choose the desk that takes the mandate."), field="unit")
        services.accept_mandate(unit=data["unit"], **common)
        opened = Mandate.objects.select_related("portfolio").get(pk=mandate.pk).portfolio
        return format_html(
            _('Accepted. Its portfolio is open: <a href="{}">{}</a>.'),
            reverse("portfolios:portfolio_detail", args=[opened.pk]),
            opened.number,
        )
    if decision == "return":
        services.return_mandate(reason=data["reason"], missing=form.missing_labels(), **common)
        return _("Returned. The advisor sees what is missing.")
    if decision == "reject":
        services.reject_mandate(reason=data["reason"], **common)
        return _("Rejected. The advisor sees why; the client leaves your records.")
    raise DomainError("decision_missing", _("Choose what to do: accept, return or reject."))
