"""The advisor's day."""

from django.http import HttpResponse
from django.shortcuts import render

from accounts.models import Role
from accounts.views_base import PersonRequest, signed_in
from clients import day
from clients.models import Client


@signed_in(roles=[Role.ADVISOR])
def my_day(request: PersonRequest) -> HttpResponse:
    """Show what waits for the advisor's own clients, or for all of the unit with ``?of=unit``."""
    of_unit = request.GET.get("of") == "unit"
    clients = Client.objects.reached_by(request.user, frozenset({Role.ADVISOR})).own()
    if not of_unit:
        clients = clients.filter(advisor=request.user)
    work = day.work_for(clients)
    waiting = [each for each in work if each.count]
    return render(
        request,
        "clients/my_day.html",
        {"work": work, "waiting": waiting, "of_unit": of_unit, "has_clients": clients.exists()},
    )
