"""What reports say, in each language that a report may be in.

A report is in the language of the institution that has the client, whoever makes it: so its words
stand here together and not among those of the pages.
"""

from collections.abc import Mapping

LANGUAGES = ("en", "de")

_EN: dict[str, str] = {
    "title": "Statement {from} – {to}",
    "title_of_day": "Statement {to}",
    "subtitle": "Portfolio {number}, {name}, in {currency}",
    "recipient": "Prepared for",
    "page": "Page",
    "percent": "{}%",
    "long_day": "j F Y",
    "short_day": "j M Y",
    "not_available": "not available",
    "notice_simulated": "Demonstration: the prices in this statement are simulated. They are not market prices.",
    "notice_gap": "The value at the end is not available: {problem}. What depends on it is not available either.",
    "summary": "Summary",
    "development": "How the value developed",
    "returns": "Returns",
    "allocation": "What the portfolio consists of",
    "holdings": "Holdings on {day}",
    "costs": "Costs and their effect",
    "transactions": "Transactions",
    "no_transactions": "There were no transactions in this period.",
    "no_holdings": "The portfolio holds nothing.",
    "value": "Value",
    "on_day": "on {day}",
    "result": "Gain or loss",
    "result_note": "after all costs and taxes",
    "return_net": "Return, net",
    "return_note": "time-weighted, {from} – {to}",
    "total_costs": "Costs and taxes",
    "costs_note": "{share} of the average value",
    "opening": "Value on {day}",
    "opening_none": "Value before the opening on {day}",
    "inflow": "Paid and transferred in",
    "outflow": "Paid and transferred out",
    "income": "Dividends and interest, before taxes",
    "value_change": "Price and currency gains and losses",
    "closing": "Value on {day}",
    "period": "Period",
    "inception": "Since {day}",
    "yearly": "a year",
    "net": "Time-weighted, net of all costs",
    "gross": "Time-weighted, before service fees",
    "money_weighted": "Money-weighted (XIRR)",
    "benchmark": "Benchmark: {name} ({currency})",
    "returns_note": (
        "Time-weighted: daily linked, inflows at the start and outflows at the end of the day (GIPS 2020); it does "
        "not depend on when money was paid in or out. Money-weighted: it does. Inception: {day}. Returns of "
        "less than a year are not annualised. Past returns do not foretell future ones."
    ),
    "change_of_manager": (
        "Change of manager on {day}: time-weighted, net, {before} before, since {since}; chained with the time after it {chained}."
    ),
    "index": "Return since the beginning of the period, net",
    "security": "Security",
    "quantity": "Quantity",
    "price": "Price",
    "price_of": "Price of",
    "weight": "Weight",
    "gain": "Unrealised gain",
    "asset_class": "Asset class",
    "cash": "Cash",
    "cash_in": "Cash in {currency}",
    "total": "Total",
    "source": "{mark} {name}",
    "source_simulated": "{mark} {name}: simulated, not a market price",
    "sources": "Prices from:",
    "stale_note": "† The last price is older than five business days.",
    "exact": "Amounts in {currency}, converted at the European Central Bank's reference rates where needed.",
    "kind": "Kind",
    "share": "Share",
    "service": "Service fees (management, custody)",
    "trading": "Trading costs",
    "taxes": "Taxes",
    "total_row": "Total",
    "product": "Within the funds (estimate, already in their prices)",
    "costs_note_long": (
        "Shares are of the average value of {average}. All costs and taxes lowered the return of the period by "
        "{effect} percentage points. Ex-post costs: directive 2014/65/EU, delegated regulation 2017/565, article 50."
    ),
    "date": "Date",
    "type": "Type",
    "amount": "Amount",
    "small_print": (
        "Statement {number}, made on {made} by {maker}. It shows the figures as they stood at that time. "
        "Delegated regulation 2017/565, article 60."
    ),
    "no_data": "no data",
    "missing_value": "a price or rate is missing",
    "chain_closed": "the portfolio was empty in between",
    "under_one_year": "under one year",
    "no_capital": "nothing was invested",
    "no_sign_change": "nothing was paid in",
    "no_solution": "there is no such rate",
    "several_solutions": "there are several such rates",
    "total_loss": "everything was lost",
    "too_few_returns": "too short a time",
    "problem_no_price": "no price for {what}",
    "problem_no_rate": "no exchange rate for {what}",
    "problem_stale": "old price: {what}",
    "equity": "Equities",
    "fixed_income": "Fixed income",
    "real_estate": "Real estate",
    "commodity": "Commodities",
    "alternative": "Alternatives",
    "money_market": "Money market",
    "type_buy": "Purchase",
    "type_sell": "Sale",
    "type_deposit": "Payment in",
    "type_withdrawal": "Payment out",
    "type_transfer_in": "Transfer in",
    "type_transfer_out": "Transfer out",
    "type_currency_exchange": "Currency exchange",
    "type_dividend": "Dividend",
    "type_interest": "Interest",
    "type_fee": "Fee",
    "type_tax": "Tax",
    "type_split": "Split",
    "type_reversal": "Reversal",
}

