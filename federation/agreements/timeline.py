"""The two-sided timeline of an agreement: what happened, on whose side, in words."""

import datetime
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts import formatting
from accounts.errors import DomainError
from accounts.models import User, audit
from federation.agreements.open_work import LABELS
from federation.models import Agreement, AgreementEvent, Institution, Proof, Stream

# A party reads it on its pages and in its mails, however much the other one writes.
LONGEST_NOTE = 2000


class EventKind(models.TextChoices):
    """What can happen to an agreement."""

    DRAFTED = "drafted", _("Drafted")
    PROPOSED = "proposed", _("Proposed")
    VERSION_PROPOSED = "version_proposed", _("New version proposed")
    ACCEPTED = "accepted", _("Accepted")
    IN_FORCE = "in_force", _("Version in force")
    NARROWED = "narrowed", _("Sharing narrowed, with effect at once")
    DECLINED = "declined", _("Declined")
    WITHDRAWN = "withdrawn", _("Proposal withdrawn")
    OVERTAKEN = "overtaken", _("Proposal overtaken by a newer version")
    MANDATES_SUSPENDED = "mandates_suspended", _("New mandates suspended")
    MANDATES_RESUMED = "mandates_resumed", _("New mandates allowed again")
    SUSPENDED = "suspended", _("Everything suspended")
    RESUMED = "resumed", _("Resumed")
    WINDING_DOWN = "winding_down", _("Winding down begun")
    TERMINATED = "terminated", _("Terminated")
    CUT = "cut", _("Cut off in an emergency")
    SEALED = "sealed", _("Received records sealed")
    SEALED_OPENED = "sealed_opened", _("Sealed records opened")
    HELD = "held", _("Erasing of sealed records put on hold")
    HOLD_LIFTED = "hold_lifted", _("Hold on sealed records lifted")
    ERASED = "erased", _("Sealed records erased")
    OFFERED = "offered", _("Model offered")
    OFFER_CLOSED = "offer_closed", _("Offer closed for new mandates")
    OFFER_OPENED = "offer_opened", _("Offer open for new mandates")
    TOKEN_MADE = "token_made", _("Token made")
    TOKEN_REVOKED = "token_revoked", _("Token revoked")
    LISTED = "listed", _("Agreed to be named in public")
    UNLISTED = "unlisted", _("No longer named in public")
    # What happened to one of its mirrors.
    UPGRADED = (
        "upgraded",
        _("Platform updated: the mirror is filled again, for what crosses may have changed"),
    )
    FILLED = "filled", _("Mirror filled")
    BEHIND = "behind", _("Mirror behind")
    CAUGHT_UP = "caught_up", _("Mirror caught up")
    BROKEN = "broken", _("Mirror stopped by a problem")
    MENDED = "mended", _("Mirror runs again")
    PARKED = "parked", _("Rows parked")
    SKIPPED = "skipped", _("Parked row skipped")
    REPAIR_ASKED = "repair_asked", _("Repair asked for")
    PROVEN = "proven", _("Mirror compared")
    NOT_PROVEN = "not_proven", _("Comparison broke off")


def about(stream: Stream) -> models.Q:
    """Return what finds the lines about a mirror: its own, and those of its agreement that stop it or let it go on."""
    switched = [
        EventKind.SUSPENDED,
        EventKind.RESUMED,
        EventKind.MANDATES_SUSPENDED,
        EventKind.MANDATES_RESUMED,
    ]
    return models.Q(stream=stream) | models.Q(agreement=stream.agreement_id, kind__in=switched)


def record_of_mirror(
    kind: EventKind,
    stream: Stream,
    *,
    by: User | None = None,
    institution: Institution | None = None,
    note: str = "",
    at: datetime.datetime | None = None,
    **data: Any,
) -> AgreementEvent:
    """Write what happened to one mirror, for both parties to read; without ``by`` it happened by itself."""
    if by is not None:
        audit(f"mirror.{kind.value}", stream, by=by, **data)
    return AgreementEvent.objects.create(
        agreement_id=stream.agreement_id,
        stream=stream,
        institution=institution,
        kind=kind.value,
        by_name=by.full_name if by else "",
        note=note,
        data=data,
        at=at or timezone.now(),
    )


def record(
    kind: EventKind,
    agreement: Agreement,
    *,
    by: User | None,
    institution: Institution | None,
    by_name: str = "",
    note: str = "",
    **data: Any,
) -> AgreementEvent:
    """Write one line of the timeline, and the same into the acting institution's audit trail.

    ``institution`` is the side it happened on; ``by_name`` names a person there who is not ``by``.
    ``data`` holds figures and codes, never names of clients: both parties read it. Raises DomainError for a note that
    is too long.
    """
    if len(note) > LONGEST_NOTE:
        raise DomainError(
            "reason_too_long",
            gettext("Your partner reads this: say it in up to %(count)s characters. Nothing was changed.")
            % {"count": formatting.number(LONGEST_NOTE)},
            field="reason",
        )
    # A state that has begun; the others are acts.
    action = "winding_down_begun" if kind == EventKind.WINDING_DOWN else kind.value
    audit(f"agreement.{action}", agreement, by=by, **data)
    return AgreementEvent.objects.create(
        agreement=agreement,
        institution=institution,
        kind=kind.value,
        by_name=by_name or (by.full_name if by else ""),
        note=note,
        data=data,
    )


def party_of(event: AgreementEvent) -> str:
    """Return the short name of the party whose person acted: it may not be the side that it happened on."""
    if event.data.get("acting"):
        return str(event.data["acting"])
    return event.institution.short_name if event.institution else ""


def words(event: AgreementEvent) -> str:
    """Return what a line of the timeline adds to its kind: the note, the version, what was left open."""
    parts = [event.note] if event.note else []
    if event.stream is not None:
        parts.insert(0, str(event.stream))
    if event.data.get("kept_at"):
        parts.append(
            _("Records of %(owner)s, kept at %(keeper)s")
            % {"owner": event.data.get("of", ""), "keeper": event.data["kept_at"]}
        )
    if event.data.get("result"):
        parts.append(str(Proof.Result(event.data["result"]).label))
    counts = {
        "parked": _("Rows: %(count)s"),
        "roots": _("Records with all that belongs to them: %(count)s"),
        "seconds": _("Seconds: %(count)s"),
        "differing": _("Rows that differ: %(count)s"),
    }
    parts += [
        str(text) % {"count": event.data[name]} for name, text in counts.items() if event.data.get(name)
    ]
    if event.data.get("version"):
        parts.append(_("Version %(number)s") % {"number": event.data["version"]})
    parts += [f"{label}: {event.data[name]}" for name, label in LABELS.items() if event.data.get(name)]
    if event.data.get("undelivered"):
        parts.append(_("Records not delivered: %(count)s") % {"count": event.data["undelivered"]})
    if event.data.get("is_uncounted"):
        parts.append(str(_("Records not delivered: too many to count")))
    if event.data.get("mandate"):
        parts.append(_("Mandate %(number)s") % {"number": event.data["mandate"]})
    if event.data.get("since"):
        since = datetime.datetime.fromisoformat(event.data["since"])
        parts.append(_("Since %(moment)s") % {"moment": formatting.moment(since)})
    if event.data.get("until"):
        until = datetime.date.fromisoformat(event.data["until"])
        parts.append(_("Until %(day)s") % {"day": formatting.day(until)})
    if event.data.get("rows"):
        parts.append(_("Records: %(count)s") % {"count": event.data["rows"]})
    parts += [str(event.data[name]) for name in ("model", "token") if event.data.get(name)]
    return "\n".join(str(part) for part in parts)
