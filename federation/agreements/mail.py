"""Tell the other party by e-mail what one party has done to their agreement: each line of the timeline once.

Of what goes back and forth, switches and proposals that are withdrawn again, one an hour: then the last line, which says
how things stand.
"""

import datetime
import uuid
from collections import defaultdict

from django.db.models import Exists, OuterRef
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django_tenants.utils import tenant_context

from accounts.mailing import people_with, write_to
from accounts.models import Role
from federation.agreements.timeline import EventKind
from federation.models import Agreement, AgreementEvent, AgreementVersion, Institution

# What is told, with what follows from it for who reads it.
TOLD: dict[str, str | Promise] = {
    EventKind.PROPOSED: _("It waits for your answer."),
    EventKind.VERSION_PROPOSED: _(
        "It waits for your answer. Until then the version in force stays as it is."
    ),
    EventKind.WITHDRAWN: _("It no longer waits for your answer."),
    EventKind.ACCEPTED: _("It is in force."),
    EventKind.DECLINED: _("Propose something else, or talk to your partner."),
    EventKind.NARROWED: _("Less crosses to you from now on; what no longer crosses has gone from your side."),
    EventKind.MANDATES_SUSPENDED: _("No new mandate crosses until your partner resumes."),
    EventKind.MANDATES_RESUMED: _("New mandates cross again."),
    EventKind.SUSPENDED: _("Nothing new crosses, in either direction, until your partner resumes."),
    EventKind.RESUMED: _(
        "What has changed since is on its way, unless you have suspended something yourself."
    ),
    EventKind.WINDING_DOWN: _("No new mandates are taken. Close what is open, then terminate the agreement."),
    EventKind.TERMINATED: _("Nothing crosses any more. What you received and have to keep is sealed."),
    EventKind.CUT: _(
        "Nothing crosses any more. What you received and have to keep is sealed; the timeline says what was "
        "left open and what was not delivered."
    ),
}
_SWITCHES = frozenset(
    {
        EventKind.MANDATES_SUSPENDED.value,
        EventKind.MANDATES_RESUMED.value,
        EventKind.SUSPENDED.value,
        EventKind.RESUMED.value,
    }
)
_PROPOSALS = frozenset({EventKind.PROPOSED.value, EventKind.VERSION_PROPOSED.value})
_ANSWERS = frozenset({EventKind.ACCEPTED.value, EventKind.DECLINED.value})
# No party fills the other's mailboxes by suspending and resuming, or by proposing and withdrawing.
_BACK_AND_FORTH = (_SWITCHES, _PROPOSALS | {EventKind.WITHDRAWN.value})
BETWEEN_MAILS = datetime.timedelta(hours=1)
# Compliance answers for what is kept after the end.
_TOLD_TO_COMPLIANCE = frozenset({EventKind.TERMINATED.value, EventKind.CUT.value})
# What happened earlier is no news any more, where mail could not leave.
FORGOTTEN_AFTER = datetime.timedelta(days=2)


def deliver() -> int:
    """Send what has not been told yet; return how many messages left."""
    waiting = AgreementEvent.objects.filter(
        kind__in=TOLD, mailed_at=None, at__gt=timezone.now() - FORGOTTEN_AFTER
    ).order_by("at")
    grouped: dict[tuple[frozenset[str], uuid.UUID, uuid.UUID | None], list[uuid.UUID]] = defaultdict(list)
    sent = 0
    for pk, kind, agreement, institution in list(
        waiting.values_list("pk", "kind", "agreement", "institution")
    ):
        kinds = next((each for each in _BACK_AND_FORTH if kind in each), None)
        if kinds is None:
            sent += _deliver_one(pk)
        else:
            grouped[(kinds, agreement, institution)].append(pk)
    return sent + sum(_deliver_last(*key, lines) for key, lines in grouped.items())


def _deliver_last(
    kinds: frozenset[str], agreement: uuid.UUID, institution: uuid.UUID | None, lines: list[uuid.UUID]
) -> int:
    """Tell of the last of a party's lines, unless it was told of one lately; the earlier ones are in the timeline.

    What the other party has answered meanwhile is no news to it, and the next proposal is told at once.
    """
    of_agreement = AgreementEvent.objects.filter(agreement=agreement)
    last = of_agreement.get(pk=lines[-1])
    if last.kind in _PROPOSALS and not _waits(last):
        of_agreement.filter(pk__in=lines).update(mailed_at=timezone.now())
        return 0
    answered = of_agreement.filter(kind__in=_ANSWERS, at__gt=OuterRef("at")).exclude(institution=institution)
    lately = of_agreement.filter(
        institution=institution, kind__in=kinds, mailed_at__gt=timezone.now() - BETWEEN_MAILS
    )
    if kinds & _PROPOSALS:
        lately = lately.exclude(Exists(answered))
    if lately.exists():
        return 0
    sent = _deliver_one(lines[-1], earlier=len(lines) - 1)
    if sent:
        AgreementEvent.objects.filter(pk__in=lines[:-1]).update(mailed_at=timezone.now())
    return sent


def _waits(proposal: AgreementEvent) -> bool:
    """Say whether what a line tells was proposed still waits for an answer."""
    versions = AgreementVersion.objects.filter(agreement=proposal.agreement_id)
    return versions.awaiting_answer().filter(number=proposal.data.get("version")).exists()


def _deliver_one(pk: uuid.UUID, *, earlier: int = 0) -> int:
    """Tell of one line, which no other worker tells of meanwhile; it is tried again where nothing left.

    No transaction is open while a mail server is waited for: mirrors wait for the oldest one.
    """
    line = AgreementEvent.objects.filter(pk=pk)
    if not line.filter(mailed_at=None).update(mailed_at=timezone.now()):
        return 0
    event = line.select_related("agreement__manager", "agreement__channel", "institution").get()
    reader = _reader(event)
    if reader is None:
        return 0
    sent = _tell(event, reader, earlier)
    if not sent:
        line.update(mailed_at=None)
    return sent


def _reader(event: AgreementEvent) -> Institution | None:
    """Return who is to be told; None where one of the two is not on the platform, so that the other knows."""
    actor = event.institution
    if actor is None or not actor.is_hosted:
        return None
    partner = event.agreement.partner_of(actor)
    return partner if partner.is_hosted else None


def _tell(event: AgreementEvent, reader: Institution, earlier: int) -> int:
    roles = [Role.ADMINISTRATOR]
    if event.kind in _TOLD_TO_COMPLIANCE:
        roles.append(Role.COMPLIANCE)
    with tenant_context(reader):
        domain = reader.get_primary_domain()
        link = f"{domain.url}/agreements/{event.agreement_id}/" if domain else ""

        def message() -> tuple[str, str]:
            what = EventKind(event.kind).label
            words = {
                "event": event,
                "what": what,
                "follows": TOLD[event.kind],
                "link": link,
                "earlier": earlier,
                "stands": _how_it_stands(event.agreement) if event.kind in _SWITCHES else "",
            }
            return f"{event.agreement.name}: {what}", render_to_string("federation/mail/agreement.txt", words)

        return write_to(people_with(roles), message)


def _how_it_stands(agreement: Agreement) -> str | Promise:
    """Return which switches are thrown now, by either party."""
    if agreement.is_suspended:
        return _("Now everything is suspended.")
    if agreement.new_mandates_suspended_at is not None:
        return _("Now new mandates are suspended.")
    return _("Now nothing is suspended.")
