"""Questions about portfolios and what they hold."""

from django.db.models import Exists, FilteredRelation, OuterRef, Q

from accounts.models import User
from accounts.records import RecordQuerySet
from accounts.rights import CLIENT_ROLES, PORTFOLIO_ROLES, granted, has_granted, reach, reach_of
from clients.duties import Duty, performed_under
from clients.models import Client


class PortfolioQuerySet(RecordQuerySet):
    """Portfolios, own and received."""

    def visible_to(self, user: User) -> "PortfolioQuerySet":
        """Return the portfolios of the user's desks, of the user's clients, and those granted."""
        condition = reach(user, PORTFOLIO_ROLES).q("unit") | granted(user, self.model)
        if reach(user, CLIENT_ROLES) or has_granted(user, Client):
            condition |= Q(mandate__client__in=Client.objects.visible_to(user).values("pk"))
        return self.current().filter(condition)

    def with_right(self, user: User, right: str) -> "PortfolioQuerySet":
        """Return the visible portfolios whose unit, or whose client's, ``user`` has a right over, and those granted.

        A portfolio that another party manages has no unit here, its client has.
        """
        within = reach_of(user, right)
        over = within.q("unit") | within.q("mandate__client__unit")
        if within:
            over |= granted(user, self.model)
        return self.visible_to(user).filter(over)

    def in_book(self) -> "PortfolioQuerySet":
        """Return portfolios with ``latest``, their last valuation, and ``assignment``, their open one to a model."""
        return self.alias(
            latest=FilteredRelation("valuations", condition=Q(valuations__is_latest=True)),
            assignment=FilteredRelation(
                "model_assignments", condition=Q(model_assignments__valid_to__isnull=True)
            ),
        )

    def closed_but_holding(self) -> "PortfolioQuerySet":
        """Return the portfolios that are closed and hold something since, or owe it: an entry came late."""
        from portfolios.models import Holding

        held = Holding.objects.something().filter(portfolio=OuterRef("pk"))
        return self.filter(Exists(held), closed_on__isnull=False)

    def performed_here(self, duty: Duty) -> "PortfolioQuerySet":
        """Return the portfolios, own and received, for which this institution performs ``duty``."""
        known = set(
            self.order_by()
            .exclude(mandate__agreement=None)
            .values_list("mandate__agreement", flat=True)
            .distinct()
        )
        alone = Q(origin__isnull=True, mandate__agreement__isnull=True)
        return self.filter(alone | Q(mandate__agreement__in=performed_under(duty, known)))


class PortfolioRecordQuerySet(RecordQuerySet):
    """Records that hang off a portfolio."""

    def visible_to(self, user: User) -> "PortfolioRecordQuerySet":
        """Return the records of visible portfolios."""
        from portfolios.models import Portfolio

        return self.current().filter(portfolio__in=Portfolio.objects.visible_to(user).values("pk"))

    def with_right(self, user: User, right: str) -> "PortfolioRecordQuerySet":
        """Return the records of portfolios that ``user`` has a right over."""
        from portfolios.models import Portfolio

        return self.current().filter(portfolio__in=Portfolio.objects.with_right(user, right).values("pk"))


class HoldingQuerySet(PortfolioRecordQuerySet):
    """What portfolios hold."""

    def something(self) -> "HoldingQuerySet":
        """Return the holdings that are not nothing, by trade date or by settlement."""
        return self.current().exclude(quantity=0, settled_quantity=0)


class SecurityQuerySet(RecordQuerySet):
    """Securities: shared identity, open to everybody who signs in."""

    def visible_to(self, user: User) -> "SecurityQuerySet":
        """Return all securities that are in use."""
        return self.current()
