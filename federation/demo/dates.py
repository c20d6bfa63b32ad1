"""What is dated relative to today: it is set when the demonstration is made, and again on each later day.

Only what the demonstration made is touched, and nothing that somebody has decided on since.
"""

import datetime
from collections.abc import Sequence
from typing import Any

from django.db.models import F, OuterRef, Q, QuerySet, Subquery

from accounts.models import AuditEntry, User
from clients.models import Client, KycStatus, RiskProfile, Task
from federation.demo.build import advisors
from federation.demo.plans import VIEWED, VIEWS
from models_portfolio.models import View

# In so many days from today somebody's identity check runs out, and somebody is to be seen.
KYC_DAYS, REVIEW_DAYS = (-3, 6, 12, 20, 27, 41), (2, 9)
# What has been late for so long has been seen to.
LATE = datetime.timedelta(14)
KYC_YEARS = PROFILE_YEARS = datetime.timedelta(730)
REVIEW_YEAR = datetime.timedelta(364)
CALL = "Call about the yearly review"


def renew_views(today: datetime.date) -> None:
    """Let the manager's views expire as many days from today as when they were published, but not what was ended."""
    ended = AuditEntry.objects.filter(
        action="ended", kind=View._meta.label_lower, record_id__isnull=False
    ).values("record_id")
    for demo in VIEWS:
        view = (
            View.objects.own()
            .filter(version__model__code=VIEWED, rationale=demo.rationale)
            .exclude(pk__in=ended)
            .first()
        )
        until = today + datetime.timedelta(demo.days)
        if view is not None and view.valid_to != until:
            view.valid_to = until
            view.save(update_fields=["valid_to"])


def renew_lists(today: datetime.date) -> None:
    """Fill the lists of a channel's advisors: identity checks that run out, reviews and calls that are due."""
    clients = _clients()
    kyc = KycStatus.objects.own().filter(client__in=clients, state=KycStatus.State.APPROVED)
    kyc.filter(valid_until__lt=today - LATE).update(
        checked_on=F("valid_until"), valid_until=F("valid_until") + KYC_YEARS
    )
    clients.filter(next_review_date__lt=today - LATE).update(
        next_review_date=F("next_review_date") + REVIEW_YEAR
    )
    newest = RiskProfile.objects.filter(client=OuterRef("client")).order_by("-number").values("pk")[:1]
    RiskProfile.objects.own().filter(
        client__in=clients, pk=Subquery(newest), valid_until__lt=today - LATE
    ).update(valid_until=F("valid_until") + PROFILE_YEARS)
    for number, advisor in enumerate(advisors()):
        _fill(kyc.filter(client__advisor=advisor), "valid_until", KYC_DAYS, today)
        _fill(clients.filter(advisor=advisor), "next_review_date", REVIEW_DAYS, today)
        _plan_call(advisor, today + datetime.timedelta(number), today)


def _clients() -> "QuerySet[Client]":
    """Return the clients that the demonstration made: nobody else's have such numbers."""
    made = Q(national_id__startswith="DEMO-") | Q(registration_number__startswith="DEMO-")
    return Client.objects.own().filter(made, status=Client.Status.CLIENT)


def _fill(rows: "QuerySet[Any]", field: str, days: Sequence[int], today: datetime.date) -> None:
    """Have a row fall due up to each of the days from today, since the one before; else bring a later one there."""
    taken = datetime.date.min
    for day in (today + datetime.timedelta(each) for each in days):
        if not rows.filter(**{f"{field}__gt": taken, f"{field}__lte": day}).exists():
            last = today + datetime.timedelta(days[-1])
            row = rows.filter(**{f"{field}__gt": last}).order_by(field, "pk").first()
            if row is not None:
                setattr(row, field, day)
                row.save(update_fields=[field])
        taken = day


def _plan_call(advisor: User, day: datetime.date, today: datetime.date) -> None:
    """Have an advisor call a client: the one who is not called yet, or another one."""
    call = Task.objects.filter(title=CALL, assignee=advisor, done_at=None).first()
    if call is None:
        client = _clients().filter(advisor=advisor).order_by("next_review_date", "pk").first()
        if client is not None:
            Task.objects.create(client=client, title=CALL, due_date=day, assignee=advisor)
    elif call.due_date is not None and call.due_date < today:
        call.due_date = day
        call.save(update_fields=["due_date"])
