"""What pages show of a proposal's lines."""

from dataclasses import dataclass
from decimal import Decimal

from trading.models import Proposal, ProposalLine, Side
from trading.wording import reason_in_words

ZERO = Decimal(0)


@dataclass(frozen=True)
class LineRow:
    """A line with its bars, as CSS lengths of the widest weight, and its reason in words."""

    line: ProposalLine
    words: str
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
    def is_edited(self) -> bool:
        """Say whether somebody changed the trade by hand."""
        return (self.line.computed_side, self.line.computed_quantity) != (self.line.side, self.line.quantity)


def line_rows(proposal: Proposal) -> list[LineRow]:
    """Return the lines, the largest target first and cash last."""
    lines = list(proposal.lines.select_related("security"))
    weights = [
        w for line in lines for w in (line.current_weight, line.target_weight, line.proposed_weight) if w
    ]
    widest = max(weights, default=Decimal(1))
    lines.sort(
        key=lambda line: (
            line.security is None,
            -(line.target_weight or ZERO),
            -(line.current_weight or ZERO),
            str(line.security),
        )
    )
    return [
        LineRow(
            line=line,
            words=reason_in_words(line.reason, line.reason_data),
            current=_css(line.current_weight, widest),
            target=_css(line.target_weight, widest),
            proposed=_css(line.proposed_weight, widest),
        )
        for line in lines
    ]


def _css(weight: Decimal | None, widest: Decimal) -> str:
    share = max(weight or ZERO, ZERO) / widest
    return f"{float(share) * 100:.2f}%"
