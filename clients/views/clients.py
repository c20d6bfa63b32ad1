"""The list of clients, and one client on one screen."""

import datetime
import uuid
from collections.abc import Sequence
from typing import Any

from django.apps import apps
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import formatting
from accounts.lists import ListView
from accounts.models import Role, audit_reading
from accounts.period import parse_period
from accounts.rights import can, may
from accounts.views_base import PersonRequest, signed_in
from clients import totals, wealth, words
from clients.filters import ClientFilter
from clients.forms import TaskForm
from clients.models import Client, ClientInstruction, Mandate, RiskProfile
from clients.tables import ClientTable

READERS = (Role.ADVISOR, Role.OPERATIONS, Role.COMPLIANCE, Role.PORTFOLIO_MANAGER)


class ClientList(ListView):
    """All clients that a person may see, own and received."""

    roles = READERS
    table_class = ClientTable
    filterset_class = ClientFilter
    title = gettext_lazy("Clients")
    template_name = "clients/client_list.html"
    empty_title = gettext_lazy("No clients yet")
    empty_text = gettext_lazy("Enter the first one: it takes four steps, and you can stop after each.")

    def get_queryset(self) -> QuerySet[Client]:
        newest = RiskProfile.objects.current().filter(client=OuterRef("pk")).order_by("-number")
        user = self.request.user
        rows = Client.objects.visible_to(user).select_related("kyc")
        rows = rows.annotate(risk_level=Subquery(newest.values("level")[:1]))
        self.mandates, self.rates = Mandate.objects.visible_to(user), wealth.rates()
        self.coming = totals.on_its_way(self.mandates, self.rates)
        return totals.with_total(rows, self.mandates, self.rates, self.coming)

    def get_table_kwargs(self) -> dict[str, Any]:
        found = totals.overview(self.get_table_data(), self.mandates, self.rates, self.coming)
        # Whose a row is says nothing where all are one's own, and no partner says when a review is planned: they would
        # take the room of what is known.
        left_out = [] if Client.objects.received().exists() else ["origin"]
        if not Client.objects.own().exists():
            left_out.append("next_review_date")
        return {"overview": found, "exclude": left_out}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | {"may_create": can(self.request.user, "client.edit")}

    def get_empty_action(self) -> tuple[Any, str] | None:
        if can(self.request.user, "client.edit"):
            return gettext_lazy("New client"), reverse("clients:client_create")
        return None


