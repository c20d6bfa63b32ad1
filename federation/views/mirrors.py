"""The mirrors: each direction of each agreement, in step or how far behind, live."""

import uuid
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.lists import ListView, RowFilter
from accounts.rights import can
from accounts.views_base import signed_in
from federation.agreements import timeline
from federation.agreements.sharing import kind_name
from federation.filters import ParkedFilter
from federation.mirror.status import StreamStatus, statuses, visible_to
from federation.models import ParkedRow, Proof, Stream
from federation.monitor import charts, watch
from federation.monitor.forms import MuteForm, SkipForm, ThresholdForm
from federation.monitor.reasons import sentence
from federation.monitor.records import named
from federation.monitor.settings import watch_of
from federation.querysets import by_name
from federation.tables import MirrorTable, ParkedTable
from federation.views.agreements import shown_events
from federation.views.base import institution_of, may_edit, user_of

CONTROL = "mirror.control"
RIGHTS = (CONTROL, "agreement.read")
# How many parked rows stand on the mirror's own page.
SHOWN = 50

STATES = {
    "in_step": Proof.Result.EQUAL.label,
    "parked": Proof.Result.PARKED.label,
    "behind": _("Behind"),
    "filling": _("Filling"),
    "waiting": _("Waiting"),
    "suspended": _("Suspended"),
    "broken": _("Stopped by a problem"),
    "ended": _("Ended"),
}


class MirrorFilterForm(forms.Form):
    """Narrow mirrors down by words, state, direction and what needs attention."""

    q = forms.CharField(label=_("Agreement or partner"), required=False, widget=forms.SearchInput())
    state = forms.ChoiceField(label=_("State"), required=False, choices=[("", _("All")), *STATES.items()])
    direction = forms.ChoiceField(
        label=_("Direction"),
        required=False,
        choices=[("", _("All")), ("out", _("Our records go out")), ("in", _("The partner's come in"))],
    )
    has_parked = forms.BooleanField(label=_("With parked rows"), required=False)


class MirrorFilter(RowFilter):
    """Narrow mirrors down; ended ones show when asked for."""

    def get_form(self) -> MirrorFilterForm:
        return MirrorFilterForm(self.data)

    def passes(self, row: StreamStatus, wanted: dict[str, Any]) -> bool:
        words, state, direction = wanted["q"], wanted["state"], wanted["direction"]
        named = f"{row.agreement.name} {row.partner.name}".lower()
        return (
            (row.state == state if state else row.state != "ended")
            and (not words or words.lower() in named)
            and (not direction or row.is_outgoing == (direction == "out"))
            and (not wanted["has_parked"] or row.parked + row.skipped > 0)
        )


class MirrorList(ListView):
    """Show every mirror from and to this institution."""

    right = RIGHTS
    title = _("Mirrors")
    subtitle = _("Each direction of each agreement: in step, or how far behind")
    table_class = MirrorTable
    template_name = "federation/mirror_list.html"
    empty_title = _("Nothing is mirrored")
    empty_text = _("A mirror runs as soon as an agreement is in force between two parties on this platform.")

    def get_queryset(self) -> list[StreamStatus]:
        institution = institution_of(self.request)
        return statuses(visible_to(institution).order_by(*by_name("agreement__name"), "pk"), institution)

    def get_filterset(self, queryset: Any) -> MirrorFilter:
        return MirrorFilter(self.request.GET, queryset)

    def get_table_kwargs(self) -> dict[str, Any]:
        return {"exclude": () if may_edit(self.request) else ("switches",)}

    def get_empty_action(self) -> tuple[Any, str] | None:
        return _("Agreements"), reverse("federation:agreements")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        alerts = list(watch.open_alerts(institution_of(self.request)))
        return {**super().get_context_data(**kwargs), "alerts": alerts}


