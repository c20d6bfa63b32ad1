"""Find orders by their number."""

from collections.abc import Iterator

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.rights import roles_of
from accounts.search import PER_KIND, Result
from trading.models import Order
from trading.views.orders import ORDER_ROLES


def find_orders(user: User, words: str) -> Iterator[Result]:
    """Yield the orders whose number begins with the words."""
    if not roles_of(user) & set(ORDER_ROLES):
        return
    found = (
        Order.objects.visible_to(user)
        .filter(number__istartswith=words)
        .select_related("security", "portfolio")
    )
    for order in found[: PER_KIND + 1]:
        yield Result(
            label=order.number,
            sublabel=f"{order.get_side_display()} {order.security} · {order.portfolio}",
            url=reverse("trading:order_detail", args=[order.pk]),
            kind=_("Orders"),
            icon="arrows-exchange",
        )
