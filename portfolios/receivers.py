"""Follow what is decided about mandates: acceptance opens a portfolio, the end closes it."""

from typing import Any

from django.dispatch import receiver

from accounts.models import Unit, User
from clients.duties import Duty, performs
from clients.models import Mandate, MandateDecision
from clients.signals import mandate_decided
from portfolios.services.opening import close_portfolio, open_portfolio


@receiver(mandate_decided)
def follow_decision(
    mandate: Mandate, decision: MandateDecision, unit: Unit | None, by: User, **_kwargs: Any
) -> None:
    """Open the portfolio of an accepted mandate; close that of an ended one, which has to be empty."""
    if not performs(Duty.MANAGEMENT, mandate):
        return
    if decision.outcome == MandateDecision.Outcome.ACCEPTED:
        open_portfolio(mandate=mandate, unit=unit, by=by)
    elif decision.outcome == MandateDecision.Outcome.CLOSED and hasattr(mandate, "portfolio"):
        close_portfolio(portfolio=mandate.portfolio, by=by)
