"""The usual ways to divide the work, and how to explain them."""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from federation import scope
from federation.models import Agreement, Function


@dataclass(frozen=True)
class Preset:
    """A division of work that has a name, with the words to choose it by."""

    key: str
    title: str | Promise
    summary: str | Promise
    good_for: str | Promise

    @property
    def division(self) -> dict[str, str]:
        """Return who performs each function."""
        division = scope.PRESETS[self.key].division
        return {str(function): str(side) for function, side in division.items()}

    @property
    def private(self) -> tuple[str, ...]:
        """Return the functions whose records stay with whoever performs them."""
        return tuple(str(function) for function in scope.PRESETS[self.key].private)


PRESETS: dict[str, Preset] = {
    preset.key: preset
    for preset in (
        Preset(
            key=Agreement.Preset.CLOSED.value,
            title=_("Closed peer-to-peer"),
            summary=_(
                "The sales channel has the clients. The manager runs their portfolios, trades, settles and "
                "reports, and the channel sees all of it as it happens."
            ),
            good_for=_("A bank that lets an asset manager manage its clients' money"),
        ),
        Preset(
            key=Agreement.Preset.ADVICE.value,
            title=_("Advice exchange"),
            summary=_(
                "The manager publishes model portfolios and views. The channel follows them for its own clients, "
                "and the manager learns nothing of those: not a name, a count or an amount."
            ),
            good_for=_("A bank that manages its clients' money itself, by the models of a specialist"),
        ),
    )
}


# What each function means, for whoever divides the work otherwise than the presets.
WORDS: dict[str, str | Promise] = {
    Function.RELATIONSHIP: _("Has the client: profile, mandate and instructions."),
    Function.MODELS: _("Publishes model portfolios and views, and offers them."),
    Function.MANAGEMENT: _("Decides on mandates, runs the portfolios by the models and values them daily."),
    Function.TRADING: _("Sends orders to the market and divides the fills among the portfolios."),
    Function.SETTLEMENT: _(
        "Keeps the accounts and the ledger, settles trades, books cash. Where another party trades, it "
        "affirms or rejects each allocation first."
    ),
    Function.REPORTING: _("Makes the reports; the channel releases them to the client."),
}


def preset_of(division: dict[str, str], private: list[str]) -> str:
    """Return the preset with this division of work, or that it is divided otherwise."""
    for name, preset in PRESETS.items():
        if preset.division == division and set(preset.private) == set(private):
            return name
    return Agreement.Preset.CUSTOM.value
