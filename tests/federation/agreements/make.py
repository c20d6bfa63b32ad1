"""Agreements in the states that tests start from."""

from django_tenants.utils import tenant_context

from accounts.models import User
from federation.agreements import drafting, proposals
from federation.models import Agreement, AgreementVersion, Institution, Side
from tests import factories


def administrator(institution: Institution) -> User:
    """Return the administrator of a standing institution."""
    with tenant_context(institution):
        return factories.cast().administrator


def act(service, target, institution: Institution, **kwargs):
    """Call a service as the institution's administrator, in its schema."""
    with tenant_context(institution):
        return service(target, by=factories.cast().administrator, institution=institution, **kwargs)


def draft(manager: Institution, channel: Institution, preset: str = "closed") -> AgreementVersion:
    """Return a draft of the manager's."""
    with tenant_context(manager):
        agreement = drafting.draft(
            by=factories.cast().administrator,
            institution=manager,
            partner=channel,
            side=Side.MANAGER,
            preset=preset,
            terms="As agreed.",
        )
    return agreement.versions.get()


def proposed(manager: Institution, channel: Institution, preset: str = "closed") -> AgreementVersion:
    """Return a version that the manager proposed and the channel has not answered."""
    return act(proposals.propose, draft(manager, channel, preset), manager)


def active(manager: Institution, channel: Institution, preset: str = "closed") -> Agreement:
    """Return an agreement that both have accepted."""
    agreement = act(proposals.accept, proposed(manager, channel, preset), channel)
    return Agreement.objects.get(pk=agreement.pk)
