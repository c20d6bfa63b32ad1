"""Questions about clients, mandates and instructions."""

import datetime
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.db.models import (
    Case,
    CharField,
    DecimalField,
    Exists,
    F,
    FilteredRelation,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce

from accounts.models import Role, User
from accounts.records import RecordQuerySet
from accounts.rights import ALL_ROLES, CLIENT_ROLES, PORTFOLIO_ROLES, granted, reach, roles_with
from clients.calculations.states import InstructionState, MandateState

# Whose desk a mandate is.
MANAGING = frozenset({Role.PORTFOLIO_MANAGER})
# The furthest of these outcomes is where an instruction stands (clients.calculations.states).
_FURTHEST_FIRST = ("done", "failed", "rejected", "in_progress", "accepted", "received")


@dataclass(frozen=True, slots=True)
class Person:
    """What a person is recognised by."""

    first_name: str
    last_name: str
    birth_date: datetime.date
    national_id: str = ""


class ClientQuerySet(RecordQuerySet):
    """Clients, own and received."""

    def visible_to(self, user: User) -> "ClientQuerySet":
        """Return the clients that ``user`` may see: those served, and those of managed mandates."""
        return self.reached_by(user, ALL_ROLES)

    def with_right(self, user: User, *rights: str) -> "ClientQuerySet":
        """Return the clients within reach of a role that carries one of the rights: those one may write to."""
        return self.reached_by(user, roles_with(*rights))

    def reached_by(self, user: User, roles: frozenset[str]) -> "ClientQuerySet":
        """Return the clients that ``user`` reaches by ``roles`` alone."""
        from clients.models import Mandate

        managed = Mandate.objects.managed_by(user, MANAGING & roles)
        return self.current().filter(self._served_by(user, roles) | Q(pk__in=managed.values("client")))

    def served_by(self, user: User, roles: frozenset[str] = ALL_ROLES) -> "ClientQuerySet":
        """Return the clients of whom ``user`` reaches all mandates and portfolios (``accounts.rights``)."""
        return self.current().filter(self._served_by(user, roles))

    def _served_by(self, user: User, roles: frozenset[str]) -> Q:
        condition = reach(user, CLIENT_ROLES & roles).q("unit") | granted(user, self.model, roles)
        if reach(user, {Role.ADVISOR} & roles):
            condition |= Q(advisor=user)
        return condition

    def like(
        self, people: Iterable[Person], *, registration_number: str = "", but_not: uuid.UUID | None = None
    ) -> "ClientQuerySet":
        """Return own clients who may be the same: by an official number, or by name and date of birth."""
        same = Q(pk__in=[])
        if registration_number:
            same |= Q(registration_number__iexact=registration_number)
        for person in people:
            if person.national_id:
                same |= Q(national_id__iexact=person.national_id)
                same |= Q(parties__national_id__iexact=person.national_id)
            same |= Q(
                first_name__iexact=person.first_name,
                last_name__iexact=person.last_name,
                birth_date=person.birth_date,
            )
            same |= Q(
                parties__name__iexact=f"{person.first_name} {person.last_name}",
                parties__birth_date=person.birth_date,
            )
        return self.own().current().filter(same).exclude(pk=but_not).distinct()


class MandateQuerySet(RecordQuerySet):
    """Mandates, own and received."""

    def managed_by(self, user: User, roles: frozenset[str] = ALL_ROLES) -> "MandateQuerySet":
        """Return the mandates that ``user`` manages or may take on: the desk's, and those in the inbox."""
        mandates = self.current().exclude(
            Q(status__in=["draft", "signed"]) | Q(status="withdrawn", portfolio=None)
        )
        return mandates.on_desks_of(user, roles)

    def on_desks_of(self, user: User, roles: frozenset[str] = ALL_ROLES) -> "MandateQuerySet":
        """Return the mandates of the desks that ``user`` manages on, and those that no desk has taken on."""
        within = reach(user, PORTFOLIO_ROLES & roles)
        if within.everything or not within:
            return self if within else self.none()
        return self.filter(within.q("portfolio__unit") | Q(portfolio__isnull=True))

    def visible_to(self, user: User) -> "MandateQuerySet":
        """Return the mandates of the clients that ``user`` serves, and those that ``user`` manages."""
        return self.reached_by(user, ALL_ROLES)

    def with_right(self, user: User, *rights: str) -> "MandateQuerySet":
        """Return the mandates within reach of a role that carries one of the rights: those one may write to."""
        return self.reached_by(user, roles_with(*rights))

    def to_hand_over(self, user: User) -> "MandateQuerySet":
        """Return the own mandates in force that ``user`` may give to a next manager."""
        own = self.with_right(user, "mandate.edit").own()
        return own.in_state(MandateState.ACTIVE, MandateState.CLOSING)

    def reached_by(self, user: User, roles: frozenset[str]) -> "MandateQuerySet":
        """Return the mandates that ``user`` reaches by ``roles`` alone."""
        from clients.models import Client

        served = Client.objects.served_by(user, roles)
        managed = self.model.objects.managed_by(user, MANAGING & roles)
        return self.current().filter(Q(client__in=served.values("pk")) | Q(pk__in=managed.values("pk")))

    def with_state(self) -> "MandateQuerySet":
        """Annotate ``computed_state``: what ``Mandate.state`` says, for sorting, filtering and counting."""
        from clients.models import MandateDecision

        decisions = MandateDecision.objects.filter(mandate=OuterRef("pk"), retired_at=None).order_by(
            "-decided_at"
        )
        answer = decisions.filter(
            submission=OuterRef("submission"), outcome__in=["accepted", "returned", "rejected"]
        )
        life = decisions.filter(outcome__in=["active", "closing"])
        closed = decisions.filter(outcome="closed")
        ended = Case(
            When(Exists(closed), then=Value(MandateState.CLOSED)), default=Value(MandateState.CLOSING)
        )
        begun = Exists(decisions.filter(outcome__in=["active", "closing", "closed"]))
        return self.annotate(
            computed_state=Case(
                When(status__in=["draft", "signed"], then=F("status")),
                When(~begun, status="withdrawn", then=F("status")),
                When(status__in=["withdrawn", "closing"], then=ended),
                When(Exists(closed), then=Value(MandateState.CLOSED)),
                default=Coalesce(
                    Subquery(life.values("outcome")[:1]), Subquery(answer.values("outcome")[:1]), F("status")
                ),
                output_field=CharField(),
            )
        )

    def in_state(self, *states: MandateState) -> "MandateQuerySet":
        """Return the mandates that are in one of these states."""
        return self.with_state().filter(computed_state__in=states)

    def editable_by(self, user: User) -> "MandateQuerySet":
        """Return own drafts, and mandates that were returned, of clients that ``user`` may write to."""
        states = (MandateState.DRAFT, MandateState.SIGNED, MandateState.RETURNED)
        return self.with_right(user, "mandate.edit").own().in_state(*states)

    def managed_here(self) -> "MandateQuerySet":
        """Return the mandates that this institution manages, under agreements or for itself."""
        from clients.duties import Duty, performed_under

        return self.filter(under(performed_under(Duty.MANAGEMENT, self._agreements())))

    def _agreements(self) -> set[uuid.UUID]:
        known = self.order_by().exclude(agreement=None).values_list("agreement", flat=True)
        return set(known.distinct())

    def with_book(self) -> "MandateQuerySet":
        """Annotate each mandate's portfolio with value, currency and return since its start, as of its latest day.

        What is on its way from a former manager counts. Where it is in another currency than the portfolio's, and where
        there is no value, ``value`` is null and ``value_missing`` is "".
        """
        value: Any = F("latest__market_value")
        # Few are under way, and read at once: no question to the database for each of the others.
        coming = in_transit().annotate(
            addable=Case(When(currency=F("mandate__portfolio__currency"), then=F("coming")), default=None)
        )
        amounts = [When(pk=pk, then=Value(each)) for pk, each in coming.values_list("mandate", "addable")]
        if amounts:
            value += Case(
                *amounts,
                default=Value(Decimal(0)),
                output_field=DecimalField(max_digits=24, decimal_places=4),
            )
        return (
            self.alias(
                book=FilteredRelation("portfolio", condition=Q(portfolio__retired_at=None)),
                latest=FilteredRelation(
                    "portfolio__valuations",
                    condition=Q(
                        portfolio__valuations__is_latest=True, portfolio__valuations__retired_at=None
                    ),
                ),
            )
            .annotate(
                portfolio_key=F("book__pk"),
                portfolio_number=F("book__number"),
                value=value,
                value_currency=F("latest__currency"),
                value_date=F("latest__date"),
                since_start=F("latest__return_index") - 1,
            )
            .annotate(
                value_missing=Case(
                    When(portfolio_key__isnull=False, value=None, then=Value("")),
                    default=None,
                    output_field=CharField(),
                )
            )
        )


def shown_client_name(mandate: str) -> Case:
    """Return the expression of what ``Mandate.client_name`` says, ``mandate`` being the path there; null for ""."""
    client = f"{mandate}__client"
    return Case(When(**{f"{client}__retired_at": None}, then=F(f"{client}__name")))


def client_named(words: str, mandate: str) -> Q:
    """Return the condition that the client of the mandate at a path has a name that contains the words."""
    client = f"{mandate}__client"
    return Q(**{f"{client}__name__icontains": words, f"{client}__retired_at": None})


def in_transit() -> "QuerySet[Any]":
    """Return the handovers, own ones, that former managers have booked out and whose successor has not booked all.

    What is not booked, or was reversed, stands in neither portfolio and counts with the successor's: ``coming`` is its
    value in the handover's currency, null where that is not known. Where the successor's ledger is not shared, its
    first inflow says that it has booked them.
    """
    entries = apps.get_model("portfolios", "Transaction").objects.filter(retired_at=None)
    standing = entries.filter(reversed_by=None).exclude(type="reversal")
    positions = apps.get_model("portfolios", "HandoverPosition").objects.filter(handover=OuterRef("pk"))
    # Before positions were told apart, all transfers in named their handover: of those that it had by then.
    is_booked = Q(Exists(standing.filter(reference=OuterRef("pk")))) | Q(
        Exists(standing.filter(reference=OuterRef("handover"), pk__gt=OuterRef("pk")))
    )
    waiting = positions.filter(~is_booked)
    is_shared = Exists(entries.filter(portfolio__mandate=OuterRef("mandate")))
    paid_in = apps.get_model("portfolios", "Valuation").objects.filter(
        portfolio__mandate=OuterRef("mandate"), inflow__gt=0, retired_at=None
    )
    opened = apps.get_model("portfolios", "Portfolio").objects.current().filter(mandate=OuterRef("mandate"))
    total = waiting.order_by().values("handover").annotate(total=Sum("value")).values("total")
    coming = Case(
        When(~Exists(positions.filter(is_booked)), then=F("value")),
        When(Exists(waiting.filter(value=None)), then=None),
        default=Subquery(total),
        output_field=DecimalField(max_digits=24, decimal_places=4),
    )
    return (
        apps.get_model("portfolios", "Handover")
        .objects.own()
        .filter(Exists(waiting), is_shared | ~Exists(paid_in), Exists(opened), booked_out_on__isnull=False)
        .annotate(coming=coming)
        .order_by()
    )


def under(agreements: Iterable[uuid.UUID]) -> Q:
    """Return the condition that a mandate is under one of these agreements, or under none."""
    return Q(agreement__isnull=True) | Q(agreement__in=list(agreements))


class AnswerQuerySet(RecordQuerySet):
    """What either party says of instructions."""

    def standing(self) -> "AnswerQuerySet":
        """Return the answers that none made later has taken back."""
        later = self.model._default_manager.filter(
            instruction=OuterRef("instruction"), outcome="reopened", at__gt=OuterRef("at"), retired_at=None
        )
        return self.current().filter(~Exists(later))


class InstructionQuerySet(RecordQuerySet):
    """Client instructions, own and received."""

    def visible_to(self, user: User) -> "InstructionQuerySet":
        """Return the instructions under visible mandates."""
        from clients.models import Mandate

        return self.current().filter(mandate__in=Mandate.objects.visible_to(user).values("pk"))

    def with_right(self, user: User, *rights: str) -> "InstructionQuerySet":
        """Return the instructions under mandates that ``user`` has one of the rights over."""
        from clients.models import Mandate

        return self.current().filter(mandate__in=Mandate.objects.with_right(user, *rights).values("pk"))

    def with_state(self) -> "InstructionQuerySet":
        """Annotate ``computed_state``: what ``ClientInstruction.state`` says."""
        from clients.models import InstructionOutcome

        outcomes = InstructionOutcome.objects.standing().filter(instruction=OuterRef("pk"))

        def has(outcome: str) -> Exists:
            return Exists(outcomes.filter(outcome=outcome))

        return self.annotate(
            computed_state=Case(
                When(status="draft", then=F("status")),
                When(has("done"), status="withdrawn", then=Value("done")),
                When(
                    has("in_progress") & ~has("failed") & ~has("rejected"),
                    status="withdrawn",
                    then=Value("in_progress"),
                ),
                When(status="withdrawn", then=F("status")),
                *(When(has(each), then=Value(each)) for each in _FURTHEST_FIRST),
                When(has("reopened"), then=Value("received")),
                default=F("status"),
                output_field=CharField(),
            )
        )

    def in_state(self, *states: InstructionState) -> "InstructionQuerySet":
        """Return the instructions that stand in one of these states."""
        return self.with_state().filter(computed_state__in=states)

    def open(self) -> "InstructionQuerySet":
        """Return the instructions that are sent and wait for their outcome."""
        return self.in_state(
            InstructionState.SENT,
            InstructionState.RECEIVED,
            InstructionState.ACCEPTED,
            InstructionState.IN_PROGRESS,
        )

    def unanswered(self) -> "InstructionQuerySet":
        """Return the sent instructions that are neither done, refused nor failed."""
        from clients.models import InstructionOutcome

        ended = InstructionOutcome.objects.standing().filter(
            instruction=OuterRef("pk"), outcome__in=["done", "rejected", "failed"]
        )
        return self.filter(~Exists(ended), status="sent")

    def unbooked(self) -> "InstructionQuerySet":
        """Return the sent instructions that are neither done, refused nor failed, nor booked to the end.

        Where another party manages, its answer to what was booked here may still be on its way.
        """
        from clients.models import InstructionBooking

        booked = InstructionBooking.objects.standing().filter(
            instruction=OuterRef("pk"), outcome__in=InstructionBooking.FINAL
        )
        return self.current().unanswered().filter(~Exists(booked))

    def to_answer(self) -> "InstructionQuerySet":
        """Return the open instructions that this institution answers."""
        from clients.models import Mandate

        return self.open().filter(mandate__in=Mandate.objects.current().managed_here().values("pk"))