class ParkedList(ListView):
    """Show all parked rows of one mirror, to filter and to export."""

    right = RIGHTS
    title = _("Parked rows")
    table_class = ParkedTable
    filterset_class = ParkedFilter
    template_name = "federation/parked_list.html"
    empty_title = _("Nothing is parked")
    empty_text = _("Every row of this mirror has crossed.")

    def get_queryset(self) -> QuerySet[ParkedRow]:
        self.stream = stream_or_404(self.request, self.kwargs["pk"])
        self.subtitle = f"{self.stream.agreement.name}: {self.stream}"
        named = ("skipped_by", "stream__owner", "stream__receiver")
        return ParkedRow.objects.filter(stream=self.stream).select_related(*named).order_by("-last_at")

    def get_table_kwargs(self) -> dict[str, Any]:
        return {"exclude": () if can(user_of(self.request), CONTROL) else ("actions",)}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = {**super().get_context_data(**kwargs), "stream": self.stream}
        if self.stream.owner_id == institution_of(self.request).pk:
            table = context["table"]
            table.named = named((row.record for row in table.paginated_rows), by=user_of(self.request))
        return context


def stream_or_404(request: HttpRequest, pk: uuid.UUID) -> Stream:
    """Return a stream of an agreement of this institution; to anybody else it does not exist."""
    stream: Stream = get_object_or_404(visible_to(institution_of(request)), pk=pk)
    return stream


def _live(request: HttpRequest, stream: Stream) -> dict[str, Any]:
    institution = institution_of(request)
    (status,) = statuses([stream], institution)
    parked = list(
        ParkedRow.objects.filter(stream=stream)
        .select_related("skipped_by", "stream__owner", "stream__receiver")
        .order_by("skipped_at", "-last_at")[:SHOWN]
    )
    records = named(parked, by=user_of(request)) if status.is_outgoing else {}
    return {
        "stream": stream,
        "status": status,
        "proof": Proof.objects.filter(stream=stream).select_related("institution").first(),
        "last_proof": status.proof,
        "kind_names": {
            each["kind"]: kind_name(each["kind"]) for each in (status.proof.kinds if status.proof else [])
        },
        "parked": [
            {
                "row": row,
                "kind": kind_name(row.kind),
                "sentence": sentence(row),
                "record": records.get((row.kind, row.key)),
            }
            for row in parked
        ],
        "parked_count": status.parked + status.skipped,
        "skip_form": SkipForm(),
        "may_control": can(user_of(request), CONTROL),
        "alerts": stream.alerts.filter(institution=institution, cleared_at=None),
    }


@signed_in(RIGHTS)
def mirror_detail(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Show one mirror: its state, what it did, what is parked, and how it was proven."""
    return show(request, stream_or_404(request, pk))


def show(request: HttpRequest, stream: Stream, **given: Any) -> HttpResponse:
    """Return a mirror's page, with forms that were refused where there are any."""
    institution = institution_of(request)
    wanted = watch_of(stream.agreement, institution)
    own = stream.agreement.suspensions.filter(
        institution=institution, what="everything", resumed_at=None
    ).exists()
    events = stream.agreement.events.filter(timeline.about(stream)).select_related(
        "institution", "stream__owner", "stream__receiver"
    )
    return render(
        request,
        "federation/mirror_detail.html",
        {
            **_live(request, stream),
            **_charts(request, stream),
            "watch": wanted,
            "threshold_form": ThresholdForm(initial={"seconds": wanted.behind_seconds}),
            "mute_form": MuteForm(),
            "may_edit": may_edit(request),
            "is_suspended_by_us": own,
            "events": shown_events(stream.agreement, events.order_by("-at", "-pk")[:10]),
            **given,
        },
    )


@signed_in(RIGHTS)
def mirror_live(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Return the part that polls every two seconds."""
    return render(request, "federation/_mirror_live.html", _live(request, stream_or_404(request, pk)))


def _charts(request: HttpRequest, stream: Stream) -> dict[str, Any]:
    window = charts.window_of(request.GET.get("window", ""))
    return {"stream": stream, "window": window, **charts.charts(stream, window, timezone.now())}


@signed_in(RIGHTS)
def mirror_charts(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Return the charts, which poll more slowly."""
    stream = stream_or_404(request, pk)
    return render(request, "federation/_mirror_charts.html", _charts(request, stream))
