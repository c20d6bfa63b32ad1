"""What pages show of a proposal's lines."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from django.utils.translation import gettext as _

from accounts import formatting
from models_portfolio.calculations.drift import without
from models_portfolio.calculations.weights import CASH, Key
from trading.calculations.proposal import Restriction
from trading.models import Proposal, ProposalLine, Side
from trading.wording import reason_in_words

ZERO = Decimal(0)


@dataclass(frozen=True)
class LineRow:
    """A line with its bars, as CSS lengths of the widest weight, and its reason in words.

    ``target_weight`` is what the drift is measured from: the model's without what is excluded.
    """

    line: ProposalLine
    words: str
    target_weight: Decimal | None
    current: str
    target: str
    proposed: str

    @property
    def signed_quantity(self) -> str:
        """Return the trade as the input shows it: below zero sells; empty for none."""
        if not self.line.side:
            return ""
        sign = "-" if self.line.side == Side.SELL else ""
        return f"{sign}{self.line.quantity.normalize():f}"

    @property
    def fees(self) -> Decimal:
        """Return the estimated costs in the portfolio's currency."""
        return Decimal(self.line.reason_data.get("fees", 0))

    @property
    def is_shifted(self) -> bool:
        """Say whether the model's own target is another one."""
        return self.target_weight != self.line.target_weight

    @property
    def is_edited(self) -> bool:
        """Say whether somebody changed the trade by hand."""
        return (self.line.computed_side, self.line.computed_quantity) != (self.line.side, self.line.quantity)


def line_rows(proposal: Proposal) -> list[LineRow]:
    """Return the lines, the largest target first and cash last."""
    lines = list(proposal.lines.select_related("security"))
    targets = measured_targets(lines)
    weights = [
        w for line in lines for w in (line.current_weight, targets.get(line.pk), line.proposed_weight) if w
    ]
    widest = max(weights, default=Decimal(1))
    lines.sort(
        key=lambda line: (
            line.security is None,
            -(targets.get(line.pk) or ZERO),
            -(line.target_weight or ZERO),
            -(line.current_weight or ZERO),
            str(line.security),
        )
    )
    takes = any(targets.get(line.pk) for line in lines if line.security is not None)
    return [
        LineRow(
            line=line,
            words=_words(line, takes=takes),
            target_weight=targets.get(line.pk),
            current=_css(line.current_weight, widest),
            target=_css(targets.get(line.pk), widest),
            proposed=_css(line.proposed_weight, widest),
        )
        for line in lines
    ]


def _is_excluded(line: ProposalLine) -> bool:
    barriers = line.reason_data.get("barriers", ())
    return any(each["rule"] == Restriction.EXCLUDED.value for each in barriers)


def measured_targets(lines: Iterable[ProposalLine]) -> dict[int, Decimal]:
    """Return by line what the drift is measured from; nothing where no model says what to hold."""
    keys: dict[int, Key] = {
        line.pk: line.security_id or CASH for line in lines if line.target_weight is not None
    }
    own = {keys[line.pk]: line.target_weight for line in lines if line.target_weight is not None}
    aims = without(own, {line.security_id for line in lines if line.security_id and _is_excluded(line)})
    return {pk: aims.get(key, ZERO) for pk, key in keys.items()}


def _words(line: ProposalLine, *, takes: bool) -> str:
    """Return the reason, and of what is excluded where its weight goes: to others that ``takes`` says there are."""
    words = reason_in_words(line.reason, line.reason_data)
    if not line.target_weight or not _is_excluded(line):
        return words
    text = (
        _("%(why)s; its %(weight)s goes to the other lines, in proportion to their targets")
        if takes
        else _("%(why)s; its %(weight)s stays in cash")
    )
    return text % {"why": words, "weight": formatting.percent(line.target_weight)}


def _css(weight: Decimal | None, widest: Decimal) -> str:
    share = max(weight or ZERO, ZERO) / widest
    return f"{float(share) * 100:.2f}%"
