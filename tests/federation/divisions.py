"""The divisions of work that make sense, as tests go through them."""

import itertools
from dataclasses import dataclass, field

from federation.models import Agreement
from federation.scope import PRESETS

CUSTOM = Agreement.Preset.CUSTOM.value


@dataclass(frozen=True)
class Division:
    """Who performs each function, and which of them stay private."""

    division: dict[str, str]
    private: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        """Return it in short: "settlement at channel, trading private"."""
        others = [
            f"{function} at {side}"
            for function, side in self.division.items()
            if PRESETS["closed"].division[function] != side
        ]
        return ", ".join([*others, *(f"{function} private" for function in self.private)]) or "closed"


def divided(private: tuple[str, ...] = (), **who: str) -> Division:
    """Return the closed division with some functions at other parties."""
    return Division({**PRESETS["closed"].division, **who}, private)


def _sensible() -> list[Division]:
    found = [Division(dict(PRESETS["advice"].division), tuple(map(str, PRESETS["advice"].private)))]
    for settlement, reporting in itertools.product(("manager", "channel"), repeat=2):
        # What the manager trades may stay its own only where it settles too, what it settles only where
        # it reports too; reports reach the channel in any case.
        may_hide = [
            *(["trading"] if settlement == "manager" else []),
            *(["settlement"] if settlement == reporting == "manager" else []),
            *(["reporting"] if reporting == "channel" else []),
        ]
        for count in range(len(may_hide) + 1):
            for private in itertools.combinations(may_hide, count):
                found.append(divided(private, settlement=settlement, reporting=reporting))
    return found


SENSIBLE = _sensible()
