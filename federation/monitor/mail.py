"""Tell administrators by e-mail what they are alerted of: once, daily at most, and when it is over."""

import datetime
import uuid
from collections import defaultdict

from django.db.models import Q
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django_tenants.utils import tenant_context

from accounts.mailing import people_with, write_to
from accounts.models import Role
from federation.models import Alert, Institution, Watch

REMINDED_AFTER = datetime.timedelta(hours=24)
# What was over for longer is no news any more, where mail could not leave.
FORGOTTEN_AFTER = datetime.timedelta(days=2)


def deliver() -> int:
    """Send what is due, a message per administrator; return how many messages left."""
    now = timezone.now()
    due: dict[uuid.UUID, list[Alert]] = defaultdict(list)
    for alert in _due(now):
        due[alert.institution_id].append(alert)
    sent = 0
    for institution in Institution.objects.filter(pk__in=due):
        alerts = due[institution.pk]
        with tenant_context(institution):
            count = _tell(institution, alerts)
        sent += count
        if count:
            Alert.objects.filter(pk__in=[each.pk for each in alerts if not each.cleared_at]).update(
                mailed_at=now
            )
            Alert.objects.filter(pk__in=[each.pk for each in alerts if each.cleared_at]).update(
                clearing_mailed_at=now
            )
    return sent


def _due(now: datetime.datetime) -> list[Alert]:
    is_open = Q(cleared_at=None, over_since=None) & (
        Q(mailed_at=None) | Q(mailed_at__lte=now - REMINDED_AFTER)
    )
    is_over = Q(cleared_at__gt=now - FORGOTTEN_AFTER, mailed_at__isnull=False, clearing_mailed_at=None)
    muted = set(Watch.objects.filter(muted_until__gt=now).values_list("agreement_id", "institution_id"))
    found = (
        Alert.objects.filter(is_open | is_over)
        .select_related("stream__agreement", "stream__owner", "stream__receiver")
        .order_by("stream__agreement__name", "raised_at")
    )
    return [each for each in found if (each.stream.agreement_id, each.institution_id) not in muted]


def _tell(institution: Institution, alerts: list[Alert]) -> int:
    """Write to each administrator; called in the institution's schema."""
    domain = institution.get_primary_domain()
    link = f"{domain.url}/mirrors/" if domain else ""

    def message() -> tuple[str, str]:
        open_ones = [each for each in alerts if not each.cleared_at]
        subject = (
            ngettext(
                "%(count)s mirror needs your attention",
                "%(count)s mirrors need your attention",
                len(open_ones),
            )
            % {"count": len(open_ones)}
            if open_ones
            else gettext("Mirrors are in order again")
        )
        context = {
            "institution": institution,
            "link": link,
            "open": open_ones,
            "over": [each for each in alerts if each.cleared_at],
        }
        return subject, render_to_string("federation/mail/alerts.txt", context)

    return write_to(people_with([Role.ADMINISTRATOR]), message)
