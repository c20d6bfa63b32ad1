"""What the parts of the journey share: who travels, and how to find one's way on a page and in a schema."""

from dataclasses import dataclass, field
from typing import Any

from django.db.models import Model
from django_tenants.utils import tenant_context
from playwright.sync_api import Locator, Page

from clients.models import Mandate
from portfolios.models import Portfolio
from tests.browser.scenario import Somebody, institution, somebody

PASSWORD = "quiet-harbour-lantern-42"
# The promise is two seconds. Here other tests may hold the processor; benchmarks measure the promise.
INBOX_SECONDS = 10.0
MANAGERS_AND_CHANNELS = ("aurora", "borealis", "lakeside", "meadow")


@dataclass
class Journey:
    """What the parts hand on to one another."""

    ada: Somebody = field(default_factory=lambda: somebody("Leopoldine", "Brandwijk", 101))
    returned: Somebody = field(default_factory=lambda: somebody("Crispin", "Haverkamp", 202))
    rejected: Somebody = field(default_factory=lambda: somebody("Theodora", "Zabinski", 303))
    mandate: Mandate | None = None
    portfolio: Portfolio | None = None


def rows(schema: str, queryset: Any) -> list[Any]:
    """Return the rows of a queryset in an institution's schema."""
    with tenant_context(institution(schema)):
        return list(queryset.all())


def one(schema: str, model: type[Model], /, **filters: object) -> Any:
    """Return the one row of an institution that fits, or None."""
    with tenant_context(institution(schema)):
        return model._default_manager.filter(**filters).first()


def button(place: Page | Locator, name: str, *, exact: bool = True) -> Locator:
    return place.get_by_role("button", name=name, exact=exact)


def link(place: Page | Locator, name: str, *, exact: bool = True) -> Locator:
    return place.get_by_role("link", name=name, exact=exact)


def section(page: Page, heading: str) -> Locator:
    """Return the card under a heading."""
    return (
        page.locator("section, .card").filter(has=page.get_by_role("heading", name=heading, exact=True)).last
    )
