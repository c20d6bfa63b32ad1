"""Arrived cash: what it answers, booking it, and sending it back."""

import re
from decimal import Decimal as D

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.errors import DomainError
from accounts.models import AuditEntry
from clients.models import InstructionOutcome
from clients.services import answer_by_hand
from portfolios.models import BankEntry, Holding, Transaction
from portfolios.services.arrived_cash import import_cash
from portfolios.services.cash_matching import expected, match_cash, send_back
from portfolios.services.cash_suggestions import suggest
from tests.factories import Cast
from tests.portfolios import make
from tests.portfolios.cash import arrived, asked


def test_the_reference_amount_and_payer_say_which_instruction_is_meant(in_aurora: Cast, ada, bob):
    right, _other = asked(ada, 5000, "RF18539007547034"), asked(bob, 5000, "RF712348231")
    found = suggest(
        arrived(5000, "rf18 5390 0754 7034", "EXAMPLE ADA"), expected(in_aurora.operations, "deposit")
    )
    assert found[0].instruction == right
    assert found[0].score == 100
    assert found[0].is_sure
    assert found[1].score == 25


def test_cash_that_fits_nothing_gets_no_suggestion(in_aurora: Cast, ada):
    asked(ada, 5000, "RF18539007547034")
    assert suggest(arrived(123, "savings", "Somebody"), expected(in_aurora.operations, "deposit")) == []


def test_a_confirmed_match_books_the_deposit_and_answers_the_instruction(in_aurora: Cast, ada):
    instruction, entry = asked(ada, 5000, "RF1"), arrived(5000, "RF1")
    matched = match_cash(entry=entry, instruction=instruction, by=in_aurora.operations)
    deposit = Transaction.objects.get()
    assert (deposit.type, deposit.net_amount, deposit.reference) == ("deposit", D(5000), instruction.pk)
    assert (matched.state, matched.transaction, matched.account.currency) == ("matched", deposit, "EUR")
    outcome = InstructionOutcome.objects.get()
    assert (outcome.outcome, outcome.amount) == ("done", D(5000))
    assert Holding.objects.get(portfolio=ada).settled_quantity == 5000
    assert not expected(in_aurora.operations, "deposit").exists()
    with pytest.raises(DomainError) as again:
        match_cash(entry=entry, instruction=instruction, by=in_aurora.operations)
    assert again.value.code == "entry_not_open"


def test_another_amount_has_to_be_accepted(in_aurora: Cast, ada):
    instruction, entry = asked(ada, 5000, "RF1"), arrived(4000, "RF1")
    with pytest.raises(DomainError) as refused:
        match_cash(entry=entry, instruction=instruction, by=in_aurora.operations)
    assert refused.value.code == "amount_differs"
    assert not Transaction.objects.exists()
    match_cash(
        entry=entry,
        instruction=instruction,
        accepts_difference=True,
        more_to_come=True,
        by=in_aurora.operations,
    )
    assert InstructionOutcome.objects.get().outcome == "in_progress"
    # The advisor would read that nothing came of it.
    with pytest.raises(DomainError, match="A part of it is booked"):
        answer_by_hand(instruction=instruction, outcome="rejected", note="No", by=in_aurora.manager)
    # With what was booked before it is what was announced.
    match_cash(entry=arrived(1000, "RF1"), instruction=instruction, by=in_aurora.operations)
    assert Holding.objects.get(portfolio=ada).quantity == 5000
    assert instruction.outcomes.latest("at").outcome == "done"


def test_a_shortfall_is_accepted_with_a_reason_that_goes_into_the_ledger_and_to_the_advisor(
    in_aurora: Cast, ada
):
    instruction, entry = asked(ada, 5000, "RF1"), arrived(4990, "RF1")
    accepted = {"entry": entry, "instruction": instruction, "accepts_difference": True}
    for nothing in ("", "  "):
        with pytest.raises(DomainError) as refused:
            match_cash(**accepted, reason=nothing, by=in_aurora.operations)
        assert (refused.value.code, refused.value.field) == ("reason_missing", "reason")
    assert not Transaction.objects.exists()
    matched = match_cash(**accepted, reason="The bank kept its charges.", by=in_aurora.operations)
    assert matched.note == "The bank kept its charges."
    assert Transaction.objects.get().text == "The bank kept its charges. · RF1"
    outcome = InstructionOutcome.objects.get()
    assert (outcome.outcome, outcome.amount, outcome.note) == ("done", D(4990), "The bank kept its charges.")