_DE: dict[str, str] = {
    "title": "Vermögensauszug {from} – {to}",
    "title_of_day": "Vermögensauszug {to}",
    "subtitle": "Portfolio {number}, {name}, in {currency}",
    "recipient": "Erstellt für",
    "page": "Seite",
    "percent": "{}\u00a0%",
    "long_day": "j. F Y",
    "short_day": "d.m.Y",
    "not_available": "nicht verfügbar",
    "notice_simulated": "Vorführung: Die Kurse in diesem Auszug sind simuliert. Es sind keine Marktkurse.",
    "notice_gap": (
        "Der Wert am Ende ist nicht verfügbar: {problem}. Was davon abhängt, ist ebenfalls nicht verfügbar."
    ),
    "summary": "Zusammenfassung",
    "development": "Entwicklung des Werts",
    "returns": "Renditen",
    "allocation": "Zusammensetzung",
    "holdings": "Bestände am {day}",
    "costs": "Kosten und ihre Wirkung",
    "transactions": "Transaktionen",
    "no_transactions": "In diesem Zeitraum gab es keine Transaktionen.",
    "no_holdings": "Das Portfolio hat keinen Bestand.",
    "value": "Wert",
    "on_day": "am {day}",
    "result": "Gewinn oder Verlust",
    "result_note": "nach allen Kosten und Steuern",
    "return_net": "Rendite, netto",
    "return_note": "zeitgewichtet, {from} – {to}",
    "total_costs": "Kosten und Steuern",
    "costs_note": "{share} des Durchschnittswerts",
    "opening": "Wert am {day}",
    "opening_none": "Wert vor der Eröffnung am {day}",
    "inflow": "Einzahlungen und Einlieferungen",
    "outflow": "Auszahlungen und Auslieferungen",
    "income": "Dividenden und Zinsen, vor Steuern",
    "value_change": "Kurs- und Währungsgewinne und -verluste",
    "closing": "Wert am {day}",
    "period": "Zeitraum",
    "inception": "Seit {day}",
    "yearly": "pro Jahr",
    "net": "Zeitgewichtet, nach allen Kosten (netto)",
    "gross": "Zeitgewichtet, vor Dienstleistungsgebühren (brutto)",
    "money_weighted": "Geldgewichtet (interner Zinsfuß)",
    "benchmark": "Vergleichsindex: {name} ({currency})",
    "returns_note": (
        "Zeitgewichtet: täglich verkettet, Zuflüsse am Anfang und Abflüsse am Ende des Tages (GIPS 2020); sie hängt "
        "nicht davon ab, wann ein- oder ausgezahlt wurde. Geldgewichtet: sie hängt davon ab. Beginn: {day}. "
        "Renditen von weniger als einem Jahr werden nicht annualisiert. Vergangene Renditen sagen künftige nicht voraus."
    ),
    "change_of_manager": (
        "Wechsel des Vermögensverwalters am {day}: zeitgewichtet, netto, {before} davor, seit {since}; verkettet mit der Zeit danach {chained}."
    ),
    "index": "Rendite seit Beginn des Zeitraums, netto",
    "security": "Wertpapier",
    "quantity": "Menge",
    "price": "Kurs",
    "price_of": "Kurs vom",
    "weight": "Anteil",
    "gain": "Nicht realisierter Gewinn",
    "asset_class": "Anlageklasse",
    "cash": "Liquidität",
    "cash_in": "Liquidität in {currency}",
    "total": "Summe",
    "source": "{mark} {name}",
    "source_simulated": "{mark} {name}: simuliert, kein Marktkurs",
    "sources": "Kurse von:",
    "stale_note": "† Der letzte Kurs ist älter als fünf Bankarbeitstage.",
    "exact": "Beträge in {currency}, wo nötig zu den Referenzkursen der Europäischen Zentralbank umgerechnet.",
    "kind": "Art",
    "share": "Anteil",
    "service": "Dienstleistungsgebühren (Verwaltung, Verwahrung)",
    "trading": "Handelskosten",
    "taxes": "Steuern",
    "total_row": "Summe",
    "product": "In den Fonds (Schätzung, in deren Kursen enthalten)",
    "costs_note_long": (
        "Anteile am Durchschnittswert von {average}. Alle Kosten und Steuern haben die Rendite des Zeitraums um "
        "{effect} Prozentpunkte gemindert. Ausweis der Kosten: Richtlinie 2014/65/EU, Delegierte Verordnung 2017/565, Artikel 50."
    ),
    "date": "Datum",
    "type": "Art",
    "amount": "Betrag",
    "small_print": (
        "Auszug {number}, erstellt am {made} von {maker}. Er zeigt die Zahlen, wie sie zu diesem Zeitpunkt standen. "
        "Delegierte Verordnung 2017/565, Artikel 60."
    ),
    "no_data": "keine Daten",
    "missing_value": "ein Kurs fehlt",
    "chain_closed": "das Portfolio war zwischendurch leer",
    "under_one_year": "unter einem Jahr",
    "no_capital": "nichts war angelegt",
    "no_sign_change": "nichts wurde eingezahlt",
    "no_solution": "es gibt keinen solchen Zinssatz",
    "several_solutions": "es gibt mehrere solche Zinssätze",
    "total_loss": "alles wurde verloren",
    "too_few_returns": "zu kurze Zeit",
    "problem_no_price": "kein Kurs für {what}",
    "problem_no_rate": "kein Wechselkurs für {what}",
    "problem_stale": "alter Kurs: {what}",
    "equity": "Aktien",
    "fixed_income": "Anleihen",
    "real_estate": "Immobilien",
    "commodity": "Rohstoffe",
    "alternative": "Alternative Anlagen",
    "money_market": "Geldmarkt",
    "type_buy": "Kauf",
    "type_sell": "Verkauf",
    "type_deposit": "Einzahlung",
    "type_withdrawal": "Auszahlung",
    "type_transfer_in": "Einlieferung",
    "type_transfer_out": "Auslieferung",
    "type_currency_exchange": "Währungstausch",
    "type_dividend": "Dividende",
    "type_interest": "Zinsen",
    "type_fee": "Gebühr",
    "type_tax": "Steuer",
    "type_split": "Aktiensplit",
    "type_reversal": "Storno",
}

_WORDS: dict[str, dict[str, str]] = {"en": _EN, "de": _DE}
# How the daily values say what is wrong with them, and the word for it.
_PROBLEMS = (
    ("No price for ", "problem_no_price"),
    ("No exchange rate for ", "problem_no_rate"),
    ("Stale price: ", "problem_stale"),
    ("Stale price of ", "problem_stale"),
)


def language_for(wanted: str) -> str:
    """Return the language of reports that comes nearest to ``wanted``, such as "de" for "de-ch"."""
    short = wanted.lower().replace("_", "-").partition("-")[0]
    return short if short in LANGUAGES else LANGUAGES[0]


def words_in(language: str) -> Mapping[str, str]:
    """Return the words of a language; KeyError for one that reports are not made in."""
    return _WORDS[language]


def problem_in(words: Mapping[str, str], problem: str) -> str:
    """Return what is wrong with a value in the report's language."""
    said = []
    for part in problem.split("; "):
        for start, key in _PROBLEMS:
            if part.startswith(start):
                said.append(words[key].format(what=part.removeprefix(start)))
                break
        else:
            said.append(part)
    return "; ".join(said)
