"""On whose paper, and in whose language, a report is made."""

from dataclasses import dataclass

from portfolios.models import Portfolio
from reporting.signals import letterhead_wanted


@dataclass(frozen=True)
class Letterhead:
    """The name, address and style of the institution that has the client."""

    name: str
    address: str = ""
    contact: str = ""
    colour: str = "#1f4e79"
    footer: str = ""
    language: str = "en"
    # Prices or people are invented: said on every page.
    is_demo: bool = False


def letterhead_of(portfolio: Portfolio) -> Letterhead:
    """Return the letterhead of the institution that has the portfolio's client; plain where nobody knows."""
    sent = letterhead_wanted.send(sender=Portfolio, portfolio=portfolio)
    answers: list[object] = [answer for _receiver, answer in sent]
    return next((each for each in answers if isinstance(each, Letterhead)), Letterhead(name=""))
