"""Word the figures of a report: everything in a document is text, ready for the page and for the PDF.

Both show the same document, so they cannot differ.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.utils import formats, translation

from accounts import formatting
from accounts.currencies import minor_units
from portfolios.calculations.returns import Figure, Reason
from reporting.figures import CostLine, Figures, Returns
from reporting.letterhead import Letterhead
from reporting.lines import HoldingLine
from reporting.words import language_for, problem_in, words_in

MARKS = "¹²³⁴⁵⁶⁷⁸⁹"
OLD = "†"
# A reason that does not take the figure away, but is to be known.
_REMARKS = {Reason.SEVERAL_SOLUTIONS, Reason.TOTAL_LOSS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """What the head and the small print of a report name."""

    number: str
    recipient: str
    portfolio_number: str
    portfolio_name: str
    made_at: datetime
    made_by: str


def compose(figures: Figures, letterhead: Letterhead, heading: Heading) -> dict[str, Any]:
    """Return the document in the letterhead's language: plain JSON of texts.

    Tables are ``{"header": [...], "rows": [[...]], "texts": [indices], "amounts": [indices], "note": "…"}``;
    ``texts`` says which columns are words, the others are figures; ``amounts`` which of those are to be
    hidden for a reader who hides amounts.
    """
    language = language_for(letterhead.language)
    with translation.override(language):
        return _Composer(figures, letterhead, heading, language).document()


class _Composer:
    """Word one report; the language is active while it works."""

    def __init__(self, figures: Figures, letterhead: Letterhead, heading: Heading, language: str) -> None:
        self.figures, self.letterhead, self.heading = figures, letterhead, heading
        self.language, self.words = language, words_in(language)
        self.currency = figures.currency

    def document(self) -> dict[str, Any]:
        words, figures, heading = self.words, self.figures, self.heading
        return {
            "language": self.language,
            "letterhead": asdict(self.letterhead),
            "title": title(self.language, figures.period_from, figures.period_to),
            "subtitle": words["subtitle"].format(
                number=heading.portfolio_number, name=heading.portfolio_name, currency=self.currency
            ),
            "recipient_label": words["recipient"],
            "recipient": heading.recipient,
            "notice": self._notice(),
            "words": {
                key: words[key]
                for key in (
                    "page", "summary", "development", "returns", "allocation", "costs", "transactions",
                    "no_transactions", "no_holdings",
                )
            }
            | {"holdings": words["holdings"].format(day=self._day(figures.closing_date))},
            "tiles": self._tiles(),
            "chart": self._chart(),
            "development": self._development(),
            "returns": self._returns(),
            "allocation": self._allocation(),
            "holdings": self._holdings(),
            "costs": self._costs(),
            "transactions": self._transactions(),
            "small_print": words["small_print"].format(
                number=heading.number, made=self._day(heading.made_at), maker=heading.made_by
            ),
        }  # fmt: skip

    # Figures as texts

    def _day(self, day: date) -> str:
        return long_day(day, self.words)

    def _short_day(self, day: date) -> str:
        return formats.date_format(day, self.words["short_day"])

    def _percent(self, value: Decimal, *, sign: bool = False) -> str:
        rounded = round(value * 100, 2)
        text = formatting.number(rounded, 2)
        return self.words["percent"].format(f"+{text}" if sign and rounded > 0 else text)

    def _money(self, value: Decimal) -> str:
        places = minor_units(self.currency)
        return formatting.number(value, places)

    def _say(self, figure: Figure, show: Callable[[Decimal], str]) -> str:
        reason = self.words[str(figure.reason)] if figure.reason else ""
        if figure.value is None:
            return f"{self.words['not_available']} ({reason})" if reason else self.words["not_available"]
        remark = f" ({reason})" if figure.reason in _REMARKS else ""
        return f"{show(figure.value)}{remark}"

    def _amount(self, figure: Figure) -> str:
        return self._say(figure, self._money)

    def _rate(self, figure: Figure) -> str:
        return self._say(figure, lambda value: self._percent(value, sign=True))

    def _known_money(self, value: Decimal | None) -> str:
        return formatting.UNKNOWN if value is None else self._money(value)

    def _known_weight(self, value: Decimal | None) -> str:
        return formatting.UNKNOWN if value is None else self._percent(value)

    # Parts

    def _notice(self) -> str:
        notices = []
        if self.figures.has_simulated_prices:
            notices.append(self.words["notice_simulated"])
        if self.figures.closing_value.value is None:
            problem = problem_in(self.words, self.figures.closing_problem)
            notices.append(self.words["notice_gap"].format(problem=problem or self.words["missing_value"]))
        return " ".join(notices)

    def _tiles(self) -> list[dict[str, Any]]:
        figures, words = self.figures, self.words
        total = _cost(figures.costs, "total")
        share = self._say(total.share, self._percent)
        net = _returns_of(figures.returns, "net")
        since = figures.opening_date or figures.inception
        return [
            _tile(
                f"{words['value']} {self.currency}",
                self._amount(figures.closing_value),
                words["on_day"].format(day=self._day(figures.closing_date)),
                is_amount=True,
            ),
            _tile(
                f"{words['result']} {self.currency}",
                self._say(figures.result, self._signed_money),
                words["result_note"],
                is_amount=True,
            ),
            _tile(
                words["return_net"],
                self._rate(net.period),
                words["return_note"].format(
                    **{"from": self._short_day(since), "to": self._short_day(figures.closing_date)}
                ),
            ),
            _tile(
                f"{words['total_costs']} {self.currency}",
                self._amount(total.amount),
                words["costs_note"].format(share=share),
                is_amount=True,
            ),
        ]

    def _signed_money(self, value: Decimal) -> str:
        text = self._money(value)
        return f"+{text}" if value > 0 and text != self._money(Decimal(0)) else text

    def _chart(self) -> dict[str, Any]:
        """Return points as fractions of the drawing area, and what stands at its edges."""
        points = self.figures.index
        values = [value for _day, value in points]
        low, high = min(values), max(values)
        days = (points[-1][0] - points[0][0]).days
        if len(points) < 2 or not days:
            return {
                "title": self.words["index"],
                "points": [],
                "top": "",
                "bottom": "",
                "first": "",
                "last": "",
            }
        height = high - low
        return {
            "title": self.words["index"],
            "points": [
                [
                    round((day - points[0][0]).days / days, 4),
                    round(float((value - low) / height), 4) if height else 0.5,
                ]
                for day, value in points
            ],
            "top": self._percent(high - 1, sign=True),
            "bottom": self._percent(low - 1, sign=True),
            "first": self._short_day(points[0][0]),
            "last": self._short_day(points[-1][0]),
        }

    def _development(self) -> dict[str, Any]:
        figures, words = self.figures, self.words
        costs = {line.key: line.amount.value or Decimal(0) for line in figures.costs}
        opening = (
            words["opening"].format(day=self._day(figures.opening_date))
            if figures.opening_date
            else words["opening_none"].format(day=self._day(figures.inception))
        )
        rows = [
            [opening, self._amount(figures.opening_value)],
            [words["inflow"], self._signed_money(figures.inflow)],
            [words["outflow"], self._signed_money(-figures.outflow)],
            [words["income"], self._signed_money(figures.income)],
            [words["value_change"], self._say(figures.value_change, self._signed_money)],
            [words["service"], self._signed_money(-costs["service"])],
            [words["trading"], self._signed_money(-costs["trading"])],
            [words["taxes"], self._signed_money(-costs["taxes"])],
            [
                words["closing"].format(day=self._day(figures.closing_date)),
                self._amount(figures.closing_value),
            ],
        ]
        return _table(["", self.currency], rows, amounts=[1])

    def _returns(self) -> dict[str, Any]:
        words = self.words
        inception = words["inception"].format(day=self._short_day(self.figures.inception))
        rows = [
            [
                words[line.key].format(name=line.name, currency=line.currency),
                self._rate(line.period),
                self._rate(line.since_inception),
                self._rate(line.annualised),
            ]
            for line in self.figures.returns
        ]
        note = words["returns_note"].format(day=self._day(self.figures.inception))
        change = self.figures.change_of_manager
        if change is not None:
            note += " " + words["change_of_manager"].format(
                day=self._day(change.day),
                since=self._day(change.since) if change.since else words["not_available"],
                before=self._rate(change.before),
                chained=self._rate(change.chained),
            )
        header = ["", words["period"], inception, f"{inception}, {words['yearly']}"]
        return _table(header, rows, note=note)

    def _allocation(self) -> dict[str, Any]:
        words = self.words
        rows = [
            [words[share.key], self._known_money(share.value), self._known_weight(share.weight)]
            for share in self.figures.allocation
        ]
        table = _table([words["asset_class"], self.currency, words["weight"]], rows, amounts=[1])
        # For the bars beside the table.
        return table | {
            "bars": [float(round(share.weight or Decimal(0), 4)) for share in self.figures.allocation]
        }

    def _holdings(self) -> dict[str, Any]:
        words = self.words
        sources = {
            line.price_source: line.is_simulated for line in self.figures.holdings if line.price_source
        }
        marks = dict(zip(sources, MARKS, strict=False))
        rows = [self._holding(line, marks) for line in self.figures.holdings]
        if rows:
            total = self._amount(self.figures.closing_value)
            rows.append([words["total"], "", "", "", total, "", ""])
        notes = [
            words["source_simulated" if is_simulated else "source"].format(
                mark=marks.get(name, ""), name=name
            )
            for name, is_simulated in sources.items()
        ]
        note = [f"{words['sources']} {'; '.join(notes)}."] if notes else []
        if any(line.is_stale for line in self.figures.holdings):
            note.append(words["stale_note"])
        problems = dict.fromkeys(line.problem for line in self.figures.holdings if line.problem)
        note += [f"{problem_in(words, problem).capitalize()}." for problem in problems]
        note.append(words["exact"].format(currency=self.currency))
        header = [
            words["security"], words["quantity"], words["price"], words["price_of"],
            f"{words['value']} {self.currency}", words["weight"], f"{words['gain']} {self.currency}",
        ]  # fmt: skip
        return _table(header, rows, amounts=[1, 4, 6], note=" ".join(note))

    def _holding(self, line: HoldingLine, marks: Mapping[str, str]) -> list[str]:
        name = line.security or self.words["cash_in"].format(currency=line.currency)
        price = ""
        if line.security:
            price = formatting.UNKNOWN
            if line.price is not None:
                old = OLD if line.is_stale else ""
                price = (
                    f"{formatting.price(line.price)} {line.currency}{old}{marks.get(line.price_source, '')}"
                )
        return [
            f"{name}\n{line.isin}" if line.isin else name,
            formatting.quantity(line.quantity) if line.security else formatting.number(line.quantity, 2),
            price,
            self._short_day(line.price_date) if line.price_date else "",
            self._known_money(line.market_value),
            self._known_weight(line.weight),
            self._known_money(line.unrealised_gain) if line.security else "",
        ]

    def _costs(self) -> dict[str, Any]:
        words, figures = self.words, self.figures
        names = {"total": "total_row"}
        rows = [
            [
                words[names.get(line.key, line.key)],
                self._amount(line.amount),
                self._say(line.share, self._percent),
            ]
            for line in figures.costs
        ]
        note = words["costs_note_long"].format(
            average=f"{self._amount(figures.average_value)} {self.currency}",
            effect=self._say(figures.cost_effect, lambda value: formatting.number(value * 100, 2)),
        )
        return _table([words["kind"], self.currency, words["share"]], rows, amounts=[1], note=note)

    def _transactions(self) -> dict[str, Any]:
        words = self.words
        rows = [
            [
                self._short_day(line.trade_date),
                words[f"type_{line.type}"],
                line.security or line.text,
                formatting.quantity(line.quantity) if line.quantity else "",
                "" if line.price is None else f"{formatting.price(line.price)} {line.currency}",
                "\n".join(
                    f"{formatting.number(amount, minor_units(code))} {code}" for amount, code in line.amounts
                ),
            ]
            for line in self.figures.transactions
        ]
        header = [
            words["date"], words["type"], words["security"], words["quantity"], words["price"], words["amount"],
        ]  # fmt: skip
        return _table(header, rows, texts=[0, 1, 2], amounts=[3, 5])


def title(language: str, period_from: date, period_to: date) -> str:
    """Return the title of a statement in one of the languages of reports."""
    words = words_in(language)
    kind = "title_of_day" if period_from == period_to else "title"
    with translation.override(language):
        return words[kind].format(**{"from": long_day(period_from, words), "to": long_day(period_to, words)})


def long_day(day: date, words: Mapping[str, str]) -> str:
    """Return a day as reports write it in running text, in the language that is active."""
    return formats.date_format(day, words["long_day"])


def _table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    texts: Sequence[int] = (0,),
    amounts: Sequence[int] = (),
    note: str = "",
) -> dict[str, Any]:
    return {
        "header": list(header),
        "rows": [list(row) for row in rows],
        "texts": list(texts),
        "amounts": list(amounts),
        "note": note,
    }


def _tile(label: str, value: str, note: str, *, is_amount: bool = False) -> dict[str, Any]:
    return {"label": label, "value": value, "note": note, "is_amount": is_amount}


def _cost(lines: Sequence[CostLine], key: str) -> CostLine:
    return next(line for line in lines if line.key == key)


def _returns_of(lines: Sequence[Returns], key: str) -> Returns:
    return next(line for line in lines if line.key == key)