@signed_in(roles=READERS)
def client_detail(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Show one client: what they own and how it went, what waits, and who they are."""
    served = Client.objects.served_by(request.user).filter(pk=OuterRef("pk"))
    clients = Client.objects.visible_to(request.user).annotate(is_served=Exists(served))
    client = get_object_or_404(clients, pk=pk)
    audit_reading(client, by=request.user)
    mandates = list(
        Mandate.objects.visible_to(request.user).filter(client=client).prefetch_related("decisions")
    )
    today = timezone.localdate()
    first = _first_day(mandates)
    period = parse_period(request.GET, today=today, first=first, default="1y")
    known = wealth.rates()
    owned = wealth.wealth_of(client, mandates, period.from_date, known)
    slices = wealth.allocation(mandates, client.currency, known)
    # Of two days a line says nothing.
    lines = [line for line in wealth.return_lines(mandates, period.from_date) if len(line[1]) > 2]
    profile = client.risk_profiles.current().order_by("-number").first()
    is_own = not client.is_received
    may_edit = is_own and may(request.user, "client.edit", client)
    positions = {each.mandate.pk: each for each in owned.positions}
    return render(
        request,
        "clients/client_detail.html",
        {
            "client": client,
            "mandates": [(mandate, positions.get(mandate.pk)) for mandate in mandates],
            "period": period,
            "owned": owned,
            "allocation_option": _allocation_option(slices) if slices else None,
            "allocation_table": _allocation_table(slices, client.currency),
            "returns_option": _returns_option(lines) if lines else None,
            "returns_table": _returns_table(lines),
            "instructions": _instructions(mandates),
            "reports": _reports(mandates),
            "kyc": getattr(client, "kyc", None),
            "profile": profile,
            "level_name": words.level_name(profile.level) if profile else "",
            "contacts": client.contact_details.current(),
            "parties": client.parties.current(),
            "payout_accounts": client.payout_accounts.current(),
            "notes": client.notes.select_related("author")[:5] if is_own else [],
            "tasks": client.tasks.filter(done_at=None) if is_own else [],
            "task_form": TaskForm(initial={"due_date": today + datetime.timedelta(days=7)}),
            "may_edit": may_edit,
            "may_check": may_edit or (is_own and may(request.user, "kyc.edit", client)),
            "may_verify": may_edit or (is_own and may(request.user, "payout.verify", client)),
            "may_instruct": is_own and may(request.user, "instruction.send", client),
            "sees_private": is_own and not request.user.hides_amounts,
        },
    )


def _first_day(mandates: Sequence[Mandate]) -> datetime.date | None:
    opened = (
        apps.get_model("portfolios", "Portfolio")
        .objects.current()
        .filter(mandate__in=[mandate.pk for mandate in mandates])
        .order_by("opened_on")
        .values_list("opened_on", flat=True)
        .first()
    )
    return opened if isinstance(opened, datetime.date) else None


def _instructions(mandates: Sequence[Mandate]) -> list[ClientInstruction]:
    rows = ClientInstruction.objects.current().filter(mandate__in=[mandate.pk for mandate in mandates])
    return list(rows.select_related("mandate").prefetch_related("outcomes")[:6])


def _reports(mandates: Sequence[Mandate]) -> list[Any]:
    rows = apps.get_model("reporting", "Report").objects.current()
    rows = rows.filter(portfolio__mandate__in=[mandate.pk for mandate in mandates], state="ready")
    return list(rows.select_related("release", "portfolio").defer("pdf", "content")[:5])


def _allocation_option(slices: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    return {
        "roboblock": {"format": "money"},
        "tooltip": {"trigger": "item"},
        "legend": {"orient": "vertical", "right": 0, "top": "middle"},
        "series": [
            {
                "type": "pie",
                "radius": ["46%", "72%"],
                "center": ["28%", "50%"],
                "label": {"show": False},
                "data": [{"name": name, "value": amount} for name, amount in slices],
            }
        ],
    }


def _allocation_table(slices: Sequence[tuple[str, Any]], currency: str) -> dict[str, Any]:
    total = sum(amount for _name, amount in slices)
    return {
        "headers": [_("Asset class"), f"{_('Value')} ({currency})", _("Share")],
        "rows": [
            [name, formatting.whole(amount), formatting.percent(amount / total, 1) if total else "—"]
            for name, amount in slices
        ],
    }


def _line_name(mandate: Mandate) -> str:
    return mandate.name or mandate.offer_name or mandate.number


def _returns_option(lines: Sequence[tuple[Mandate, list[tuple[str, float]]]]) -> dict[str, Any]:
    return {
        "roboblock": {"format": "percent"},
        "tooltip": {"trigger": "axis"},
        "legend": {"top": 0},
        "xAxis": {"type": "time"},
        "yAxis": {"type": "value", "scale": True},
        "series": [
            {"type": "line", "name": _line_name(mandate), "showSymbol": False, "data": points}
            for mandate, points in lines
        ],
    }


def _returns_table(lines: Sequence[tuple[Mandate, list[tuple[str, float]]]]) -> dict[str, Any]:
    rows = [
        [_line_name(mandate), day, formatting.signed_percent(value)]
        for mandate, points in lines
        for day, value in (*points[:-1:12], points[-1])
    ]
    return {"headers": [_("Mandate"), _("Day"), _("Return")], "rows": rows}
