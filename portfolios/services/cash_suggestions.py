"""Which instruction arrived cash may answer, how likely, and why."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from django.utils.translation import gettext as _

from clients.models import ClientInstruction
from clients.numbers import same_reference
from portfolios.models import BankEntry, Portfolio

# Points of a suggestion; from here on it is shown, and from there on it is sure enough to offer first.
LEAST_SCORE, SURE_SCORE = 25, 80
_CLOSE_AMOUNT = Decimal("0.02")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An instruction that arrived cash may answer, how likely (0 to 100) and why."""

    instruction: ClientInstruction
    portfolio: Portfolio
    score: int
    reasons: tuple[str, ...]
    difference: Decimal | None

    @property
    def is_sure(self) -> bool:
        """Say whether the match is beyond reasonable doubt."""
        return self.score >= SURE_SCORE and not self.difference


def suggest(entry: BankEntry, instructions: Iterable[ClientInstruction]) -> list[Suggestion]:
    """Return the instructions that an entry may answer, the most likely first."""
    found = [_score(entry, instruction) for instruction in instructions]
    return sorted(
        (each for each in found if each.score >= LEAST_SCORE),
        key=lambda each: (-each.score, each.instruction.pk),
    )


def _score(entry: BankEntry, instruction: ClientInstruction) -> Suggestion:
    portfolio, client = instruction.mandate.portfolio, instruction.mandate.client
    score, reasons = 0, []
    compact = re.sub(r"[^A-Z0-9]", "", entry.reference.upper())
    if instruction.reference and (
        same_reference(entry.reference, instruction.reference) or instruction.reference.upper() in compact
    ):
        score += 60
        reasons.append(_("the same reference"))
    elif portfolio.number and re.sub(r"[^A-Z0-9]", "", portfolio.number.upper()) in compact:
        score += 30
        reasons.append(_("the portfolio's number in the reference"))
    difference: Decimal | None = None
    if entry.currency == (instruction.currency or portfolio.currency):
        difference = entry.amount - (instruction.amount or Decimal(0))
        if not difference:
            score += 25
            reasons.append(_("the same amount and currency"))
        elif instruction.amount and abs(difference) <= instruction.amount * _CLOSE_AMOUNT:
            score += 12
            reasons.append(_("almost the same amount"))
    else:
        reasons.append(_("another currency"))
    shared = _words(entry.payer) & _words(client.name if client else "")
    if shared:
        score += 15
        reasons.append(_("the payer's name"))
    return Suggestion(instruction, portfolio, min(score, 100), tuple(reasons), difference)


def _words(name: str) -> set[str]:
    return {word for word in re.findall(r"\w+", name.casefold()) if len(word) > 2}