def test_a_long_reference_of_the_bank_cuts_no_reason(in_aurora: Cast, ada):
    instruction, entry = asked(ada, 5000, "RF1"), arrived(4990, "RF1 " + "9" * 136)
    reason = "The bank kept its charges. " + "So it says. " * 14
    match_cash(
        entry=entry, instruction=instruction, accepts_difference=True, reason=reason, by=in_aurora.operations
    )
    assert Transaction.objects.get().text.startswith(reason.strip())
    assert InstructionOutcome.objects.get().note == reason.strip()


def test_cash_may_go_into_a_portfolio_without_an_instruction(in_aurora: Cast, ada):
    match_cash(entry=arrived(700), portfolio=ada, by=in_aurora.operations)
    assert Transaction.objects.get().net_amount == 700
    assert not InstructionOutcome.objects.exists()


def test_cash_is_sent_back_with_a_reason(in_aurora: Cast):
    entry = arrived(700)
    with pytest.raises(DomainError):
        send_back(entry=entry, reason=" ", by=in_aurora.operations)
    assert send_back(entry=entry, reason="Unknown payer", by=in_aurora.operations).state == "refused"


def test_the_same_entry_is_recognised(in_aurora: Cast):
    arrived(700, "a")
    with pytest.raises(DomainError, match="here already"):
        arrived(700, "a")


def test_cash_in_a_currency_that_does_not_exist_is_refused_at_its_field(browse, aurora, in_aurora: Cast):
    client = browse(aurora, in_aurora.operations)
    typed = {"value_date": make.day(1).isoformat(), "amount": "5", "currency": "xxx"}
    page = client.post(reverse("portfolios:bank_entry_create"), typed)
    assert "“xxx” is not a currency." in str(page.context["form"].errors["currency"])
    page = client.post(
        reverse("portfolios:bank_entry_create"), {**typed, "currency": "EUR", "amount": "5.001"}
    )
    assert "smallest amount of EUR" in str(page.context["form"].errors["amount"])
    assert not BankEntry.objects.exists()
    assert (
        client.post(reverse("portfolios:bank_entry_create"), {**typed, "currency": "huf"}).status_code == 302
    )
    assert BankEntry.objects.get().currency == "HUF"


def test_a_statement_is_taken_whole_or_not_at_all(in_aurora: Cast):
    head = b"value_date;amount;currency;payer;reference\n"
    wrong = head + b"02.03.2026;1.000,50;EUR;Ada;RF1\nnever;5,00;EUR;;\n"
    added, _known, errors = import_cash(content=wrong, file_name="a.csv", by=None)
    assert (added, [error.row for error in errors], BankEntry.objects.count()) == (0, [3], 0)
    unkept = head + b"".join(
        b"02.03.2026;%s;EUR;%s;\n" % each
        for each in (
            (b"0,00001", b""),
            (b"0,001", b""),
            (b"1,23456789", b""),
            (b"9999999999999", b""),
            (b"5", b"A" * 201),
        )
    )
    added, _known, errors = import_cash(content=unkept, file_name="a.csv", by=None)
    assert (added, [error.row for error in errors], BankEntry.objects.count()) == (0, [2, 3, 4, 5, 6], 0)
    assert all(error.remedy for error in errors)
    assert (errors[4].problem, "at most 200" in errors[4].remedy) == ("This payer cannot be used.", True)
    right = head + b"02.03.2026;1.000,50;EUR;Ada;RF1\n"
    assert import_cash(content=right, file_name="a.csv", by=None)[:2] == (1, 0)
    assert import_cash(content=right, file_name="a.csv", by=None)[:2] == (0, 1)
    assert BankEntry.objects.get().amount == D("1000.5")
    # Two payments may be alike: as many as the bank names are there.
    twice = right + right.removeprefix(head)
    assert import_cash(content=twice, file_name="a.csv", by=None)[:2] == (1, 1)
    assert import_cash(content=twice, file_name="a.csv", by=None)[:2] == (0, 2)
    assert AuditEntry.objects.filter(action="cash.entered").count() == BankEntry.objects.count() == 2


HEAD = "value_date;amount;currency;payer;reference\n"


