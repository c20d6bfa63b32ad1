"""Risk profiles in plain words."""

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from clients.models import RiskProfile

LEVELS = {
    1: gettext_lazy("Very cautious"),
    2: gettext_lazy("Cautious"),
    3: gettext_lazy("Rather cautious"),
    4: gettext_lazy("Balanced"),
    5: gettext_lazy("Growth-minded"),
    6: gettext_lazy("Bold"),
    7: gettext_lazy("Very bold"),
}
SUSTAINABILITY = {
    "": gettext_lazy("No preference"),
    "none": gettext_lazy("No preference"),
    "considers": gettext_lazy("Consider harm to people and nature"),
    "promotes": gettext_lazy("Promote social or environmental aims"),
    "sustainable": gettext_lazy("Sustainable investments"),
}
_MEANING = {
    1: gettext_lazy("Keeping the money matters most. Its value should hardly move."),
    2: gettext_lazy("Small ups and downs are fine, losses should be rare and small."),
    3: gettext_lazy("Some ups and downs are fine for a return above savings."),
    4: gettext_lazy("Growth and safety weigh the same. A bad year may cost a tenth."),
    5: gettext_lazy("Growth comes first. A bad year may cost a fifth."),
    6: gettext_lazy("High growth is the aim. A bad year may cost a third."),
    7: gettext_lazy("The highest growth is the aim. A bad year may cost half."),
}


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a profile on the scale of 1 to 7, and what it says."""

    name: str
    level: int
    text: str


def level_name(level: int) -> str:
    """Return the name of a risk level."""
    return str(LEVELS.get(level, ""))


def meaning(level: int) -> str:
    """Return what a risk level means for the client."""
    return str(_MEANING.get(level, ""))


def why(profile: RiskProfile) -> str:
    """Say which answers decided on the level."""
    if profile.capacity < profile.tolerance:
        return _("The answers show more appetite for risk than room for losses. The room for losses decides.")
    if profile.tolerance < profile.capacity:
        return _("There is more room for losses than appetite for risk. The appetite decides.")
    return _("Room for losses and appetite for risk agree.")


def parts(profile: RiskProfile) -> list[Part]:
    """Return the parts that a level rests on, each with a sentence."""
    return [
        Part(_("Ability to bear losses"), profile.capacity, _scale(profile.capacity)),
        Part(_("Risk tolerance"), profile.tolerance, _scale(profile.tolerance)),
        Part(_("Knowledge and experience"), profile.knowledge, _scale(profile.knowledge)),
    ]


def _scale(level: int) -> str:
    if level <= 2:
        return _("low")
    return _("medium") if level <= 5 else _("high")
