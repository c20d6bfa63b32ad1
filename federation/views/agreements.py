"""The list of agreements, an agreement's page, its versions and its timeline."""

import uuid
from collections.abc import Iterable
from typing import Any

from django.db.models import Case, CharField, Exists, F, OuterRef, Q, QuerySet, When
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accounts.errors import DomainError
from accounts.lists import ListView
from accounts.rights import can, can_everywhere
from accounts.views_base import form_on, signed_in
from federation.agreements import drafting, proposals, timeline
from federation.agreements.difference import Difference, difference
from federation.agreements.open_work import open_work
from federation.agreements.presets import PRESETS
from federation.agreements.sharing import division_shown
from federation.agreements.timeline import EventKind
from federation.filters import AgreementFilter, TimelineFilter
from federation.forms import PartnerAnswerForm, ReasonForm, TokenForm
from federation.mirror.status import streams_of
from federation.models import (
    Agreement,
    AgreementEvent,
    AgreementVersion,
    Function,
    SealedRecords,
    Side,
    Suspension,
    VersionState,
)
from federation.monitor.watch import open_alerts
from federation.querysets import by_name
from federation.tables import AgreementTable, TimelineTable
from federation.views.base import (
    EDIT,
    READ,
    agreement_or_404,
    institution_of,
    may_edit,
    say,
    sees_records,
    show_refusal,
    sides,
    user_of,
    version_or_404,
)
from models_portfolio.models import Offer

TONES = {
    "accepted": "good", "in_force": "good", "resumed": "good", "mandates_resumed": "good",
    "filled": "good", "caught_up": "good", "mended": "good", "broken": "bad", "behind": "bad", "parked": "bad",
    "suspended": "bad", "cut": "bad", "declined": "bad", "terminated": "bad", "mandates_suspended": "bad",
    "sealed_opened": "bad",
}  # fmt: skip
ICONS = {
    "drafted": "pencil", "proposed": "send", "version_proposed": "send", "accepted": "circle-check",
    "in_force": "plug-connected", "narrowed": "filter", "declined": "circle-x", "withdrawn": "arrow-back-up",
    "overtaken": "versions", "mandates_suspended": "player-pause", "mandates_resumed": "player-play",
    "suspended": "player-pause", "resumed": "player-play", "winding_down": "hourglass", "terminated": "plug-x",
    "cut": "plug-connected-x", "offered": "package-export", "offer_closed": "lock", "offer_opened": "lock-open",
    "sealed": "archive", "sealed_opened": "eye", "held": "lock", "hold_lifted": "lock-open", "erased": "trash",
    "filled": "database-import", "behind": "hourglass", "caught_up": "circle-check", "broken": "alert-circle",
    "mended": "circle-check", "parked": "alert-triangle", "skipped": "player-track-next", "repair_asked": "tool",
    "proven": "scale", "not_proven": "alert-triangle", "token_made": "key", "token_revoked": "key-off", "listed": "world",
    "unlisted": "eye-off",
}  # fmt: skip


class AgreementList(ListView):
    """Show the institution's agreements."""

    right = READ
    title = gettext_lazy("Agreements")
    subtitle = gettext_lazy("With whom you work, who does what, and whether it waits for somebody")
    table_class = AgreementTable
    filterset_class = AgreementFilter
    template_name = "federation/agreement_list.html"
    empty_title = gettext_lazy("You work with nobody yet")
    empty_text = gettext_lazy(
        "An agreement says who does what for a client's money, and what each side sees."
    )

    def get_queryset(self) -> QuerySet[Agreement]:
        institution = institution_of(self.request)
        waiting = AgreementVersion.objects.awaiting_answer().filter(agreement=OuterRef("pk"))
        agreements: QuerySet[Agreement] = (
            Agreement.objects.visible_to(institution)
            .annotate(
                is_manager=Q(manager=institution.pk),
                partner_name=Case(
                    When(manager=institution.pk, then=F("channel__name")),
                    default=F("manager__name"),
                    output_field=CharField(),
                ),
                needs_answer=Exists(waiting.exclude(proposed_by=institution.pk)),
                awaits_partner=Exists(waiting.filter(proposed_by=institution.pk)),
            )
            .order_by("-needs_answer", *by_name())
        )
        return agreements

    def get_empty_action(self) -> tuple[Any, str] | None:
        return (
            (_("Start an agreement"), reverse("federation:agreement_new")) if may_edit(self.request) else None
        )

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        is_told = can(user_of(self.request), "mirror.control")
        return {
            **super().get_context_data(**kwargs),
            "may_edit": may_edit(self.request),
            "alerts": list(open_alerts(institution_of(self.request))) if is_told else [],
        }


