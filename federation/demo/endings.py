"""What comes to an end in the demonstration: a client who changes the manager, and an agreement."""

from decimal import Decimal

from accounts.models import Role
from accounts.records import new_id
from clients.models import Mandate
from clients.services import close_mandate, start_mandate, submit_mandate
from federation.agreements import life
from federation.demo.build import BY_CODE, ENDED, Stage
from federation.demo.work import people
from federation.models import Agreement
from models_portfolio.offers import terms_of
from portfolios.models import Portfolio
from portfolios.services.handover import transfer_out


def change_manager(stage: Stage) -> None:
    """Let a client of Harbour move from Borealis to Aurora: the new mandate waits there with what is handed over."""
    with stage.inside("harbour"):
        former = (
            Mandate.objects.own()
            .filter(
                agreement=stage.agreements["borealis", "harbour"].pk,
                portfolio__valuations__is_latest=True,
                currency="EUR",
                risk_profile__level=BY_CODE["BOR-INC"].risk_level,
            )
            .order_by("number")[2]
        )
        offer, client = stage.offers["aurora", "harbour", "AUR-DEF"], former.client
        value = former.portfolio.valuations.get(is_latest=True).market_value or Decimal(0)
        mandate = start_mandate(client=client, by=client.advisor, predecessor=former)
        mandate.name, mandate.offer, mandate.offer_name = offer.name, offer.pk, offer.name
        mandate.agreement = stage.agreements["aurora", "harbour"].pk
        mandate.manager_name = stage.institutions["aurora"].name
        mandate.terms, mandate.risk_profile = terms_of(offer), former.risk_profile
        mandate.amount = round(value, -3)
        mandate.save()
        submit_mandate(
            mandate=mandate,
            by=client.advisor,
            signed_on=stage.today,
            disclosure_authorised_on=stage.today,
        )


def close_what_ended(stage: Stage) -> None:
    """Let the manager transfer out and close what it had under the agreement that is to end."""
    manager, _channel = ENDED
    with stage.inside(manager):
        operations = people(Role.OPERATIONS)[0]
        portfolios = Portfolio.objects.filter(mandate__agreement=stage.agreements[ENDED].pk)
        for portfolio in portfolios.select_related("mandate"):
            transfer_out(portfolio=portfolio, reference=new_id(), by=operations)
            close_mandate(
                mandate=portfolio.mandate,
                by=people(Role.PORTFOLIO_MANAGER)[0],
                reason="Transferred to another manager.",
            )


def end_agreement(stage: Stage) -> None:
    """End the agreement; what each party received under it is kept sealed."""
    _manager, channel = ENDED
    with stage.inside(channel) as institution:
        life.terminate(
            Agreement.objects.get(pk=stage.agreements[ENDED].pk),
            by=people(Role.ADMINISTRATOR)[0],
            institution=institution,
            reason="All clients have moved to another manager.",
        )