@pytest.mark.parametrize(
    ("content", "amounts"),
    [
        (HEAD + "2026-03-02;100.50;EUR;Ada;4711,4712\n", ["100.5"]),
        (HEAD + "2026-03-02;1,234.56;EUR;Ada;\n2026-03-02;2.50;EUR;Ada;\n", ["1234.56", "2.5"]),
        (HEAD + "2026-03-02;1.234;EUR;Ada;\n2026-03-02;5,00;EUR;Ada;\n", ["1234", "5"]),
        ("value_date,currency,amount\n2026-03-02,EUR,100,50\n", "more cells than the header"),
        (HEAD.replace("payer", "amount") + "2026-03-02;5;EUR;7;\n", "two columns called AMOUNT"),
        (HEAD + '2026-03-02;5;EUR;"Ada;\n2026-03-02;7;EUR;Bob;\n', "cannot be told apart"),
        (HEAD + "\n;;;;\n", "No row follows the header"),
    ],
    ids=["two invoices", "english", "german", "cut in two", "two amounts", "open quote", "header"],
)
def test_an_amount_is_read_as_the_bank_meant_it_or_the_statement_is_refused(
    in_aurora: Cast, content: str, amounts: list[str] | str
):
    try:
        _added, _known, errors = import_cash(content=content.encode(), file_name="a.csv", by=None)
        refusal = " ".join(error.problem for error in errors)
    except DomainError as error:
        refusal = str(error.message)
    read = list(BankEntry.objects.order_by("pk").values_list("amount", flat=True))
    if isinstance(amounts, str):
        assert amounts in refusal
        assert not read
    else:
        assert (refusal, read) == ("", [D(amount) for amount in amounts])


def test_what_the_cash_page_has_no_room_for_is_counted(browse, aurora, in_aurora: Cast, ada):
    def rows(day: str) -> bytes:
        lines = [f"{day};{number};EUR;Ada;RF{number}" for number in range(1, 1103)]
        return "\n".join([HEAD.strip(), *lines]).encode()

    client = browse(aurora, in_aurora.operations)

    def send(day: str):
        typed = {"from_file": "1", "file": SimpleUploadedFile("a.csv", rows(day))}
        return client.post(reverse("portfolios:bank_entry_create"), typed)

    refused = send("never").content.decode()
    assert (refused.count("is not a date"), "and 1002 more" in refused) == (100, True)
    assert send("2026-03-02").status_code == 302
    page = client.get(reverse("portfolios:cash")).content.decode()
    assert page.count("Nothing announced fits") == 100
    assert ">1,102<" in page
    assert "The first 100 of 1,102" in page
    # Of those that the page has no room for, the fitting one may be the next.
    for number in range(101):
        asked(ada, 90_000 + number, f"LATER{number}")
    page = client.get(reverse("portfolios:cash")).content.decode()
    assert page.count("None of the 100 oldest deposits fits") == 100
    assert "Nothing announced fits" not in page


def test_a_statement_of_many_entries_takes_as_few_questions_as_one_of_few(in_aurora: Cast):
    def questions(first: int, last: int) -> int:
        rows = [f"2026-03-02,{number},EUR,Ada,RF{number}" for number in range(first, last)]
        content = "\n".join(["value_date,amount,currency,payer,reference", *rows]).encode()
        with CaptureQueriesContext(connection) as captured:
            assert import_cash(content=content, file_name="a.csv", by=in_aurora.operations)[0] == last - first
        return len(captured)

    assert questions(1, 3) == questions(3, 200)


def test_operations_match_cash_in_the_browser(aurora, browse, in_aurora: Cast, ada):
    client = browse(aurora, in_aurora.operations)
    instruction = asked(ada, 5000, "RF1")
    client.post(reverse("portfolios:bank_entry_create"),
                {"value_date": "2026-03-03", "amount": "4900", "currency": "eur", "payer": "Ada Example", "reference": "RF1"})  # fmt: skip
    entry = BankEntry.objects.get()
    assert "Ada Example" in client.get(reverse("portfolios:cash")).content.decode()
    url = reverse("portfolios:bank_entry_match", args=[entry.pk])
    refused = client.post(url, {"instruction": str(instruction.pk), "number": ""})
    assert "was announced" in refused.content.decode()
    accepted = {"instruction": str(instruction.pk), "accepts_difference": "on"}
    assert "Say why the instruction is done" in client.post(url, accepted).content.decode()
    client.post(url, accepted | {"difference_reason": "Bank charges"})
    entry.refresh_from_db()
    assert entry.state == "matched"
    shown = client.get(reverse("portfolios:bank_entry_detail", args=[entry.pk])).content.decode()
    assert re.search(r">Deposit <time[^>]*>3 Mar 2026</time></a>", shown)
    assert client.get(reverse("portfolios:bank_entry_list")).status_code == 200
    # What was chosen stays chosen, also of those that have nothing in common with the cash.
    other, unlike = asked(ada, 8000, "RF2"), arrived(700, "savings")
    refused = client.post(
        reverse("portfolios:bank_entry_match", args=[unlike.pk]), {"instruction": str(other.pk)}
    )
    chosen = re.findall(r'name="instruction" value="([^"]*)" checked', refused.content.decode())
    assert chosen == [str(other.pk)]


