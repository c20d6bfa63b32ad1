"""Questions about models, their versions and who follows them."""

import datetime

from django.db.models import Avg, Case, Count, Exists, F, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Coalesce

from accounts.models import Role, User
from accounts.records import RecordQuerySet
from accounts.rights import reach

MODEL_ROLES = (Role.PORTFOLIO_MANAGER, Role.COMPLIANCE, Role.OPERATIONS)


class ModelQuerySet(RecordQuerySet):
    """Model portfolios, own and received."""

    def visible_to(self, user: User) -> "ModelQuerySet":
        """Return all models to those who manage portfolios, and to nobody else."""
        return self.current() if reach(user, MODEL_ROLES) else self.none()

    def with_figures(self, day: datetime.date) -> "ModelQuerySet":
        """Add the version in force on ``day`` and what the portfolios do that follow.

        ``version_number``, ``version_from``, ``draft_state``, ``follower_count``, ``average_drift``,
        ``drifted_count``.
        """
        from models_portfolio.models import ModelVersion

        versions = ModelVersion.objects.filter(model=OuterRef("pk"), retired_at__isnull=True)
        in_force = versions.filter(state="published", effective_from__lte=day).order_by(
            "-effective_from", "-number"
        )
        return self.annotate(
            version_number=Subquery(in_force.values("number")[:1]),
            version_from=Subquery(in_force.values("effective_from")[:1]),
            draft_state=Subquery(versions.filter(state="draft").values("state")[:1]),
            follower_count=Coalesce(Subquery(_followers(day).values("count")), 0),
            average_drift=Subquery(_followers(day).values("average")),
            drifted_count=Coalesce(Subquery(_followers(day).values("drifted")), 0),
        )

    def with_decisions(self, day: datetime.date) -> "ModelQuerySet":
        """Add the newest version of a received model, the one followed, and what waits for a decision.

        ``newest_number``, ``newest_published``, ``adopted_number``, ``decision``, ``follower_count``.
        """
        from models_portfolio.models import Adoption, ModelVersion, View

        published = ModelVersion.objects.filter(
            model=OuterRef("pk"), retired_at__isnull=True, state="published"
        ).order_by("-effective_from", "-number")
        decided = Adoption.objects.filter(version__model=OuterRef("pk"), view__isnull=True)
        accepted = decided.filter(decision="accepted").order_by(
            "-version__effective_from", "-version__number"
        )
        newest_decision = Adoption.objects.filter(version=OuterRef("newest_id"), view__isnull=True)
        undecided_views = View.objects.filter(
            version=OuterRef("newest_id"), retired_at__isnull=True, adoptions__isnull=True
        ).filter(Q(valid_to__isnull=True) | Q(valid_to__gt=day))
        return (
            self.annotate(
                newest_id=Subquery(published.values("pk")[:1]),
                newest_number=Subquery(published.values("number")[:1]),
                newest_published=Subquery(published.values("published_at__date")[:1]),
                adopted_number=Subquery(accepted.values("version__number")[:1]),
            )
            .annotate(
                newest_decision=Subquery(newest_decision.values("decision")[:1]),
                has_new_view=Exists(undecided_views),
                follower_count=Coalesce(Subquery(_followers(day).values("count")), 0),
            )
            .annotate(
                decision=Case(
                    When(newest_id__isnull=True, then=Value("")),
                    When(newest_decision__isnull=True, then=Value("attention")),
                    When(newest_decision="accepted", has_new_view=True, then=Value("warning")),
                    default=F("newest_decision"),
                )
            )
        )


def _followers(day: datetime.date) -> "ModelRecordQuerySet":
    """Return one row of figures over the own portfolios that follow the model of the outer query."""
    from models_portfolio.models import ModelAssignment

    is_latest = Q(portfolio__valuations__is_latest=True)
    return (
        ModelAssignment.objects.as_of(day)
        .filter(
            is_latest,
            model=OuterRef("pk"),
            origin__isnull=True,
            retired_at__isnull=True,
            portfolio__origin__isnull=True,
            portfolio__closed_on__isnull=True,
        )
        .order_by()
        .values("model")
        .annotate(
            count=Count("pk"),
            average=Avg("portfolio__valuations__drift"),
            drifted=Count("pk", filter=Q(portfolio__valuations__drift__gt=F("model__drift_tolerance"))),
        )
    )


class ModelRecordQuerySet(RecordQuerySet):
    """Versions, targets and views of models, and decisions on them."""

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
