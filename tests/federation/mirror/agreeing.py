"""Agreements of the plain model in a real database: every change is made to both."""

from typing import ClassVar

from django.utils import timezone

from accounts.records import new_id
from federation.models import Agreement
from tests.federation.mirror.plain import Terms
from tests.federation.mirror.records import Records, moment
from tests.federation.mirror.world import World

MOST = 5
# These two only exchange advice: who gives it, and who has clients that the other knows nothing of.
ADVICE = ("borealis", "aurora")
_DETAILS, _NATIONAL_ID = "clients.ContactDetail", "clients.Client.national_id"


class Agreeing:
    """Proposes, narrows, widens, suspends, resumes and ends agreements."""

    CHANGES: ClassVar = [
        "less details", "less national id", "more", "suspend", "resume", "cut", "open", "end",
    ]  # fmt: skip

    def __init__(self, world: World, records: Records) -> None:
        self._world, self._records, self._plain = world, records, records.plain

    def pick(self, number: int) -> Terms:
        """Return one of the agreements, those that have not ended first."""
        found = sorted(self._plain.terms.values(), key=lambda each: each.is_ended)
        return found[number % len(found)]

    def propose(self, manager: str, channel: str) -> None:
        """Have another agreement between two in force."""
        if len(self._plain.terms) < MOST:
            is_advice = (manager, channel) == ADVICE
            agreement = self._world.agree(manager, channel, "advice" if is_advice else "closed", fill=False)
            self._plain.terms[agreement.pk] = Terms(agreement.pk, manager, channel, is_advice)
            self._plain.committed()

    def change(self, terms: Terms, what: str) -> None:
        if terms.is_ended:
            return
        agreement = Agreement.objects.get(pk=terms.key)
        if what.startswith(("less", "more")):
            self._withhold(agreement, terms, what)
        elif what == "suspend":
            # Whatever the batch in hand has made visible stays; nothing is added.
            self._world.suspend(agreement)
            self._plain.suspended(terms, self._records.seen())
        elif what == "resume":
            self._world.resume(agreement)
            terms.is_suspended = False
            self._plain.held.pop(terms.key, None)
        elif what in {"cut", "open"}:
            terms.cut = self._records.clock() if what == "cut" else None
            at = moment(terms.cut) if terms.cut is not None else None
            self._world.change(agreement, new_mandates_suspended_at=at)
        else:
            self._world.change(agreement, state="terminated", ended_at=timezone.now())
            self._plain.ended(terms)
        self._plain.committed()

    def _withhold(self, agreement: Agreement, terms: Terms, what: str) -> None:
        more = {"less details": {_DETAILS}, "less national id": {_NATIONAL_ID}, "more": set()}[what]
        withheld = frozenset(terms.withheld | more if more else ())
        if withheld == terms.withheld:
            return
        version = agreement.version
        version.pk, version.number = new_id(), version.number + 1
        version.withheld = sorted(withheld)
        version._state.adding = True
        version.save()
        self._world.change(agreement, version=version)
        terms.withheld = withheld
        self._plain.narrowed(terms)
