"""What the search finds of this app."""

from collections.abc import Iterator

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.search import PER_KIND, Result
from clients.querysets import client_named
from portfolios.models import Portfolio, Security


def find_portfolios(user: User, words: str) -> Iterator[Result]:
    """Yield visible portfolios by number, name or client."""
    found = (
        Portfolio.objects.visible_to(user)
        .filter(Q(number__icontains=words) | Q(name__icontains=words) | client_named(words, "mandate"))
        .select_related("mandate__client")
        .order_by("number")[: PER_KIND + 1]
    )
    for portfolio in found:
        yield Result(
            label=f"{portfolio.number} · {portfolio.name}",
            sublabel=(portfolio.mandate.client_name if portfolio.mandate else "") or portfolio.currency,
            url=reverse("portfolios:portfolio_detail", args=[portfolio.pk]),
            kind=_("Portfolios"),
            icon="briefcase",
        )


def find_securities(user: User, words: str) -> Iterator[Result]:
    """Yield securities by name, ISIN or ticker."""
    found = Security.objects.visible_to(user).filter(
        Q(name__icontains=words) | Q(isin__istartswith=words) | Q(ticker__istartswith=words)
    )
    for security in found.order_by("name")[: PER_KIND + 1]:
        yield Result(
            label=security.name,
            sublabel=security.isin or security.ticker,
            url=reverse("portfolios:security_detail", args=[security.pk]),
            kind=_("Securities"),
            icon="building-store",
        )
