"""Columns about clients, for the lists of the apps that stand on this one."""

from typing import Any

import django_tables2 as tables
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.formatting import UNKNOWN
from clients.querysets import shown_client_name


class ClientNameColumn(tables.Column):
    """The name of a mandate's client; ``mandate`` is the path to the mandate.

    Sorted by the names that it shows: what is kept of a client who is gone gives no order either.
    """

    def __init__(self, mandate: str, **kwargs: Any) -> None:
        self.mandate = mandate
        super().__init__(
            accessor=f"{mandate}__client_name", verbose_name=_("Client"), default=UNKNOWN, **kwargs
        )

    def order(self, queryset: QuerySet[Any], is_descending: bool) -> tuple[QuerySet[Any], bool]:
        """Order by the name, the unknown at the end."""
        name = shown_client_name(self.mandate)
        return queryset.order_by(
            name.desc(nulls_last=True) if is_descending else name.asc(nulls_last=True)
        ), True
