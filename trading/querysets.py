"""Questions about allocations, and about blocks and their fills."""

from django.db.models import Case, CharField, Exists, F, OuterRef, Q, Value, When

from accounts.models import User
from accounts.records import RecordQuerySet
from clients.duties import Duty
from portfolios.models import Portfolio
from portfolios.querysets import PortfolioRecordQuerySet

ANSWERED = Q(affirmation__isnull=False, affirmation__retired_at=None)


class BlockQuerySet(RecordQuerySet):
    """Blocks, which span portfolios."""

    def visible_to(self, user: User) -> "BlockQuerySet":
        """Return the blocks all of whose orders are of visible portfolios: a block shows their sum."""
        from trading.models import Order

        orders = Order.objects.filter(block=OuterRef("pk"))
        visible = Portfolio.objects.visible_to(user).values("pk")
        return self.current().filter(Exists(orders), ~Exists(orders.exclude(portfolio__in=visible)))


class ExecutionQuerySet(RecordQuerySet):
    """Fills in the market."""

    def visible_to(self, user: User) -> "ExecutionQuerySet":
        """Return the fills of visible blocks."""
        from trading.models import Block

        return self.current().filter(block__in=Block.objects.visible_to(user).values("pk"))


class AllocationQuerySet(PortfolioRecordQuerySet):
    """Allocations, own and received."""

    def live(self) -> "AllocationQuerySet":
        """Return the allocations that count: those that were not withdrawn."""
        return self.current().filter(withdrawn_at=None)

    def between_parties(self, user: User) -> "AllocationQuerySet":
        """Return the visible allocations that one party trades and the other settles: one of them is here."""
        visible = Portfolio.objects.visible_to(user)
        settled = visible.performed_here(Duty.SETTLEMENT).values("pk")
        traded = visible.performed_here(Duty.TRADING).values("pk")
        here = Q(origin__isnull=False, portfolio__in=settled)
        there = Q(origin__isnull=True, portfolio__in=traded) & ~Q(portfolio__in=settled)
        return self.current().filter(here | there)

    def to_affirm(self, user: User) -> "AllocationQuerySet":
        """Return what another party has allocated and waits for an answer from here, the oldest first."""
        waiting = self.between_parties(user).received().live().exclude(ANSWERED)
        return waiting.order_by("created_at")

    def rejected(self, user: User) -> "AllocationQuerySet":
        """Return own allocations that the settling party has rejected and nobody has withdrawn."""
        return self.between_parties(user).own().live().filter(ANSWERED, affirmation__state="rejected")

    def unbooked(self) -> "AllocationQuerySet":
        """Return own allocations that are not booked: unanswered, rejected and not yet withdrawn, or refused by the ledger."""
        return self.own().live().filter(settlement__isnull=True)

    def refused_by_ledger(self) -> "AllocationQuerySet":
        """Return own fills that were to be booked here and that the ledger did not take."""
        return self.unbooked().filter(booking_problem__gt="")

    def with_answer(self) -> "AllocationQuerySet":
        """Annotate ``answer``: withdrawn, affirmed, rejected, or waiting."""
        return self.annotate(
            answer=Case(
                When(withdrawn_at__isnull=False, then=Value("withdrawn")),
                When(ANSWERED, then=F("affirmation__state")),
                default=Value("waiting"),
                output_field=CharField(),
            )
        )
