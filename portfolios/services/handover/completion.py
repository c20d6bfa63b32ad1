"""Write down what the successor is given: with its mandate, and finally once it is booked out."""

import datetime
from collections import defaultdict
from collections.abc import Iterable
from copy import copy
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.errors import DomainError
from accounts.models import User, audit
from accounts.records import new_id
from clients.calculations.states import MandateState
from clients.models import Mandate
from portfolios.models import Handover, HandoverPosition, Portfolio
from portfolios.services.handover.snapshots import (
    Snapshot,
    is_out_of_reach,
    knows_ledger,
    positions_of,
    snapshot,
)
from portfolios.services.handover.takeover import is_begun

_TAKEN = ("as_of", "currency", "performance_from", "time_weighted_return", "booked_out_on", "value")


@transaction.atomic
def record_handover(*, mandate: Mandate, by: User) -> Handover | None:
    """Write down what the successor is given, when its mandate is submitted; anew when submitted again."""
    if mandate.predecessor is None:
        return None
    if mandate.predecessor.client_id != mandate.client_id:
        raise DomainError("handover_of_another", _("The former mandate belongs to another client."))
    given = _write_down(mandate, snapshot(mandate.predecessor))
    audit("handover.recorded", given, by=by, mandate=str(mandate.pk))
    return given


def _write_down(mandate: Mandate, taken: Snapshot) -> Handover:
    given: Handover = Handover.objects.own().filter(mandate=mandate).first() or Handover(mandate=mandate)
    for name in _TAKEN:
        setattr(given, name, getattr(taken.handover, name))
    given.save()
    given.positions.all().delete()
    for position in taken.positions:
        position.handover = given
    HandoverPosition.objects.bulk_create(taken.positions)
    return given


@transaction.atomic
def complete_handover(*, former: Mandate, by: User | None) -> Handover | None:
    """Write down what the former manager has booked out, for the successor to take over; once.

    What it books out later, because an entry came late, is added. None where nothing is new, where the
    former portfolio is not closed, and where what is known here of it does not add up: something has not
    arrived yet, or waits to be booked out.
    """
    given = _given(former)
    portfolio = Portfolio.objects.current().filter(mandate=former).first()
    if given is None or portfolio is None or portfolio.closed_on is None:
        return None
    if not knows_ledger(former) or positions_of(portfolio, datetime.date.max).quantities():
        return None
    if _is_incomplete(given):
        given = _write_down(given.mandate, snapshot(former))
        audit("handover.completed", given, by=by, mandate=str(given.mandate_id))
        return given
    # One that was handed over as it was submitted is what it is.
    if given.booked_out_on != portfolio.closed_on or not _add_rest(given, snapshot(former)):
        return None
    audit("handover.rest_added", given, by=by, mandate=str(given.mandate_id))
    return given


def _add_rest(given: Handover, taken: Snapshot) -> bool:
    """Add what has been booked out since a handover was written down; say whether there was anything."""
    known, now = _by_lot(given.positions.all()), _by_lot(taken.positions)
    added = []
    for key in {**now, **known}:
        # What was given and is no longer so, as after a correction of its day, is taken back.
        rest = copy((now.get(key) or known[key])[0])
        rest.pk, rest.handover = new_id(), given
        for name in ("quantity", "book_cost", "book_cost_portfolio", "value"):
            setattr(rest, name, _difference(name, now.get(key, []), known.get(key, [])))
        if rest.quantity:
            added.append(rest)
    if added:
        given.value, given.time_weighted_return = (
            taken.handover.value,
            taken.handover.time_weighted_return,
        )
        given.save(update_fields=["value", "time_weighted_return"])
        HandoverPosition.objects.bulk_create(added)
    return bool(added)


def _by_lot(positions: Iterable[HandoverPosition]) -> dict[tuple[Any, ...], list[HandoverPosition]]:
    found: dict[tuple[Any, ...], list[HandoverPosition]] = defaultdict(list)
    for each in positions:
        found[(each.isin, each.security_name, each.currency, each.acquired_on)].append(each)
    return found


def _difference(
    name: str, now: Iterable[HandoverPosition], known: Iterable[HandoverPosition]
) -> Decimal | None:
    amounts = [*(getattr(each, name) for each in now), *(_minus(getattr(each, name)) for each in known)]
    return None if None in amounts else sum(amounts, Decimal(0))


def _minus(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else -amount


@transaction.atomic
def complete_as_submitted(*, former: Mandate, by: User) -> Handover:
    """Let the successor take over what was handed over with its mandate, where nothing more is learnt of it.

    Raises DomainError unless the agreement with the former manager has ended, or it has closed the portfolio
    and no longer shares its ledger: as long as it manages, what it has counts as its own.
    """
    given = _given(former)
    if given is None or not _is_incomplete(given) or not is_out_of_reach(former):
        raise DomainError(
            "handover_open",
            _("The former manager books the positions out first. Instruct it to transfer out and close."),
        )
    given.booked_out_on = timezone.now().date()
    given.save(update_fields=["booked_out_on"])
    audit("handover.completed_as_submitted", given, by=by, mandate=str(given.mandate_id))
    return given


def _given(former: Mandate) -> Handover | None:
    """Lock and return what is handed over of a mandate to one that is neither withdrawn, rejected nor closed."""
    ended = Mandate.objects.in_state(MandateState.REJECTED, MandateState.CLOSED)
    found: Handover | None = (
        Handover.objects.own()
        .select_for_update(of=("self",))
        .select_related("mandate")
        .filter(mandate__predecessor=former)
        .exclude(mandate__status=Mandate.Status.WITHDRAWN)
        .exclude(mandate__in=ended.values("pk"))
        .first()
    )
    return found


def _is_incomplete(given: Handover) -> bool:
    """Say whether a handover is neither booked out nor, in any part, taken over yet."""
    return given.booked_out_on is None and not is_begun(given)
