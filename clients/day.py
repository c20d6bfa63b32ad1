"""An advisor's day: what waits, each with the next thing to do.

Other apps add their own work with ``register`` when they are ready.
"""

import datetime
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from clients.calculations.states import MandateState
from clients.models import (
    Client,
    ClientInstruction,
    InstructionOutcome,
    KycStatus,
    Mandate,
    RiskProfile,
    Task,
)

SHOWN = 5
AHEAD = datetime.timedelta(days=60)
RECENT = datetime.timedelta(days=7)
SOON = datetime.timedelta(days=14)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing that waits, and where to go for it; ``tone`` is "late", "soon" or empty."""

    title: str
    text: str
    url: str
    day: datetime.date | None = None
    tone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A kind of work: the first items, how many there are, and where all are seen (``url``)."""

    key: str
    title: str | Promise
    icon: str
    action: str | Promise
    items: tuple[Item, ...]
    count: int
    url: str = ""

    @property
    def more(self) -> int:
        """Return how many there are beside those shown."""
        return self.count - len(self.items)


# The clients whose work it is → the work.
Provider = Callable[["QuerySet[Client]"], Work]
_providers: list[tuple[int, Provider]] = []


def register(provider: Provider, *, position: int) -> None:
    """Add a kind of work to the advisor's day; lower positions come first."""
    if (position, provider) not in _providers:
        _providers.append((position, provider))
        _providers.sort(key=lambda each: each[0])


def work_for(clients: "QuerySet[Client]") -> list[Work]:
    """Return all work that waits for these clients, in a fixed number of queries."""
    return [provider(clients) for _position, provider in _providers]


def work_of(rows: "QuerySet[Any]", to_item: Callable[[Any], Item], **about: Any) -> Work:
    """Return work with the first rows as items, and how many rows there are; one query where they are few."""
    shown = list(rows[: SHOWN + 1])
    count = rows.count() if len(shown) > SHOWN else len(shown)
    return Work(items=tuple(to_item(row) for row in shown[:SHOWN]), count=count, **about)


def _tone(day: datetime.date | None) -> str:
    if day is None:
        return ""
    today = timezone.localdate()
    if day < today:
        return "late"
    return "soon" if day <= today + SOON else ""


def _until(day: datetime.date) -> str:
    days = (day - timezone.localdate()).days
    if days < 0:
        return ngettext("%(n)s day ago", "%(n)s days ago", -days) % {"n": -days}
    if days == 0:
        return _("today")
    return ngettext("in %(n)s day", "in %(n)s days", days) % {"n": days}


def _client_url(client_id: Any) -> str:
    return reverse("clients:client_detail", args=[client_id])


def _mandate_url(mandate: Mandate) -> str:
    return reverse("clients:mandate_detail", args=[mandate.pk])


def returned(clients: "QuerySet[Client]") -> Work:
    """Mandates that a manager returned for what is missing."""
    rows = (
        Mandate.objects.filter(client__in=clients.values("pk"))
        .in_state(MandateState.RETURNED)
        .select_related("client")
        .prefetch_related("decisions")
        .order_by("submitted_at")
    )

    def item(mandate: Mandate) -> Item:
        decision = next(each for each in reversed(mandate.decisions.all()) if each.outcome == "returned")
        missing = ", ".join(decision.missing) or decision.reason
        return Item(
            title=str(mandate.client),
            text=f"{mandate.manager_name or _('In house')}: {missing}",
            url=_mandate_url(mandate),
            day=decision.decided_at.date(),
            tone="late",
        )

    return work_of(
        rows,
        item,
        key="returned",
        title=gettext_lazy("Returned mandates"),
        icon="arrow-back-up",
        action=gettext_lazy("Answer"),
    )


def unfinished(clients: "QuerySet[Client]") -> Work:
    """Drafts that were begun and not submitted."""
    rows = (
        Mandate.objects.filter(client__in=clients.values("pk"), status__in=["draft", "signed"])
        .select_related("client")
        .order_by("-created_at")
    )

    def item(mandate: Mandate) -> Item:
        if mandate.offer is not None:
            text = _("Review and sign: %(plan)s") % {"plan": mandate.offer_name}
        elif mandate.risk_profile_id and mandate.amount:
            text = _("Choose a plan")
        else:
            text = _("Risk profile and amount")
        return Item(
            title=str(mandate.client),
            text=text,
            url=reverse("clients:mandate_resume", args=[mandate.pk]),
            day=timezone.localtime(mandate.created_at).date(),
        )

    return work_of(
        rows,
        item,
        key="unfinished",
        title=gettext_lazy("Unfinished onboardings"),
        icon="user-plus",
        action=gettext_lazy("Go on"),
    )


def moving(clients: "QuerySet[Client]") -> Work:
    """Mandates whose successor has been accepted, and whose manager has not been asked to transfer out."""
    asked = ClientInstruction.objects.filter(
        mandate=OuterRef("pk"),
        kind=ClientInstruction.Kind.TRANSFER_OUT,
        status=ClientInstruction.Status.SENT,
    )
    accepted = Mandate.objects.filter(client__in=clients.values("pk")).in_state(MandateState.ACTIVE)
    rows = (
        Mandate.objects.filter(pk__in=accepted.filter(predecessor__isnull=False).values("predecessor"))
        .in_state(MandateState.ACTIVE)
        .filter(~Exists(asked))
        .select_related("client")
        .order_by("submitted_at")
    )

    def item(mandate: Mandate) -> Item:
        return Item(
            title=str(mandate.client),
            text=_("%(manager)s can transfer out: the next manager has accepted.")
            % {"manager": mandate.manager_name or _("In house")},
            url=reverse("clients:instruction_create", args=[mandate.pk, "transfer_out"]),
            tone="late",
        )

    return work_of(
        rows,
        item,
        key="moving",
        title=gettext_lazy("Portfolios to transfer out"),
        icon="arrows-exchange",
        action=gettext_lazy("Instruct"),
    )