def _version_rows(request: HttpRequest, agreement: Agreement) -> list[dict[str, Any]]:
    """Return each version that this party may see, with what it changes of the one in force before it."""
    versions = list(
        AgreementVersion.objects.visible_to(institution_of(request))
        .filter(agreement=agreement)
        .select_related("proposed_by")
        .prefetch_related("acceptances__institution")
    )
    for version in versions:
        version.agreement = agreement
    return [
        {"version": version, "state": version.state, "difference": _against(version, versions)}
        for version in versions
    ]


def _against(version: AgreementVersion, versions: list[AgreementVersion]) -> Difference | None:
    """Compare with what was in force when this version was proposed, a draft with what is in force now."""
    before = [
        (each.in_force_from, each)
        for each in versions
        if each.in_force_from is not None
        and each.pk != version.pk
        and (version.proposed_at is None or each.in_force_from < version.proposed_at)
    ]
    latest = max(before, key=lambda pair: pair[0], default=None)
    return None if latest is None else difference(latest[1], version)


def timeline_of(agreement: Agreement, limit: int | None = None) -> list[dict[str, Any]]:
    """Return the timeline for the page: the manager's side on the left, the channel's on the right."""
    events = agreement.events.select_related("institution", "stream__owner", "stream__receiver")
    return shown_events(agreement, events.order_by("-at", "-pk")[:limit])


def shown_events(agreement: Agreement, events: Iterable[AgreementEvent]) -> list[dict[str, Any]]:
    """Return events of an agreement as lines of a two-sided timeline; what nobody did stands on neither side."""
    return [
        {
            "at": event.at,
            "who": " · ".join(part for part in (event.by_name, timeline.party_of(event)) if part),
            "side": _side(agreement, event),
            "title": timeline.EventKind(event.kind).label
            if event.kind in timeline.EventKind.values
            else event.kind,
            "text": timeline.words(event),
            "tone": TONES.get(event.kind, ""),
            "icon": ICONS.get(event.kind, "circle-dot"),
        }
        for event in events
    ]


def _side(agreement: Agreement, event: AgreementEvent) -> str:
    if event.institution_id is None and event.stream is not None:
        # By itself: on the side whose records it was about.
        return "left" if event.stream.owner_id == agreement.manager_id else "right"
    return "left" if event.institution_id == agreement.manager_id else "right"


def _ending(agreement: Agreement) -> AgreementEvent | None:
    """Return what began or made the end that the agreement is in; None where it goes on."""
    kinds = {
        Agreement.State.WINDING_DOWN: [EventKind.WINDING_DOWN],
        Agreement.State.TERMINATED: [EventKind.CUT, EventKind.TERMINATED],
    }.get(Agreement.State(agreement.state), [])
    event: AgreementEvent | None = (
        agreement.events.filter(kind__in=kinds).select_related("institution").first() if kinds else None
    )
    return event


def _stops_mandates(agreement: Agreement, version: AgreementVersion | None, own: set[str]) -> bool:
    """Return whether new mandates can be stopped or let in: where the relationship stays private none cross."""
    if agreement.state != Agreement.State.ACTIVE or version is None:
        return False
    return Function.RELATIONSHIP not in version.private or Suspension.What.NEW_MANDATES in own


