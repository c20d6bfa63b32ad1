"""Where the pages of agreements are, and who opens them."""

from django.urls import reverse
from django_tenants.utils import tenant_context

from tests import factories


def url(name: str, *args) -> str:
    return reverse(f"federation:{name}", args=args, urlconf="config.urls")


def people(institution):
    with tenant_context(institution):
        return factories.cast()


def page(browse, institution, path, who="administrator", **kwargs):
    return browse(institution, getattr(people(institution), who)).get(path, **kwargs)
