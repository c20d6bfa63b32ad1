"""The navigation of each role: one declarative table, and what of it a person sees."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, get_urlconf, reverse
from django.utils.translation import gettext_lazy as _

from accounts.models import Role, User
from accounts.rights import can, can_everywhere, roles_of
from federation.monitor.watch import count_open


@dataclass(frozen=True)
class Item:
    """A page in the navigation. ``right`` hides it from those without; "" shows it to the role."""

    label: Any
    url_name: str
    right: str = ""
    icon: str = "circle"
    # Paths that count as being here, beside the page's own.
    below: tuple[str, ...] = ()
    # How many things there need attention, for an institution's id; shown beside the label.
    badge: Callable[[Any], int] | None = None
    # For those alone whose right holds for the whole institution, not for some units.
    is_whole: bool = False

    def is_for(self, user: User) -> bool:
        """Say whether a user has the right that the page asks for."""
        if not self.right:
            return True
        return can_everywhere(user, self.right) if self.is_whole else can(user, self.right)


@dataclass(frozen=True)
class Section:
    """A heading with its pages."""

    label: Any
    items: list[Item] = field(default_factory=list)


# A person with several roles sees the union, in this order, each page once. A page whose URL does
# not exist is left out.
NAVIGATION: dict[str, list[Section]] = {
    Role.ADVISOR: [
        Section(
            _("Clients"),
            [
                Item(_("My day"), "clients:my_day", "", "sun"),
                Item(_("Clients"), "clients:client_list", "", "users"),
                Item(_("New client"), "clients:client_create", "client.edit", "user-plus"),
                Item(_("Mandates"), "clients:mandate_list", "", "file-certificate"),
                Item(_("Instructions"), "clients:instruction_list", "", "send"),
            ],
        ),
        Section(_("Reporting"), [Item(_("Reports"), "reporting:report_list", "", "report-analytics")]),
    ],
    Role.PORTFOLIO_MANAGER: [
        Section(
            _("Portfolios"),
            [
                Item(_("Book"), "portfolios:book", "", "briefcase"),
                Item(_("Mandate inbox"), "clients:mandate_inbox", "mandate.decide", "inbox"),
                Item(_("Proposals"), "trading:proposal_list", "", "git-compare"),
                Item(_("Orders"), "trading:order_list", "", "arrows-exchange"),
            ],
        ),
        Section(
            _("Models"),
            [
                Item(_("Models"), "models_portfolio:model_list", "", "chart-donut"),
                Item(_("Received models"), "models_portfolio:received_list", "", "package-import"),
                Item(_("Securities"), "portfolios:security_list", "", "building-store"),
                Item(_("Imports"), "portfolios:import_list", "price.import", "file-import"),
            ],
        ),
        Section(_("Reporting"), [Item(_("Reports"), "reporting:report_list", "", "report-analytics")]),
    ],
    Role.OPERATIONS: [
        Section(
            _("Operations"),
            [
                Item(_("Desk"), "trading:desk", "", "layout-grid"),
                Item(_("Orders"), "trading:order_list", "", "arrows-exchange"),
                Item(_("Settlements"), "trading:settlement_list", "", "checklist"),
                Item(_("Affirmations"), "trading:affirmation_list", "", "circle-check"),
                Item(_("Cash"), "portfolios:cash", "cash.match", "cash"),
                Item(_("Instructions"), "clients:instruction_list", "", "send"),
            ],
        ),
        Section(
            _("Portfolios"),
            [
                Item(_("Book"), "portfolios:book", "", "briefcase"),
                Item(_("Clients"), "clients:client_list", "", "users"),
                Item(_("Securities"), "portfolios:security_list", "", "building-store"),
                Item(_("Imports"), "portfolios:import_list", "price.import", "file-import"),
            ],
        ),
        Section(_("Reporting"), [Item(_("Reports"), "reporting:report_list", "", "report-analytics")]),
    ],
    Role.ADMINISTRATOR: [
        Section(
            _("Partners"),
            [
                Item(_("Agreements"), "federation:agreements", "agreement.edit", "heart-handshake"),
                Item(
                    _("Mirrors"),
                    "federation:mirrors",
                    "mirror.control",
                    "switch-horizontal",
                    badge=count_open,
                ),
                Item(_("Sealed records"), "federation:sealed_list", "sealed.hold", "archive", is_whole=True),
            ],
        ),
        Section(
            _("Institution"),
            [
                Item(_("Letterhead"), "federation:institution", "institution.edit", "building-bank"),
                Item(_("People"), "accounts:people", "people.edit", "users-group"),
                Item(_("Units"), "accounts:units", "people.edit", "sitemap"),
                Item(_("API tokens"), "accounts:tokens", "token.edit", "key"),
                Item(_("Audit trail"), "accounts:audit", "", "history"),
            ],
        ),
    ],
    Role.COMPLIANCE: [
        Section(
            _("Compliance"),
            [
                Item(_("Disclosure log"), "federation:disclosure_log", "disclosure.read", "eye-check"),
                Item(_("Sealed records"), "federation:sealed_list", "sealed.hold", "archive", is_whole=True),
                Item(_("Agreements"), "federation:agreements", "", "heart-handshake"),
                Item(_("Audit trail"), "accounts:audit", "audit.read", "history"),
                Item(_("People"), "accounts:people", "people.read", "users-group"),
            ],
        ),
        Section(
            _("Clients"),
            [
                Item(_("Clients"), "clients:client_list", "", "users"),
                Item(_("Mandates"), "clients:mandate_list", "", "file-certificate"),
                Item(_("Instructions"), "clients:instruction_list", "", "send"),
            ],
        ),
        Section(
            _("Portfolios"),
            [
                Item(_("Book"), "portfolios:book", "", "briefcase"),
                Item(_("Orders"), "trading:order_list", "", "arrows-exchange"),
                Item(_("Reports"), "reporting:report_list", "", "report-analytics"),
            ],
        ),
    ],
}

# Where each role starts its day; the first that exists is taken.
FIRST_PAGES: list[tuple[str, str]] = [
    (Role.ADVISOR, "clients:my_day"),
    (Role.PORTFOLIO_MANAGER, "portfolios:book"),
    (Role.OPERATIONS, "trading:desk"),
    (Role.ADMINISTRATOR, "federation:agreements"),
    (Role.COMPLIANCE, "federation:disclosure_log"),
    (Role.ADMINISTRATOR, "accounts:people"),
    (Role.COMPLIANCE, "accounts:audit"),
]


def url_of(name: str) -> str:
    """Return the URL of a page by name, or "" where there is none."""
    return _url_of(name, get_urlconf())


@cache
def _url_of(name: str, urlconf: str | None) -> str:
    # Every page asks for all that its reader may see.
    try:
        return reverse(name, urlconf)
    except NoReverseMatch:
        return ""


def sections_for(user: User) -> list[tuple[str, list[tuple[Item, str]]]]:
    """Return the sections with their pages and URLs that ``user`` sees."""
    roles = roles_of(user)
    seen: set[str] = set()
    merged: dict[str, list[tuple[Item, str]]] = {}
    for section in (
        section for role, sections in NAVIGATION.items() if role in roles for section in sections
    ):
        for item in section.items:
            url = url_of(item.url_name)
            if not url or item.url_name in seen or not item.is_for(user):
                continue
            seen.add(item.url_name)
            merged.setdefault(str(section.label), []).append((item, url))
    return list(merged.items())


def first_page(user: User) -> str:
    """Return the URL of the page where ``user`` starts."""
    roles = roles_of(user)
    for role, name in FIRST_PAGES:
        if role in roles and (url := url_of(name)):
            return url
    return url_of("accounts:profile")


def _shown(user: User, path: str, institution_id: Any) -> Iterator[dict[str, Any]]:
    sections = sections_for(user)
    candidates = [url for _label, items in sections for _item, url in items if path.startswith(url)]
    here = max(candidates, key=len, default="")
    for label, items in sections:
        yield {
            "label": label,
            "items": [
                {
                    "label": item.label,
                    "icon": item.icon,
                    "url": url,
                    "is_here": url == here,
                    "badge": item.badge(institution_id) if item.badge else 0,
                }
                for item, url in items
            ],
        }


def navigation(request: HttpRequest) -> dict[str, Any]:
    """Give templates the navigation and the institution of the person who is signed in."""
    tenant = getattr(request, "tenant", None)
    if tenant is None or tenant.schema_name == "public":
        return {}
    user = getattr(request, "user", None)
    if not isinstance(user, User):
        return {"institution": tenant, "is_signed_in": False}
    # A page that is put together from parts asks for it several times.
    known: dict[str, Any] | None = request.__dict__.get("_navigation")
    if known is None:
        known = request.__dict__["_navigation"] = _navigation(request, user, tenant)
    return known


def _navigation(request: HttpRequest, user: User, tenant: Any) -> dict[str, Any]:
    roles = roles_of(user)
    return {
        "institution": tenant,
        "is_signed_in": True,
        "navigation_sections": list(_shown(user, request.path, tenant.pk)),
        "user_roles": ", ".join(str(role.label) for role in Role if role in roles),
        "writings": User.Writing.choices,
    }
