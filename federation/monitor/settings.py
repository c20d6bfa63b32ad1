"""What one party wants to be told of the mirrors of an agreement."""

import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.errors import DomainError
from accounts.models import User, audit
from federation.models import Agreement, Institution, Watch

LONGEST_MUTE = datetime.timedelta(days=30)
OUT_OF_BOUNDS = _("Choose between 5 and 86,400 seconds, which is a day.")


def watch_of(agreement: Agreement, institution: Institution) -> Watch:
    """Return what a party wants to be told; the default where it has not said."""
    found = Watch.objects.filter(agreement=agreement.pk, institution=institution.pk).first()
    return found or Watch(agreement_id=agreement.pk, institution=institution)


@transaction.atomic
def set_threshold(agreement: Agreement, *, by: User, institution: Institution, seconds: int) -> Watch:
    """Have this party's administrators alerted when a mirror is behind by more than ``seconds``."""
    if not Watch.SHORTEST_SECONDS <= seconds <= Watch.LONGEST_SECONDS:
        raise DomainError("threshold_out_of_range", OUT_OF_BOUNDS, field="seconds")
    return _change(agreement, by, institution, "mirror.threshold_set", behind_seconds=seconds)


@transaction.atomic
def mute(
    agreement: Agreement, *, by: User, institution: Institution, until: datetime.datetime, reason: str
) -> Watch:
    """Have nobody of this party alerted until a moment, for a reason."""
    now = timezone.now()
    if not now < until <= now + LONGEST_MUTE:
        raise DomainError("mute_out_of_range", _("Choose a time within the next 30 days."), field="until")
    if not reason.strip():
        raise DomainError("reason_missing", _("Say why nobody is to be alerted."), field="reason")
    return _change(
        agreement, by, institution, "mirror.muted", muted_until=until, mute_reason=reason.strip()[:300]
    )


@transaction.atomic
def unmute(agreement: Agreement, *, by: User, institution: Institution) -> Watch:
    """Have this party's administrators alerted again."""
    return _change(agreement, by, institution, "mirror.unmuted", muted_until=None, mute_reason="")


def _change(agreement: Agreement, by: User, institution: Institution, action: str, **values: object) -> Watch:
    watch, _is_new = Watch.objects.update_or_create(
        agreement=agreement,
        institution=institution,
        defaults={**values, "changed_by_name": by.full_name, "changed_at": timezone.now()},
    )
    audit(action, agreement, by=by, **{name: str(value or "") for name, value in values.items()})
    return watch
