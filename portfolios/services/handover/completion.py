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
from clients.services import promise_task
from clients.wealth import convert, rates
from portfolios.models import Handover, HandoverPosition, Portfolio, Transaction
from portfolios.services.handover.snapshots import (
    Snapshot,
    is_out_of_reach,
    knows_ledger,
    positions_of,
    snapshot,
)
from portfolios.services.handover.takeover import is_begun

_CENT = Decimal("0.0001")
_TAKEN = ("as_of", "currency", "performance_from", "time_weighted_return", "booked_out_on", "value")


@transaction.atomic
def record_handover(*, mandate: Mandate, by: User) -> Handover | None:
    """Write down what the successor is given, when its mandate is submitted; anew when submitted again."""
    if mandate.predecessor is None:
        return None
    if mandate.predecessor.client_id != mandate.client_id:
        raise DomainError("handover_of_another", _("The former mandate belongs to another client."))
    taken = snapshot(mandate.predecessor)
    given = _write_down(mandate, taken if taken.handover.booked_out_on is None else _due(mandate.predecessor))
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

    What it books out later, because an entry came late, is added: for whoever has the client by now, or where
    the last mandate is closed too, to that one, with a task for the client's advisor. None where nothing is new,
    where the former portfolio is not closed, and where what is known here of it does not add up: something has
    not arrived yet, or waits to be booked out.
    """
    given = _held_now(former)
    if given is None or given.mandate.predecessor is None:
        return None
    former, is_closed = given.mandate.predecessor, given.mandate.state == MandateState.CLOSED
    portfolio = _booked_out(former)
    if portfolio is None:
        return None
    if _is_incomplete(given):
        if is_closed:
            return None
        given = _write_down(given.mandate, _due(former))
        audit("handover.completed", given, by=by, mandate=str(given.mandate_id))
        return given
    # One that was handed over as it was submitted is what it is.
    if given.booked_out_on != portfolio.closed_on:
        return None
    due = _due(former)
    added = _rest(given, due.positions)
    if not added:
        return None
    given.value, given.time_weighted_return = due.handover.value, due.handover.time_weighted_return
    given.save(update_fields=["value", "time_weighted_return"])
    HandoverPosition.objects.bulk_create(added)
    if is_closed:
        _tell_advisor(given.mandate)
    audit("handover.rest_added", given, by=by, mandate=str(given.mandate_id))
    return given


def complete_late(since: datetime.date) -> int:
    """Hand over what was booked into closed portfolios since a day and has not been yet; return of how many mandates.

    An end or an outcome may arrive before the transfers that it speaks of, and a correction may leave nothing to
    be booked out.
    """
    booked = Transaction.objects.current().filter(
        portfolio__closed_on__isnull=False, portfolio__retired_at=None, created_at__date__gte=since
    )
    given = Handover.objects.own().filter(mandate__predecessor__in=booked.values("portfolio__mandate"))
    formers = Mandate.objects.filter(pk__in=given.values("mandate__predecessor"))
    return sum(1 for former in formers if complete_handover(former=former, by=None) is not None)


def _booked_out(former: Mandate) -> Portfolio | None:
    """Return the closed portfolio of a mandate, all of which is known here to be booked out; else None."""
    portfolio = Portfolio.objects.current().filter(mandate=former, closed_on__isnull=False).first()
    if portfolio is None or not knows_ledger(former):
        return None
    return None if positions_of(portfolio, datetime.date.max).quantities() else portfolio


def _due(former: Mandate) -> Snapshot:
    """Return what is handed over of a portfolio that is booked out, with what came late to those before it.

    Once a mandate is closed, what comes late for it goes past it to its successor.
    """
    taken, before = snapshot(former), former.predecessor
    given = Handover.objects.own().filter(mandate=former).first()
    if given is None or before is None:
        return taken
    portfolio = _booked_out(before)
    if portfolio is None or given.booked_out_on != portfolio.closed_on:
        return taken
    late = [
        _in_currency(each, given.currency, taken.handover.currency)
        for each in _rest(given, _due(before).positions)
    ]
    values = [taken.handover.value, *(each.value for each in late)]
    known = [value for value in values if value is not None]
    taken.handover.value = sum(known, Decimal(0)) if len(known) == len(values) else None
    return Snapshot(taken.handover, [*taken.positions, *late])


def _in_currency(position: HandoverPosition, given: str, wanted: str) -> HandoverPosition:
    if given != wanted and position.value is not None:
        value = convert(position.value, given, wanted, rates())
        position.value = None if value is None else value.quantize(_CENT)
        position.book_cost_portfolio = None
    return position


def _rest(given: Handover, due: Iterable[HandoverPosition]) -> list[HandoverPosition]:
    """Return, not saved, what is due beyond what a handover gives already."""
    known, now = _by_lot(given.positions.all()), _by_lot(due)
    added = []
    for key in {**now, **known}:
        # What was given and is no longer so, as after a correction of its day, is taken back.
        rest = _position(given, now.get(key, []), known.get(key, []))
        if rest.quantity:
            added.append(rest)
        elif rest.book_cost or rest.book_cost_portfolio:
            # A correction of the price, or of the exchange rate: what was given is taken back whole, and given anew.
            added += [_position(given, [], known[key]), _position(given, now[key], [])]
    return added


def _position(
    given: Handover, now: list[HandoverPosition], known: list[HandoverPosition]
) -> HandoverPosition:
    """Return by how much what is due of a lot differs from what is given."""
    position = copy((now or known)[0])
    position.pk, position.handover = new_id(), given
    for name in ("quantity", "book_cost", "book_cost_portfolio", "value"):
        setattr(position, name, _difference(name, now, known))
    return position


def _tell_advisor(mandate: Mandate) -> None:
    """Note for the client's advisor that something came for a mandate that nobody manages any more."""
    if mandate.client is None:
        return
    promise_task(
        client=mandate.client,
        title=_("Something came late for mandate %(number)s, which is closed: agree where it goes.")
        % {"number": mandate.number},
        due_date=timezone.now().date(),
        by=None,
    )


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
    if (
        given is None
        or given.mandate.state == MandateState.CLOSED
        or not _is_incomplete(given)
        or not is_out_of_reach(former)
    ):
        raise DomainError(
            "handover_open",
            _("The former manager books the positions out first. Instruct it to transfer out and close."),
        )
    given.booked_out_on = timezone.now().date()
    given.save(update_fields=["booked_out_on"])
    audit("handover.completed_as_submitted", given, by=by, mandate=str(given.mandate_id))
    return given


def _given(former: Mandate) -> Handover | None:
    """Lock and return what is handed over of a mandate to one that is neither withdrawn nor rejected."""
    found: Handover | None = (
        Handover.objects.own()
        .select_for_update(of=("self",))
        .select_related("mandate__predecessor", "mandate__client")
        .filter(mandate__predecessor=former)
        .exclude(mandate__status=Mandate.Status.WITHDRAWN)
        .exclude(mandate__in=Mandate.objects.in_state(MandateState.REJECTED).values("pk"))
        .first()
    )
    return found


def _held_now(former: Mandate) -> Handover | None:
    """Lock and return what is handed over to whoever has the client now: past mandates closed meanwhile.

    Where all are closed, to the last of them.
    """
    found = None
    following = _given(former)
    while following is not None:
        found = following
        is_closed = found.mandate.state == MandateState.CLOSED
        following = _given(found.mandate) if is_closed else None
    return found


def _is_incomplete(given: Handover) -> bool:
    """Say whether a handover is neither booked out nor, in any part, taken over yet."""
    return given.booked_out_on is None and not is_begun(given)