def expiring_kyc(clients: "QuerySet[Client]") -> Work:
    """Identity checks that expire soon, have expired, or wait for approval."""
    rows = (
        KycStatus.objects.filter(client__in=clients.filter(status=Client.Status.CLIENT).values("pk"))
        .filter(Q(valid_until__lte=timezone.localdate() + AHEAD) | ~Q(state=KycStatus.State.APPROVED))
        .select_related("client")
        .order_by(F("valid_until").asc(nulls_first=True))
    )

    def item(kyc: KycStatus) -> Item:
        if kyc.state != KycStatus.State.APPROVED or kyc.valid_until is None:
            text = kyc.get_state_display()
        else:
            text = _until(kyc.valid_until)
        return Item(
            title=str(kyc.client),
            text=text,
            url=reverse("clients:kyc", args=[kyc.client_id]),
            day=kyc.valid_until,
            tone=_tone(kyc.valid_until),
        )

    return work_of(
        rows,
        item,
        key="kyc",
        title=gettext_lazy("Identity checks to renew"),
        icon="id",
        action=gettext_lazy("Renew"),
    )


def expiring_profiles(clients: "QuerySet[Client]") -> Work:
    """Risk profiles that expire soon or have expired."""
    newest = RiskProfile.objects.filter(client=OuterRef("pk")).order_by("-number")
    rows = (
        clients.filter(status=Client.Status.CLIENT)
        .annotate(profile_until=Subquery(newest.values("valid_until")[:1]))
        .filter(profile_until__lte=timezone.localdate() + AHEAD)
        .order_by("profile_until")
    )

    def item(client: Any) -> Item:
        return Item(
            title=str(client),
            text=_until(client.profile_until),
            url=reverse("clients:profile_renew", args=[client.pk]),
            day=client.profile_until,
            tone=_tone(client.profile_until),
        )

    return work_of(
        rows,
        item,
        key="profiles",
        title=gettext_lazy("Risk profiles to renew"),
        icon="gauge",
        action=gettext_lazy("Renew"),
    )


def answered(clients: "QuerySet[Client]") -> Work:
    """Cash that arrived and what else became of instructions, in the last days."""
    rows = (
        InstructionOutcome.objects.standing()
        .filter(
            instruction__mandate__client__in=clients.values("pk"),
            outcome__in=["done", "rejected", "failed", "reopened"],
            at__gte=timezone.now() - RECENT,
        )
        .select_related("instruction__mandate__client")
        .order_by("-at")
    )

    def item(outcome: InstructionOutcome) -> Item:
        instruction = outcome.instruction
        is_cash = instruction.kind == "deposit" and outcome.outcome == "done"
        what = _("Cash has arrived") if is_cash else f"{instruction.get_kind_display()}: {outcome}"
        return Item(
            title=str(instruction.mandate.client),
            text=what,
            url=reverse("clients:instruction_detail", args=[instruction.pk]),
            day=timezone.localtime(outcome.at).date(),
            tone="" if outcome.outcome == "done" else "late",
        )

    return work_of(
        rows,
        item,
        key="answered",
        title=gettext_lazy("Arrived cash and answers"),
        icon="cash",
        action=gettext_lazy("See"),
    )


def reviews(clients: "QuerySet[Client]") -> Work:
    """Clients who are to be seen in the next days."""
    rows = clients.filter(next_review_date__lte=timezone.localdate() + SOON).order_by("next_review_date")

    def item(client: Client) -> Item:
        assert client.next_review_date is not None
        day = client.next_review_date
        return Item(title=str(client), text=_until(day), url=_client_url(client.pk), day=day, tone=_tone(day))

    return work_of(
        rows,
        item,
        key="reviews",
        title=gettext_lazy("Reviews"),
        icon="calendar-event",
        action=gettext_lazy("Prepare"),
    )


def tasks(clients: "QuerySet[Client]") -> Work:
    """What was promised and is not done."""
    rows = (
        Task.objects.filter(client__in=clients.values("pk"), done_at=None)
        .select_related("client")
        .order_by("due_date")
    )

    def item(task: Task) -> Item:
        return Item(
            title=task.title,
            text=str(task.client),
            url=f"{_client_url(task.client_id)}#tasks",
            day=task.due_date,
            tone=_tone(task.due_date),
        )

    return work_of(
        rows,
        item,
        key="tasks",
        title=gettext_lazy("Tasks"),
        icon="checkbox",
        action=gettext_lazy("Do"),
    )


def register_own() -> None:
    """Add what this app knows of an advisor's work."""
    own: Iterable[Provider] = (
        returned,
        unfinished,
        moving,
        answered,
        expiring_kyc,
        expiring_profiles,
        reviews,
        tasks,
    )
    for position, provider in enumerate(own, start=1):
        register(provider, position=position * 10)
