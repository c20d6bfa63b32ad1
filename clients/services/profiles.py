"""Draw a client's risk profile from a questionnaire."""

import datetime
from collections.abc import Mapping

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.errors import DomainError
from accounts.models import User, audit
from clients.calculations.risk import IncompleteAnswersError, assess_risk
from clients.models import Client, Questionnaire, RiskProfile
from clients.services.guards import refuse_received

VALID_YEARS = 2


def valid_until(answered_on: datetime.date) -> datetime.date:
    """Return the last day on which a profile answered on this day may be relied upon."""
    try:
        return answered_on.replace(year=answered_on.year + VALID_YEARS)
    except ValueError:
        return answered_on.replace(year=answered_on.year + VALID_YEARS, day=28)


@transaction.atomic
def record_questionnaire(*, client: Client, answers: Mapping[str, str], by: User) -> RiskProfile:
    """Keep the answers privately and draw a new version of the risk profile from them.

    The profile before it ends on the day the new one starts. Raises DomainError where a question is
    not answered.
    """
    client = Client.objects.select_for_update(of=("self",)).get(pk=client.pk)
    refuse_received(client)
    day = timezone.localdate()
    try:
        assessment = assess_risk(answers)
    except IncompleteAnswersError as error:
        raise DomainError(
            "questionnaire_incomplete",
            _("Answer every question: the profile rests on all of them."),
            data={"questions": [*error.missing, *error.invalid]},
        ) from error
    Questionnaire.objects.create(
        client=client, version=assessment.version, answers=dict(answers), answered_on=day
    )
    last = client.risk_profiles.order_by("-number").first()
    if last is not None and last.valid_until > day:
        last.valid_until = day
        last.save(update_fields=["valid_until"])
    profile = RiskProfile.objects.create(
        client=client,
        number=last.number + 1 if last else 1,
        level=assessment.level,
        knowledge=assessment.knowledge,
        capacity=assessment.capacity,
        tolerance=assessment.tolerance,
        horizon_years=assessment.horizon_years,
        sustainability=assessment.sustainability,
        valid_from=day,
        valid_until=valid_until(day),
    )
    audit("risk_profile.recorded", client, by=by, number=profile.number)
    return profile
