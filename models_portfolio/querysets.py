"""Questions about models, their versions and who follows them."""

import datetime

from django.db.models import Q

from accounts.models import Role, User
from accounts.records import RecordQuerySet
from accounts.rights import reach

MODEL_ROLES = (Role.PORTFOLIO_MANAGER, Role.COMPLIANCE, Role.OPERATIONS)


class ModelQuerySet(RecordQuerySet):
    """Model portfolios, own and received."""

    def visible_to(self, user: User) -> "ModelQuerySet":
        """Return all models to those who manage portfolios, and to nobody else."""
        return self.current() if reach(user, MODEL_ROLES) else self.none()


class ModelRecordQuerySet(RecordQuerySet):
    """Versions, targets and views of models."""

    def visible_to(self, user: User) -> "ModelRecordQuerySet":
        """Return all rows to those who manage portfolios, and to nobody else."""
        return self.current() if reach(user, MODEL_ROLES) else self.none()

    def as_of(self, day: datetime.date) -> "ModelRecordQuerySet":
        """Return the rows valid on ``day`` (half-open interval)."""
        return self.filter(Q(valid_to__isnull=True) | Q(valid_to__gt=day), valid_from__lte=day)


class OfferQuerySet(RecordQuerySet):
    """Offers, own and received."""

    def visible_to(self, user: User) -> "OfferQuerySet":
        """Return all offers to everybody who sells or manages."""
        return self.current() if reach(user, (*MODEL_ROLES, Role.ADVISOR)) else self.none()