def test_operations_match_cash_in_another_currency_at_a_rate_in_the_browser(
    aurora, browse, in_aurora: Cast, ada
):
    client, instruction = browse(aurora, in_aurora.operations), asked(ada, 5000, "RF1")
    entry = arrived(5500, "RF1", currency="USD")
    url = reverse("portfolios:bank_entry_match", args=[entry.pk])
    typed = {
        "instruction": str(instruction.pk),
        "accepts_difference": "on",
        "difference_reason": "From New York",
    }
    assert "what one USD is" in client.get(entry_page(entry)).content.decode()
    assert "how many EUR one USD is" in client.post(url, typed).content.decode()
    for wrong in ("-1", "0", "dollars"):
        assert (
            "a number above zero, such as 1.0845, or leave it empty"
            in client.post(url, typed | {"exchange_rate": wrong}).content.decode()
        )
    client.post(url, typed | {"exchange_rate": "0.9"})
    assert Transaction.objects.get().exchange_rate == D("0.9")
    outcome = InstructionOutcome.objects.get()
    assert (outcome.outcome, outcome.amount, outcome.currency) == ("done", D(4950), "EUR")
    assert outcome.note == "USD\xa05,500.00 at a rate of 0.9000. From New York"


def test_operations_send_cash_back_with_its_instruction_in_the_browser(aurora, browse, in_aurora: Cast, ada):
    client, instruction = browse(aurora, in_aurora.operations), asked(ada, 5000, "RF1")
    entry = arrived(5500, "RF1", currency="USD")
    assert "Reject its instruction too" in client.get(entry_page(entry)).content.decode()
    url = reverse("portfolios:bank_entry_send_back", args=[entry.pk])
    client.post(url, {"reason": "We take no dollars.", "rejected_instruction": str(instruction.pk)})
    outcome = InstructionOutcome.objects.get()
    assert (outcome.outcome, outcome.note) == ("rejected", "We take no dollars.")
    assert BankEntry.objects.get().instruction == instruction


def entry_page(entry: BankEntry) -> str:
    return reverse("portfolios:bank_entry_detail", args=[entry.pk])


def test_a_wrong_statement_is_shown_row_by_row(aurora, browse, in_aurora: Cast):
    client = browse(aurora, in_aurora.operations)
    upload = SimpleUploadedFile("a.csv", b"value_date,amount,currency\nnever,5,EUR\n")
    page = client.post(reverse("portfolios:bank_entry_create"), {"from_file": "1", "file": upload})
    assert "“never” is not a date." in page.content.decode()


def test_a_portfolio_manager_matches_no_cash(aurora, browse, in_aurora: Cast, ada):
    entry = arrived(5)
    client = browse(aurora, in_aurora.manager)
    assert (
        client.post(reverse("portfolios:bank_entry_match", args=[entry.pk]), {"number": "P-1"}).status_code
        == 404
    )
    assert client.get(reverse("portfolios:cash")).status_code == 404


def test_no_more_of_a_statement_is_read_than_may_be(aurora, browse, in_aurora: Cast, monkeypatch):
    read: list[int] = []

    def spy(**given):
        read.append(len(given["content"]))
        return 0, 0, []

    monkeypatch.setattr("portfolios.views.cash.MAXIMUM_UPLOAD", 10)
    monkeypatch.setattr("portfolios.views.cash.import_cash", spy)
    statement = SimpleUploadedFile("statement.csv", b"x" * 1000)
    page = browse(aurora, in_aurora.operations)
    page.post(reverse("portfolios:bank_entry_create"), {"from_file": "1", "file": statement})
    assert read == [11]
