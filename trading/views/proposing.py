"""Work out proposals: for portfolios chosen, or for all that follow a received version."""

import uuid

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from accounts.errors import DomainError
from accounts.jobs import create_job
from accounts.models import Job, User
from accounts.rights import can
from accounts.views_base import PersonRequest, ids_in, signed_in
from clients.duties import Duty, performs
from models_portfolio.effective import today
from models_portfolio.models import ModelAssignment, ModelVersion
from models_portfolio.services import accept
from portfolios.models import Portfolio
from trading.forms import ProposeForm
from trading.models import Proposal
from trading.services import propose
from trading.tasks import propose_for_job

# Up to so many portfolios are worked out while one waits.
AT_ONCE = 20


def _managed(user: User, ids: list[str]) -> list[Portfolio]:
    """Return the portfolios that the user asks to propose for, as far as they are own and within reach."""
    managed = Portfolio.objects.with_right(user, "proposal.make").own()
    managed = managed.filter(pk__in=ids_in(ids), closed_on__isnull=True)
    return list(managed.select_related("mandate").order_by("number"))


def _back(request: PersonRequest) -> str:
    """Return the page of this site that the request came from; empty where it came from elsewhere."""
    url = request.META.get("HTTP_REFERER", "")
    return url if url_has_allowed_host_and_scheme(url, allowed_hosts={request.get_host()}) else ""


@require_POST
@signed_in("proposal.make")
def propose_for(request: PersonRequest) -> HttpResponseBase:
    """Propose for the portfolios chosen: one opens its proposal, many show how far the work is."""
    form = ProposeForm(request.POST)
    if not form.is_valid():
        messages.error(request, " ".join(str(e) for errors in form.errors.values() for e in errors))
        return redirect(_back(request) or reverse("portfolios:book"))
    portfolios = _managed(request.user, request.POST.getlist("portfolio"))
    if not portfolios:
        messages.error(request, _("Choose at least one own portfolio."))
        return redirect(_back(request) or reverse("portfolios:book"))
    data = form.cleaned_data
    if len(portfolios) == 1:
        try:
            proposal = propose(portfolio=portfolios[0], by=request.user, **data)
        except DomainError as error:
            if "proposal" not in error.data:
                raise
            messages.warning(request, error.message)
            return redirect("trading:proposal_detail", error.data["proposal"])
        return redirect("trading:proposal_detail", proposal.pk)
    if data["mode"] in (Proposal.Mode.RAISE_CASH, Proposal.Mode.LIQUIDATE):
        messages.error(request, _("Raise cash and liquidate for one portfolio at a time."))
        return redirect(_back(request) or reverse("portfolios:book"))
    job = start_proposing(portfolios=portfolios, by=request.user, mode=data["mode"], reason=data["reason"])
    return redirect("accounts:job", job.pk)


def start_proposing(*, portfolios: list[Portfolio], by: User, mode: str, reason: str = "") -> Job:
    """Propose for many portfolios: a few at once, many in a worker."""
    count = len(portfolios)
    job = create_job(
        kind="trading.propose",
        title=ngettext("Propose for %(n)d portfolio", "Propose for %(n)d portfolios", count) % {"n": count},
        by=by,
        total=count,
        back_url=reverse("trading:proposal_list") + "?state=draft",
        back_label=_("Show the drafts"),
        data={
            "portfolios": [str(portfolio.pk) for portfolio in portfolios],
            "mode": str(mode),
            "reason": reason,
        },
    )
    if count <= AT_ONCE:
        propose_for_job(str(job.pk))
    else:
        transaction.on_commit(lambda: propose_for_job.delay(str(job.pk)))
    return job


@require_POST
@signed_in("proposal.make")
def adopt_and_rebalance(request: PersonRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Accept a received version with its views, and propose for all own portfolios that follow it."""
    versions = ModelVersion.objects.visible_to(request.user).received()
    version = get_object_or_404(versions.select_related("model"), pk=pk)
    if not can(request.user, "model.edit"):
        raise DomainError("not_yours", _("Somebody who decides on models has to accept this first."))
    accept(version=version, by=request.user, seen=request.POST.get("seen", "").split())
    followers = (
        ModelAssignment.objects.own()
        .as_of(max(version.effective_from, today()))
        .filter(model=version.model, portfolio__origin__isnull=True)
        .values_list("portfolio", flat=True)
    )
    portfolios = [
        portfolio
        for portfolio in _managed(request.user, [str(key) for key in followers])
        if performs(Duty.MANAGEMENT, portfolio.mandate)
    ]
    messages.success(request, _("Version %(number)s is accepted.") % {"number": version.number})
    if not portfolios:
        return redirect("models_portfolio:received_detail", version.model_id)
    job = start_proposing(
        portfolios=portfolios,
        by=request.user,
        mode=Proposal.Mode.TO_TARGET,
        reason=Proposal.Reason.MODEL_CHANGE,
    )
    return redirect("accounts:job", job.pk)
