"""Background work on models."""

import uuid

from celery import shared_task

from models_portfolio.effective import today
from models_portfolio.models import ModelAssignment
from models_portfolio.services.following import models_containing, refresh_drift


@shared_task
def refresh_followers(model_id: str) -> None:
    """Work out again the drift of all portfolios that follow a model, also through another model."""
    models = models_containing(uuid.UUID(model_id))
    following = ModelAssignment.objects.current().as_of(today()).filter(model__in=models)
    refresh_drift(list(following.values_list("portfolio", flat=True)))


@shared_task
def refresh_drift_of(portfolio_ids: list[str]) -> None:
    """Work out again the drift of some portfolios."""
    refresh_drift([uuid.UUID(pk) for pk in portfolio_ids])
