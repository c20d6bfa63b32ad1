"""What the sales side changed of a mandate between its return and its next submission.

Its history keeps which parts, by name; what they say now is in the records themselves, as far as these are shared.
"""

import datetime
from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import formatting
from accounts.models import AuditEntry
from clients.models import Client, KycStatus, Mandate, MandateDecision

PARTS = {
    "amount": gettext_lazy("planned amount"),
    "name": gettext_lazy("name of the mandate"),
    "plan": gettext_lazy("plan"),
    "risk_profile": gettext_lazy("risk profile"),
    "restrictions": gettext_lazy("the client’s wishes"),
    "client": gettext_lazy("who the client is"),
    "parties": gettext_lazy("the people behind the client"),
    "contacts": gettext_lazy("how the client is reached"),
    "identity": gettext_lazy("identity check"),
}
# Which fields make a part of the mandate.
FIELDS = {
    "amount": ("amount", "currency"),
    "name": ("name",),
    "plan": ("offer", "offer_name", "terms", "override_reason"),
    "risk_profile": ("risk_profile_id",),
}


def terms_of(mandate: Mandate) -> dict[str, list[Any]]:
    """Return what the parts of a mandate say, for comparing."""
    return {part: [getattr(mandate, name) for name in names] for part, names in FIELDS.items()}


def about_client(client: Client, since: datetime.datetime) -> set[str]:
    """Return the parts of what is known of a client that were changed after an instant."""
    found: set[str] = set()
    entries = AuditEntry.objects.filter(kind=Client._meta.label_lower, record_id=client.pk, at__gt=since)
    for action, data in entries.values_list("action", "data"):
        if action.startswith("kyc."):
            found.add("identity")
        elif action == "client.changed":
            found |= {each if each in PARTS else "client" for each in data.get("fields", [])}
    return found


def returned(mandate: Mandate, submission: int) -> MandateDecision | None:
    """Return the decision by which a submission was returned; None where it was not."""
    outcome = MandateDecision.Outcome.RETURNED
    made = (each for each in mandate.decisions.all() if each.outcome == outcome and not each.retired_at)
    return next((each for each in made if each.submission == submission), None)


def names(event: Mapping[str, Any]) -> list[str] | None:
    """Return in words which parts an event of a mandate's history changed; None where nobody kept it."""
    changed = event.get("changed")
    if not isinstance(changed, list):
        return None
    return [str(label) for part, label in PARTS.items() if part in changed]


def last_names(mandate: Mandate) -> list[str] | None:
    """Return in words what the last submission changed; None for the first, or where nobody kept it."""
    submissions = [each for each in mandate.history if each.get("submission") == mandate.submission]
    return next((names(each) for each in submissions if each.get("event") == "resubmitted"), None)


def listed(mandate: Mandate) -> list[tuple[str, str]] | None:
    """Return what the last submission changed, each part with what it says now; None as for ``last_names``."""
    named = last_names(mandate)
    if named is None:
        return None
    now = {str(PARTS[part]): text for part, text in _now(mandate)}
    return [(each, now.get(each, "")) for each in named]


def _now(mandate: Mandate) -> Iterable[tuple[str, str]]:
    kyc = KycStatus.objects.filter(client=mandate.client_id).first()
    profile = mandate.risk_profile
    yield "amount", formatting.whole(mandate.amount, mandate.currency)
    yield "name", mandate.name
    yield "plan", mandate.offer_name
    yield "risk_profile", f"{profile.level}/7" if profile else ""
    yield "restrictions", "; ".join(str(each) for each in mandate.wishes) or _("No wishes")
    yield "identity", kyc.get_state_display() if kyc else ""
