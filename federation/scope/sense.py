"""Which divisions of work make sense, and why the others do not."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from federation.models.agreements import Function, Side
from federation.scope.division import by_label, may_withhold


@dataclass(frozen=True)
class Need:
    """What whoever performs ``function`` has to receive of another function, where somebody else performs that."""

    function: Function
    of: Function
    kinds: str
    why: str | Promise


R, MODELS, MANAGEMENT, TRADING, SETTLEMENT, REPORTING = Function
WHO: Mapping[str, str | Promise] = {
    Side.MANAGER: gettext_lazy("The manager"),
    Side.CHANNEL: gettext_lazy("The channel"),
}

# Each sentence goes on from "The manager" or "The channel": who performs the function that needs something.
NEEDS: tuple[Need, ...] = (
    Need(
        R,
        MANAGEMENT,
        "clients.MandateDecision clients.InstructionOutcome portfolios.Portfolio",
        gettext_lazy(
            "has to know whether its mandates and instructions are accepted, and for which portfolio"
        ),
    ),
    Need(R, REPORTING, "reporting.Report", gettext_lazy("hands the reports to the clients")),
    Need(
        MANAGEMENT,
        R,
        "clients.Client clients.Mandate clients.MandateRestriction clients.KycStatus clients.ClientInstruction",
        gettext_lazy("manages by the client's mandate, its restrictions and the instructions that follow"),
    ),
    Need(
        MANAGEMENT,
        MODELS,
        "models_portfolio.Offer models_portfolio.ModelPortfolio models_portfolio.ModelVersion models_portfolio.Target",
        gettext_lazy("manages by the weights of the models"),
    ),
    Need(
        R,
        MODELS,
        "models_portfolio.Offer models_portfolio.ModelPortfolio",
        gettext_lazy("chooses a plan for its client from the manager's offers"),
    ),
    Need(
        MANAGEMENT,
        SETTLEMENT,
        "clients.InstructionBooking portfolios.Transaction portfolios.Holding",
        gettext_lazy("values portfolios, and trades, from what they really hold"),
    ),
    Need(
        TRADING,
        SETTLEMENT,
        "trading.Affirmation trading.Settlement",
        gettext_lazy("has to know which of its trades are affirmed and settled"),
    ),
    Need(
        SETTLEMENT,
        R,
        "clients.Client clients.Mandate clients.PayoutAccount clients.ClientInstruction",
        gettext_lazy("books deposits and pays withdrawals by the client's instructions and bank account"),
    ),
    Need(
        SETTLEMENT,
        MANAGEMENT,
        "portfolios.Portfolio",
        gettext_lazy("books into the portfolios"),
    ),
    Need(
        SETTLEMENT,
        TRADING,
        "trading.Order trading.Allocation",
        gettext_lazy("settles what was allocated"),
    ),
    Need(
        REPORTING,
        R,
        "clients.Client clients.Mandate",
        gettext_lazy("addresses reports to the client"),
    ),
    Need(
        REPORTING,
        MANAGEMENT,
        "portfolios.Portfolio portfolios.Valuation",
        gettext_lazy("reports value and performance from the daily valuations"),
    ),
    Need(
        REPORTING,
        SETTLEMENT,
        "portfolios.Transaction portfolios.Holding",
        gettext_lazy("reports holdings and transactions"),
    ),
)
_ABOUT_CLIENTS = (R, MANAGEMENT, TRADING, SETTLEMENT, REPORTING)


def objections(
    division: Mapping[str, str], private: Collection[str] = (), withheld: Iterable[str] = ()
) -> list[str]:
    """Return in sentences why a division of work makes no sense; empty where it does.

    ``private`` are functions whose records stay with whoever performs them, ``withheld`` the kinds and
    fields left out of a share. What is wrong with who does what comes first: the rest follows from it.
    """
    return _of_division(division, private) or [
        *_of_private(division, private),
        *_of_withheld(division, private, withheld),
    ]


def needed(division: Mapping[str, str]) -> frozenset[str]:
    """Return the kinds that the other party needs for what it does under this division."""
    return frozenset(label for need in _needs(division) for label in need.kinds.split())


def _needs(division: Mapping[str, str]) -> list[Need]:
    return [need for need in NEEDS if division.get(need.function) != division.get(need.of)]


def _of_division(division: Mapping[str, str], private: Collection[str]) -> list[str]:
    known = {function.value for function in Function}
    missing = [function for function in Function if division.get(function) not in set(Side)]
    if missing or set(division) - known or set(private) - known:
        names = ", ".join(str(function.label) for function in missing)
        return (
            [_("Say who does: %(names)s.") % {"names": names}] if names else [_("There is no such function.")]
        )
    found = []
    if division[R] != Side.CHANNEL:
        found.append(
            _(
                "The relationship with the client is the sales channel's: that is what makes it the channel. "
                "Swap the two parties instead."
            )
        )
    if division[MODELS] != Side.MANAGER:
        found.append(
            _(
                "The models are the manager's: it offers them under the agreement. A channel that follows "
                "models of its own needs no agreement for them."
            )
        )
    if division[TRADING] != division[MANAGEMENT]:
        found.append(
            _(
                "Portfolio management and trading belong together: what to buy and sell is decided in a proposal, "
                "which stays with whoever manages, and no record would tell the other party of it."
            )
        )
    if division[MANAGEMENT] == Side.CHANNEL:
        found += _of_advice(division, private)
    return found


def _of_advice(division: Mapping[str, str], private: Collection[str]) -> list[str]:
    """Where the channel manages, it submits no mandate: the manager knows of no portfolio."""
    found = [
        _(
            "Where the channel manages the portfolios itself, it submits no mandates, and the manager would "
            "know of none for %(function)s. Give %(function)s to the channel, or management to the manager."
        )
        % {"function": str(function.label).lower()}
        for function in (SETTLEMENT, REPORTING)
        if division[function] != Side.CHANNEL
    ]
    open_ones = [str(function.label) for function in _ABOUT_CLIENTS if function not in private]
    if open_ones and not found:
        found.append(
            _(
                "Where the channel manages the portfolios itself, the manager has no need to know its clients. "
                "Keep private: %(names)s."
            )
            % {"names": ", ".join(open_ones)}
        )
    return found


def _of_private(division: Mapping[str, str], private: Collection[str]) -> list[str]:
    found: dict[Function, str] = {}
    for need in _needs(division):
        if need.of in private:
            # One reason for each function is enough.
            found.setdefault(need.of, _sentence(need, division))
    return list(found.values())


def _sentence(need: Need, division: Mapping[str, str]) -> str:
    return _("%(who)s %(why)s: %(function)s cannot stay private.") % {
        "who": WHO[division[need.function]],
        "why": need.why,
        "function": str(need.of.label).lower(),
    }


def _of_withheld(division: Mapping[str, str], private: Collection[str], withheld: Iterable[str]) -> list[str]:
    found = []
    for entry in withheld:
        if not may_withhold(entry):
            found.append(_("%(entry)s cannot be left out of a share.") % {"entry": entry})
            continue
        if entry not in by_label():
            continue
        for need in _needs(division):
            if entry in need.kinds.split() and need.of not in private:
                words = {
                    "who": WHO[division[need.function]],
                    "why": need.why,
                    "kind": str(by_label()[entry].model._meta.verbose_name).lower(),
                }
                found.append(_("%(who)s %(why)s: %(kind)s cannot be left out.") % words)
                break
    return found
