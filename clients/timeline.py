"""What happened to a mandate, on both sides: the sales side's doings and the manager's answers."""

import datetime
import uuid
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from accounts import formatting
from clients import changes
from clients.models import ClientInstruction, InstructionOutcome, Mandate, MandateDecision

SALES, MANAGER = "left", "right"
Outcome = MandateDecision.Outcome
_ICONS = {
    Outcome.ACCEPTED: "check",
    Outcome.RETURNED: "arrow-back-up",
    Outcome.REJECTED: "x",
    Outcome.ACTIVE: "briefcase",
    Outcome.CLOSING: "hourglass",
    Outcome.CLOSED: "lock",
}
_TONES = {
    Outcome.ACCEPTED: "good",
    Outcome.ACTIVE: "good",
    Outcome.RETURNED: "bad",
    Outcome.REJECTED: "bad",
    "done": "good",
    "rejected": "bad",
    "failed": "bad",
    "reopened": "bad",
}


def events_of(
    mandate: Mandate, instructions: list[ClientInstruction], portfolio: uuid.UUID | None = None
) -> list[dict[str, Any]]:
    """Return the events of a mandate, newest first; prefetch its decisions and the outcomes.

    Where it led to a ``portfolio``, its acceptance leads there.
    """
    url = reverse("portfolios:portfolio_detail", args=[portfolio]) if portfolio else ""
    events = [*_submissions(mandate), *(_decision(each, url) for each in mandate.decisions.all())]
    for instruction in instructions:
        events += instruction_events(instruction)
    if not mandate.is_received:
        events.append(_event(mandate.created_at, SALES, _("Begun"), icon="pencil"))
    return sorted(events, key=lambda each: each["at"], reverse=True)


def _event(at: datetime.datetime, side: str, title: str, **more: Any) -> dict[str, Any]:
    return {"at": at, "side": side, "title": title, "who": "", "text": "", "tone": "", **more}


def _submissions(mandate: Mandate) -> list[dict[str, Any]]:
    titles = {
        "submitted": (_("Signed and submitted"), "send"),
        "resubmitted": (_("Answered and submitted again"), "send"),
        "withdrawn": (_("Withdrawn"), "arrow-back-up"),
    }
    events = [
        _event(
            datetime.datetime.fromisoformat(each["at"]),
            SALES,
            titles[each["event"]][0],
            icon=titles[each["event"]][1],
            who=each.get("by", ""),
            text="\n".join(filter(None, [each.get("text", ""), _changed(each)])),
        )
        for each in mandate.history
        if each.get("event") in titles
    ]
    if not events and mandate.submitted_at:
        events.append(
            _event(mandate.submitted_at, SALES, titles["submitted"][0], icon="send", text=mandate.answer)
        )
    return events


def _changed(event: dict[str, Any]) -> str:
    """Say which parts were changed before a submission; "" where none was, or nobody kept it."""
    parts = changes.names(event)
    return _("Changed: %(parts)s") % {"parts": ", ".join(parts)} if parts else ""


def _decision(decision: MandateDecision, portfolio_url: str) -> dict[str, Any]:
    titles = {
        Outcome.ACCEPTED: _("Accepted"),
        Outcome.RETURNED: _("Returned"),
        Outcome.REJECTED: _("Rejected"),
        Outcome.ACTIVE: _("Portfolio opened"),
        Outcome.CLOSING: _("Being closed"),
        Outcome.CLOSED: _("Closed"),
    }
    outcome = Outcome(decision.outcome)
    lines = [*(f"• {each}" for each in decision.missing), decision.reason]
    return _event(
        decision.decided_at,
        MANAGER,
        titles[outcome],
        icon=_ICONS[outcome],
        tone=_TONES.get(outcome, ""),
        url=portfolio_url if outcome in (Outcome.ACCEPTED, Outcome.ACTIVE) else "",
        who=decision.decided_by_name,
        text="\n".join(line for line in lines if line),
    )


def instruction_events(instruction: ClientInstruction) -> list[dict[str, Any]]:
    """Return when an instruction was sent and what became of it."""
    kind = instruction.get_kind_display()
    events = []
    if instruction.sent_at:
        events.append(
            _event(
                instruction.sent_at,
                SALES,
                _("%(kind)s sent") % {"kind": kind},
                icon="send",
                who=instruction.sent_by_name,
                text=instruction.note,
            )
        )
    for outcome in instruction.outcomes.all():
        events.append(
            _event(
                outcome.at,
                MANAGER,
                f"{kind}: {outcome.get_outcome_display()}",
                icon="cash" if instruction.kind in {"deposit", "withdrawal"} else "message-reply",
                tone=_TONES.get(outcome.outcome, ""),
                who=outcome.by_name,
                text="\n".join(filter(None, [_booked(instruction, outcome), outcome.note])),
            )
        )
    return events


def _booked(instruction: ClientInstruction, outcome: InstructionOutcome) -> str:
    """Return how much was booked, unless it is just what was asked for; empty where nothing was."""
    if outcome.amount is None or outcome.amount == instruction.amount:
        return ""
    booked = formatting.money(outcome.amount, outcome.currency)
    if instruction.amount is None or outcome.currency != instruction.currency:
        return _("%(booked)s booked.") % {"booked": booked}
    asked = formatting.money(instruction.amount, instruction.currency)
    return _("%(booked)s of %(asked)s booked.") % {"booked": booked, "asked": asked}
