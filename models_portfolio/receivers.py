"""Answer what happens to portfolios: a new one follows the model of its mandate's offer."""

import uuid
from collections.abc import Collection
from typing import Any

from django.dispatch import receiver
from django.utils.translation import gettext as _

from accounts.errors import DomainError
from accounts.models import User
from clients.duties import Duty, performs
from clients.models import ClientInstruction, InstructionOutcome
from clients.signals import instruction_answered
from models_portfolio.services.following import assign_model, model_of_offer, refresh_drift
from portfolios.models import Portfolio
from portfolios.signals import portfolio_opened, portfolios_valued


@receiver(portfolio_opened)
def follow_the_offer(portfolio: Portfolio, by: User | None, **_kwargs: Any) -> None:
    """Assign the model of the mandate's offer, where this institution manages the portfolio."""
    mandate = portfolio.mandate
    if mandate is None or portfolio.is_received or not performs(Duty.MANAGEMENT, mandate):
        return
    model = model_of_offer(mandate.offer)
    if model is not None and not portfolio.model_assignments.filter(valid_to__isnull=True).exists():
        assign_model(portfolio=portfolio, model=model, by=by, valid_from=portfolio.opened_on)


@receiver(instruction_answered)
def follow_the_new_plan(
    instruction: ClientInstruction, outcome: InstructionOutcome, by: User, **_kwargs: Any
) -> None:
    """Move the portfolio to the plan that the client asked for, once that is said to be done."""
    is_change = instruction.kind == ClientInstruction.Kind.MODEL_CHANGE
    if not is_change or outcome.outcome != InstructionOutcome.Outcome.DONE:
        return
    model = model_of_offer(instruction.offer)
    portfolio = Portfolio.objects.own().filter(mandate=instruction.mandate_id).first()
    if model is None or portfolio is None:
        raise DomainError(
            "plan_unknown", _("The new plan is not known here. Ask the advisor to send it again.")
        )
    if not portfolio.model_assignments.filter(model=model, valid_to__isnull=True).exists():
        assign_model(portfolio=portfolio, model=model, by=by)


@receiver(portfolios_valued)
def measure_drift_again(portfolio_ids: Collection[uuid.UUID], **_kwargs: Any) -> None:
    """Write the drift beside the new values."""
    refresh_drift(portfolio_ids)