@signed_in(READ)
def agreement_detail(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Show where an agreement stands, with its switches, versions, offers, tokens and timeline."""
    institution = institution_of(request)
    agreement = agreement_or_404(request, pk)
    side = agreement.side_of(institution)
    rows = _version_rows(request, agreement)
    in_force = next((row["version"] for row in rows if row["state"] == VersionState.IN_FORCE), None)
    shown = in_force or (rows[0]["version"] if rows else None)
    is_running = agreement.state in {Agreement.State.ACTIVE, Agreement.State.WINDING_DOWN}
    suspensions = list(agreement.suspensions.filter(resumed_at=None).select_related("institution"))
    own_switches = {each.what for each in suspensions if each.institution_id == institution.pk}
    return render(
        request,
        "federation/agreement_detail.html",
        {
            **sides(agreement, institution),
            "may_edit": may_edit(request),
            "rows": rows,
            "shown": shown,
            "division": division_shown(shown) if shown else [],
            "way_of_working": PRESETS.get(agreement.preset),
            "proposal": next((row for row in rows if row["state"] == VersionState.PROPOSED), None),
            "draft": next((row["version"] for row in rows if row["state"] == VersionState.DRAFT), None),
            "is_running": is_running,
            "open_work": open_work(agreement) if is_running else None,
            "sees_records": sees_records(request),
            "suspensions": suspensions,
            "own_switches": own_switches,
            "stops_mandates": _stops_mandates(agreement, in_force, own_switches),
            "What": Suspension.What,
            "streams": streams_of(institution, agreement),
            "offers": Offer.objects.current().filter(agreement=agreement.pk).select_related("model"),
            "may_offer": side == Side.MANAGER and agreement.takes_offers,
            "tokens": agreement.tokens.filter(issuer=institution),
            "token_form": TokenForm(),
            "reason_form": ReasonForm(required=True, auto_id="id_cut_%s"),
            "is_listed_by_us": getattr(agreement, f"is_listed_by_{side.value}"),
            "is_listed_by_partner": getattr(
                agreement, f"is_listed_by_{(Side.CHANNEL if side == Side.MANAGER else Side.MANAGER).value}"
            ),
            "ending": _ending(agreement),
            "has_sealed": can_everywhere(user_of(request), "sealed.hold")
            and SealedRecords.objects.kept().filter(agreement=agreement, receiver=institution).exists(),
            "events": timeline_of(agreement, limit=30),
        },
    )


@signed_in(READ)
def version_detail(request: HttpRequest, pk: uuid.UUID, version_pk: uuid.UUID) -> HttpResponse:
    """Show one version: its wording, what it changes, and the answer where one is due."""
    agreement = agreement_or_404(request, pk)
    version = version_or_404(request, agreement, version_pk)
    return _show_version(request, version)


def _show_version(request: HttpRequest, version: AgreementVersion, **forms: Any) -> HttpResponse:
    agreement, institution = version.agreement, institution_of(request)
    is_open = version.state == VersionState.PROPOSED
    ours = version.proposed_by_id == institution.pk
    partner = agreement.partner_of(institution)
    rows = _version_rows(request, agreement)
    return render(
        request,
        "federation/version_detail.html",
        {
            **sides(agreement, institution),
            "version": version,
            "division": division_shown(version),
            "difference": next((row["difference"] for row in rows if row["version"].pk == version.pk), None),
            "may_answer": is_open and not ours and may_edit(request),
            "may_record": is_open and ours and not partner.is_hosted and may_edit(request),
            "may_withdraw": is_open and ours and may_edit(request),
            "decline_form": ReasonForm(auto_id="id_decline_%s"),
            "partner_form": PartnerAnswerForm(auto_id="id_partner_%s"),
            **forms,
        },
    )


@signed_in(EDIT)
@form_on("federation:version_detail", "pk", "version_pk")
def accept(request: HttpRequest, pk: uuid.UUID, version_pk: uuid.UUID) -> HttpResponse:
    """Accept a proposal, or record that a partner outside the platform did."""
    agreement = agreement_or_404(request, pk)
    version = version_or_404(request, agreement, version_pk)
    answer, form = _partner_answer(request, version)
    if form is not None and not form.is_valid():
        return _show_version(request, version, partner_form=form)
    try:
        proposals.accept(version, by=user_of(request), institution=institution_of(request), **answer)
    except DomainError as error:
        if form is None:
            raise
        show_refusal(form, error)
        return _show_version(request, version, partner_form=form)
    say(request, _("The agreement is in force. Records cross from now on."))
    return redirect("federation:agreement_detail", agreement.pk)


def _partner_answer(
    request: HttpRequest, version: AgreementVersion
) -> tuple[dict[str, Any], PartnerAnswerForm | None]:
    """Return what was recorded of an external partner's answer, and the form where one is needed."""
    institution = institution_of(request)
    if version.proposed_by_id != institution.pk or version.agreement.partner_of(institution).is_hosted:
        return {}, None
    form = PartnerAnswerForm(request.POST, auto_id="id_partner_%s")
    if not form.is_valid():
        return {}, form
    return {"partner_name": form.cleaned_data["partner_name"], "answered_at": form.answered_at}, form


@signed_in(EDIT)
@form_on("federation:version_detail", "pk", "version_pk")
def decline(request: HttpRequest, pk: uuid.UUID, version_pk: uuid.UUID) -> HttpResponse:
    """Decline a proposal with a reason."""
    agreement = agreement_or_404(request, pk)
    version = version_or_404(request, agreement, version_pk)
    form = ReasonForm(request.POST, auto_id="id_decline_%s")
    answer, partner_form = _partner_answer(request, version)
    if not form.is_valid() or (partner_form is not None and not partner_form.is_valid()):
        forms = {"decline_form": form, **({"partner_form": partner_form} if partner_form else {})}
        return _show_version(request, version, **forms)
    proposals.decline(
        version,
        by=user_of(request),
        institution=institution_of(request),
        reason=form.cleaned_data["reason"],
        **answer,
    )
    say(request, _("Declined. Your partner reads the reason."))
    return redirect("federation:agreement_detail", agreement.pk)


@require_POST
@signed_in(EDIT)
def withdraw(request: HttpRequest, pk: uuid.UUID, version_pk: uuid.UUID) -> HttpResponse:
    """Take back one's own proposal and go on editing it."""
    agreement = agreement_or_404(request, pk)
    version = version_or_404(request, agreement, version_pk)
    proposals.withdraw(version, by=user_of(request), institution=institution_of(request))
    say(request, _("Withdrawn. Its wording is your draft again, which your partner does not see."))
    return redirect("federation:agreement_detail", agreement.pk)


@require_POST
@signed_in(EDIT)
def revise(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Start the next version, or go on with the draft there is."""
    agreement = agreement_or_404(request, pk)
    drafting.revise(agreement, by=user_of(request), institution=institution_of(request))
    return redirect("federation:draft_step", agreement.pk, "sharing")


class Timeline(ListView):
    """Show everything that happened to an agreement, to filter and to export."""

    right = READ
    title = gettext_lazy("Timeline")
    table_class = TimelineTable
    filterset_class = TimelineFilter
    template_name = "federation/timeline_list.html"
    empty_title = gettext_lazy("Nothing has happened yet")

    def get_queryset(self) -> QuerySet[AgreementEvent]:
        self.agreement = agreement_or_404(self.request, self.kwargs["pk"])
        self.subtitle = self.agreement.name
        events: QuerySet[AgreementEvent] = self.agreement.events.select_related(
            "institution", "stream__owner", "stream__receiver"
        )
        return events

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "agreement": self.agreement}


def draft_or_404(request: HttpRequest, agreement: Agreement) -> AgreementVersion:
    """Return this party's own draft of an agreement."""
    drafts = AgreementVersion.objects.drafts().filter(
        agreement=agreement, proposed_by=institution_of(request)
    )
    draft: AgreementVersion | None = drafts.first()
    if draft is None:
        raise Http404
    draft.agreement = agreement
    return draft
