"""Whose pages a request asks for."""

from django_tenants.middleware.main import TenantMainMiddleware

from federation.models import Domain, Institution

# The first query of every request: for Django to compose it takes several times as long as to ask it.
_SERVED = """
SELECT institution.* FROM federation_institution institution
JOIN federation_domain domain ON domain.tenant_id = institution.id
WHERE domain.domain = %s
"""


class TenantMiddleware(TenantMainMiddleware):
    """Serve the institution that the host name belongs to."""

    def get_tenant(self, domain_model: type[Domain], hostname: str) -> Institution:
        """Return the institution of a host name."""
        for institution in Institution.everyone.raw(_SERVED, [hostname]):
            return institution
        raise domain_model.DoesNotExist
