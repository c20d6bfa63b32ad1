"""Follow what is decided about mandates: acceptance opens a portfolio, the end closes it; hand over to a successor."""

from typing import Any

from django.dispatch import receiver

from accounts.models import Unit, User
from clients.duties import Duty, performs
from clients.models import ClientInstruction, Mandate, MandateDecision
from clients.signals import mandate_decided, mandate_submitting
from portfolios.services.handover import record_handover, transfer_out
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
        moves_on = ClientInstruction.objects.current().filter(
            mandate=mandate, kind=ClientInstruction.Kind.TRANSFER_OUT, status=ClientInstruction.Status.SENT
        )
        instruction = moves_on.first()
        if instruction is not None and performs(Duty.SETTLEMENT, mandate):
            transfer_out(portfolio=mandate.portfolio, reference=instruction.pk, by=by)
        close_portfolio(portfolio=mandate.portfolio, by=by)


@receiver(mandate_submitting)
def hand_over(mandate: Mandate, by: User, **_kwargs: Any) -> None:
    """Give the successor what the sales side knows of the portfolio that moves on."""
    record_handover(mandate=mandate, by=by)
