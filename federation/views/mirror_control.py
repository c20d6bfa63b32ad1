"""What an administrator of either party does to a mirror: prove, repair, retry, skip, and set alerts."""

import uuid
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from accounts.errors import DomainError
from accounts.views_base import form_on, signed_in
from federation.models import ParkedRow, Proof, Stream
from federation.monitor import parked, proof, settings
from federation.monitor.forms import MuteForm, SkipForm, ThresholdForm
from federation.views.base import institution_of, say, show_refusal, user_of
from federation.views.mirrors import CONTROL, show, stream_or_404


@require_POST
@signed_in(CONTROL)
def prove(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Have both sides compared, after comparing everything again where a repair is asked for."""
    stream = stream_or_404(request, pk)
    repairs = request.POST.get("repair") == "1"
    if stream.state == Stream.State.ENDED or not stream.agreement.is_live:
        raise DomainError("nothing_crosses", _("Nothing crosses under this agreement now. Resume it first."))
    under_way = Proof.objects.filter(stream=stream, finished_at=None).first()
    # Another one may have begun since: what is said goes by the one that is there.
    asked = proof.ask(stream, by=user_of(request), institution=institution_of(request), repairs=repairs)
    if repairs and not asked.repairs:
        text = _("A comparison is under way. Ask for the repair when it is done.")
    elif under_way is None and asked.repairs == repairs:
        if repairs:
            text = _("Everything is compared again and mended where it differs. You can leave this page.")
        else:
            text = _("Both sides are being compared. You can leave this page.")
    elif asked.repairs:
        text = _("A repair is under way: see below how far it is.")
    else:
        text = _("A comparison is under way: see below how far it is.")
    say(request, text)
    return redirect("federation:mirror_detail", pk)


def _parked_or_404(stream: Stream, number: str | None) -> ParkedRow:
    if not number or not number.isascii() or not number.isdigit() or len(number) > 18:
        raise Http404
    return get_object_or_404(ParkedRow.objects.filter(stream=stream), pk=int(number))


def _back(request: HttpRequest, stream: Stream) -> HttpResponse:
    """Return to where the form stood: the mirror's page, or the page of the list of its parked rows."""
    if "list" not in request.POST:
        return redirect("federation:mirror_detail", stream.pk)
    query = QueryDict(request.POST["list"]).urlencode()
    return redirect(f"{reverse('federation:mirror_parked', args=[stream.pk])}{'?' if query else ''}{query}")


@require_POST
@signed_in(CONTROL)
def retry(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Try one parked row again, or all that were not skipped."""
    stream = stream_or_404(request, pk)
    if "row" in request.POST:
        parked.retry(_parked_or_404(stream, request.POST["row"]), by=user_of(request))
        say(request, _("It is tried again now. If it stays here, read the new reason."))
    else:
        count = parked.retry_all(stream, by=user_of(request))
        say(
            request,
            ngettext("%(count)s row is tried again now.", "%(count)s rows are tried again now.", count)
            % {"count": count},
        )
    return _back(request, stream)


@signed_in(CONTROL)
@form_on("federation:mirror_detail")
def skip(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Leave one parked row alone until its next change, with a reason that both parties read."""
    stream = stream_or_404(request, pk)
    row = _parked_or_404(stream, request.POST.get("row"))
    form = SkipForm(request.POST)
    if form.is_valid():
        parked.skip(
            row, by=user_of(request), institution=institution_of(request), reason=form.cleaned_data["reason"]
        )
        say(request, _("Skipped until its owner changes it. Your partner reads the reason."))
        return _back(request, stream)
    if "list" in request.POST:
        messages.error(request, str(form.errors["reason"][0]))
        return _back(request, stream)
    return show(request, stream, skip_form=form, skipping=row.pk)


@signed_in(CONTROL)
@form_on("federation:mirror_detail")
def alerts(request: HttpRequest, pk: uuid.UUID, action: str) -> HttpResponse:
    """Set from when on this party is alerted, mute its alerts until a moment, or unmute them."""
    stream = stream_or_404(request, pk)
    who: dict[str, Any] = {"by": user_of(request), "institution": institution_of(request)}
    if action == "unmute":
        settings.unmute(stream.agreement, **who)
        say(request, _("Alerts are sent again."))
        return redirect("federation:mirror_detail", pk)
    if action == "threshold":
        form: Any = ThresholdForm(request.POST)
    elif action == "mute":
        form = MuteForm(request.POST)
    else:
        raise Http404
    if form.is_valid():
        try:
            if action == "threshold":
                settings.set_threshold(stream.agreement, **who, seconds=form.cleaned_data["seconds"])
                say(request, _("Saved."))
            else:
                settings.mute(stream.agreement, **who, until=form.until, reason=form.cleaned_data["reason"])
                say(request, _("Muted. Nobody of your institution is alerted until then."))
            return redirect("federation:mirror_detail", pk)
        except DomainError as error:
            show_refusal(form, error)
    return show(request, stream, **{f"{action}_form": form})
