"""Questions about portfolios and what they hold."""

from django.db.models import Exists, FilteredRelation, OuterRef, Q

from accounts.models import User
from accounts.records import RecordQuerySet
from accounts.rights import ALL_ROLES, CLIENT_ROLES, PORTFOLIO_ROLES, granted, has_granted, reach, roles_with
from clients.duties import Duty, performed_under
from clients.models import Client, Mandate


class PortfolioQuerySet(RecordQuerySet):
    """Portfolios, own and received."""

    def visible_to(self, user: User) -> "PortfolioQuerySet":
        """Return the portfolios of the user's desks, of the clients that ``user`` serves, and those granted."""
        return self.reached_by(user, ALL_ROLES)

    def with_right(self, user: User, *rights: str) -> "PortfolioQuerySet":
        """Return the portfolios within reach of a role that carries one of the rights: those one may write to."""
        return self.reached_by(user, roles_with(*rights))

    def reached_by(self, user: User, roles: frozenset[str]) -> "PortfolioQuerySet":
        """Return the portfolios that ``user`` reaches by ``roles`` alone.

        A portfolio that another party manages has no unit here, its client has.
        """
        condition = reach(user, PORTFOLIO_ROLES & roles).q("unit") | granted(user, self.model, roles)
        if reach(user, CLIENT_ROLES & roles) or has_granted(user, Client):
            condition |= Q(mandate__client__in=Client.objects.served_by(user, roles).values("pk"))
        return self.current().filter(condition)

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

    def with_right(self, user: User, *rights: str) -> "PortfolioRecordQuerySet":
        """Return the records of portfolios that ``user`` has one of the rights over."""
        from portfolios.models import Portfolio

        return self.current().filter(portfolio__in=Portfolio.objects.with_right(user, *rights).values("pk"))


class HandoverQuerySet(RecordQuerySet):
    """What was handed over with clients' mandates."""

    def visible_to(self, user: User) -> "HandoverQuerySet":
        """Return what was handed over under the mandates, and for the portfolios, that ``user`` sees."""
        from portfolios.models import Portfolio

        seen = Mandate.objects.visible_to(user).values("pk")
        kept = Portfolio.objects.visible_to(user).values("mandate")
        return self.current().filter(Q(mandate__in=seen) | Q(mandate__in=kept))


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
