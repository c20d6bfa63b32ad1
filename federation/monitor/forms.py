"""Forms of the monitor: what is skipped, from when on it alerts, and when it is silent."""

import datetime

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.amounts import WholeNumberField
from federation.models import Watch
from federation.monitor.settings import OUT_OF_BOUNDS


class SkipForm(forms.Form):
    """Why a parked row is not to be tried again."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=300,
        error_messages={"required": _("Say why this row is not to be tried again. Your partner reads it.")},
    )


class ThresholdForm(forms.Form):
    """From when on a mirror that is behind is worth an alert."""

    seconds = WholeNumberField(
        label=_("Alert when behind by more than (seconds)"),
        min_value=Watch.SHORTEST_SECONDS,
        max_value=Watch.LONGEST_SECONDS,
        error_messages={"min_value": OUT_OF_BOUNDS, "max_value": OUT_OF_BOUNDS},
    )


class MuteForm(forms.Form):
    """Nobody is alerted for a while, and why."""

    hours = forms.TypedChoiceField(
        label=_("For"),
        coerce=int,
        choices=[
            (1, _("1 hour")),
            (8, _("8 hours")),
            (24, _("1 day")),
            (168, _("7 days")),
            (720, _("30 days")),
        ],
    )
    reason = forms.CharField(label=_("Why"), max_length=300)

    @property
    def until(self) -> datetime.datetime:
        """Return the moment from which on alerts are sent again."""
        return timezone.now() + datetime.timedelta(hours=self.cleaned_data["hours"])
