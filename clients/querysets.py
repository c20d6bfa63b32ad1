"""Questions about clients, mandates and instructions."""

from django.db.models import Q

from accounts.models import Role, User
from accounts.records import RecordQuerySet
from accounts.rights import CLIENT_ROLES, PORTFOLIO_ROLES, granted_ids, reach


class ClientQuerySet(RecordQuerySet):
    """Clients, own and received."""

    def visible_to(self, user: User) -> "ClientQuerySet":
        """Return the clients that ``user`` may see: own, the unit's, and those granted or managed."""
        from clients.models import Mandate

        condition = reach(user, CLIENT_ROLES).q("unit") | Q(pk__in=granted_ids(user, self.model))
        if reach(user, [Role.ADVISOR]):
            condition |= Q(advisor=user)
        if reach(user, [Role.PORTFOLIO_MANAGER]):
            condition |= Q(pk__in=Mandate.objects.managed_by(user).values("client"))
        return self.current().filter(condition)


class MandateQuerySet(RecordQuerySet):
    """Mandates, own and received."""

    def managed_by(self, user: User) -> "MandateQuerySet":
        """Return the mandates that ``user`` manages or may take on: the desk's, and those in the inbox."""
        within = reach(user, PORTFOLIO_ROLES)
        if not within:
            return self.none()
        mandates = self.current().exclude(status__in=["draft", "signed", "withdrawn"])
        if within.everything:
            return mandates
        return mandates.filter(within.q("portfolio__unit") | Q(portfolio__isnull=True))

    def visible_to(self, user: User) -> "MandateQuerySet":
        """Return the mandates of visible clients, and those that ``user`` manages."""
        from clients.models import Client

        condition = Q(client__in=Client.objects.visible_to(user).values("pk"))
        if reach(user, [Role.PORTFOLIO_MANAGER]):
            condition |= Q(pk__in=self.model.objects.managed_by(user).values("pk"))
        return self.current().filter(condition)


class InstructionQuerySet(RecordQuerySet):
    """Client instructions, own and received."""

    def visible_to(self, user: User) -> "InstructionQuerySet":
        """Return the instructions under visible mandates."""
        from clients.models import Mandate

        return self.current().filter(mandate__in=Mandate.objects.visible_to(user).values("pk"))
