"""What may not be bought or sold for a mandate: the client's wishes, the restricted list, what is not traded."""

import datetime
import uuid
from collections import defaultdict
from collections.abc import Collection
from typing import Any, TypedDict

from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from clients.models import MandateRestriction
from portfolios.models import Security
from trading.calculations.proposal import Restriction
from trading.models import RestrictedSecurity, Side

_STOPS = {
    Side.BUY: {Restriction.EXCLUDED.value, Restriction.DO_NOT_BUY.value},
    Side.SELL: {Restriction.DO_NOT_SELL.value},
}
_WHY: dict[str, Any] = {
    "mandate": gettext_lazy("the client's wish"),
    "restricted_list": gettext_lazy("the restricted list"),
    "inactive": gettext_lazy("no longer traded"),
}


class Barrier(TypedDict):
    """Why a security may not be bought or sold: the rule, whose it is, and its words."""

    rule: str
    because: str
    note: str


class Restrictions:
    """What restricts some securities under some mandates as of a day, read in two queries."""

    def __init__(
        self,
        mandate_ids: Collection[uuid.UUID | None],
        security_ids: Collection[uuid.UUID],
        day: datetime.date,
    ) -> None:
        self._wishes: dict[uuid.UUID | None, list[MandateRestriction]] = defaultdict(list)
        known = [pk for pk in mandate_ids if pk is not None]
        for wish in MandateRestriction.objects.current().filter(mandate__in=known):
            self._wishes[wish.mandate_id].append(wish)
        self._listed: dict[uuid.UUID, list[RestrictedSecurity]] = defaultdict(list)
        rules = RestrictedSecurity.objects.current().filter(
            Q(valid_to__isnull=True) | Q(valid_to__gt=day),
            security__in=list(security_ids),
            valid_from__lte=day,
        )
        for rule in rules:
            self._listed[rule.security_id].append(rule)

    def barriers(self, mandate_id: uuid.UUID | None, security: Security) -> list[Barrier]:
        """Return all that restricts a security under a mandate; without one, what holds for all."""
        found = [barrier for rule in self._listed[security.pk] for barrier in _listed_barriers(rule)]
        found += [b for wish in self._wishes[mandate_id] if (b := _wish_barrier(wish, security)) is not None]
        if not security.is_active:
            found.append(
                {"rule": Restriction.DO_NOT_BUY.value, "because": "inactive", "note": _("No longer traded")}
            )
        return found

    def problem(self, mandate_id: uuid.UUID | None, security: Security, side: str) -> str:
        """Return why a security may not be bought or sold now, in words; empty where it may be."""
        stops = _STOPS[Side(side)]
        because = [each["because"] for each in self.barriers(mandate_id, security) if each["rule"] in stops]
        if not because:
            return ""
        words = {"name": security.name, "why": ", ".join(str(_WHY[each]) for each in dict.fromkeys(because))}
        if side == Side.BUY:
            return _("%(name)s may not be bought any more (%(why)s).") % words
        return _("%(name)s may not be sold any more (%(why)s).") % words


def _listed_barriers(rule: RestrictedSecurity) -> list[Barrier]:
    wanted = {
        RestrictedSecurity.Rule.DO_NOT_BUY: (Restriction.DO_NOT_BUY,),
        RestrictedSecurity.Rule.DO_NOT_SELL: (Restriction.DO_NOT_SELL,),
        RestrictedSecurity.Rule.DO_NOT_TRADE: (Restriction.DO_NOT_BUY, Restriction.DO_NOT_SELL),
    }[RestrictedSecurity.Rule(rule.rule)]
    return [{"rule": each.value, "because": "restricted_list", "note": rule.reason} for each in wanted]


def _wish_barrier(wish: MandateRestriction, security: Security) -> Barrier | None:
    if not wish.concerns(isin=security.isin, ticker=security.ticker, sector=security.sector):
        return None
    keeps = wish.kind == MandateRestriction.Kind.DO_NOT_SELL
    rule = Restriction.DO_NOT_SELL if keeps else Restriction.EXCLUDED
    return {"rule": rule.value, "because": "mandate", "note": wish.note or str(wish)}
