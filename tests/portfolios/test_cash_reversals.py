"""What the reversal of an entry takes back: the match of arrived cash, and the answer to an instruction."""

from decimal import Decimal as D

from django.urls import reverse

from accounts.models import AuditEntry
from clients.models import ClientInstruction
from clients.services import booked_for
from portfolios.models import BankEntry, Holding, Transaction
from portfolios.services import book
from portfolios.services.cash_matching import expected, match_cash, pay_withdrawal
from portfolios.services.ledger import reverse as reverse_entry
from tests.factories import Cast
from tests.portfolios import make
from tests.portfolios.cash import arrived, asked, payable


def test_what_a_reversal_takes_back_is_booked_for_no_instruction(in_aurora: Cast, ada):
    instruction = asked(ada, 5000, "RF1")
    match_cash(entry=arrived(1000, "RF1", currency="USD"), instruction=instruction, accepts_difference=True,
               more_to_come=True, exchange_rate=D("0.9"), by=in_aurora.operations)  # fmt: skip
    assert booked_for(instruction) == 900
    reverse_entry(entry=Transaction.objects.get(), by=None)
    assert booked_for(instruction) == 0


def test_thousandths_of_a_dinar_are_booked_whole(in_aurora: Cast, ada):
    make.rates("KWD", {0: "0.33"})
    instruction = asked(ada, 5000, "RF1")
    instruction.amount, instruction.currency = D("100.125"), "KWD"
    instruction.save()
    match_cash(
        entry=arrived(D("100.125"), "RF1", currency="KWD"), instruction=instruction, by=in_aurora.operations
    )
    assert booked_for(instruction) == D("100.125")
    assert ClientInstruction.objects.get().state == "done"


def test_a_wrong_match_is_put_right_by_reversing_it(in_aurora: Cast, ada, bob, aurora, browse):
    wrong, right = asked(ada, 4321, "RF1"), asked(bob, 4321, "RF2")
    entry = match_cash(entry=arrived(4321, "RF2", "Sample Bob"), instruction=wrong, by=in_aurora.operations)
    page = browse(aurora, in_aurora.operations)

    shown = page.post(
        reverse("portfolios:transaction_reverse", args=[entry.transaction.pk]), {"text": "Wrong client"}, follow=True
    ).content.decode()  # fmt: skip

    assert "The arrived cash is unmatched again" in shown
    entry = BankEntry.objects.get()
    assert (entry.state, entry.portfolio, entry.instruction, entry.transaction) == (
        "unmatched",
        None,
        None,
        None,
    )
    why = "Matched to P-1 by Operations, reversed by Operations: Wrong client"
    assert entry.note == why
    assert why in page.get(reverse("portfolios:bank_entry_detail", args=[entry.pk])).content.decode()
    assert AuditEntry.objects.filter(action="cash.unmatched", record_id=entry.pk, actor=in_aurora.operations)
    wrong = ClientInstruction.objects.get(pk=wrong.pk)
    last = wrong.outcomes.last()
    assert (wrong.state, last.outcome, last.amount, last.by_name) == (
        "received",
        "reopened",
        None,
        "Operations",
    )
    assert last.note.endswith("was reversed. Wrong client")
    assert set(expected(in_aurora.operations, "deposit")) == {wrong, right}
    assert ClientInstruction.objects.open().filter(pk=wrong.pk).exists()

    match_cash(entry=entry, instruction=right, by=in_aurora.operations)
    match_cash(entry=arrived(4321, "RF1", "Example Ada"), instruction=wrong, by=in_aurora.operations)
    for each in (wrong, right):
        assert ClientInstruction.objects.get(pk=each.pk).state == "done"
        assert booked_for(each) == 4321
    assert not expected(in_aurora.operations, "deposit")
    assert not ClientInstruction.objects.open().exists()

    loose = match_cash(entry=arrived(5), portfolio=ada, by=in_aurora.operations)
    undo = reverse("portfolios:transaction_reverse", args=[loose.transaction.pk])
    shown = page.post(undo, {"text": "Not theirs"}, follow=True).content.decode()
    assert "The arrived cash is unmatched again." in shown


def test_of_a_deposit_in_parts_the_part_that_is_not_reversed_counts(in_aurora: Cast, ada):
    instruction = asked(ada, 5000)
    first, second = arrived(2000), arrived(3000)
    match_cash(
        entry=first, instruction=instruction, accepts_difference=True, more_to_come=True, by=in_aurora.operations
    )  # fmt: skip
    matched = match_cash(entry=second, instruction=instruction, by=in_aurora.operations)

    reverse_entry(entry=matched.transaction, by=in_aurora.operations, text="Not theirs")

    instruction = ClientInstruction.objects.get(pk=instruction.pk)
    assert (instruction.state, instruction.outcomes.last().amount) == ("in_progress", 2000)
    assert ClientInstruction.objects.in_state("in_progress").get() == instruction
    match_cash(entry=BankEntry.objects.get(pk=second.pk), instruction=instruction, by=in_aurora.operations)
    assert ClientInstruction.objects.get(pk=instruction.pk).state == "done"


def test_a_payment_that_came_back_can_be_paid_again(in_aurora: Cast, ada):
    instruction = payable(ada, in_aurora, 1000)
    book(entries=[make.deposit(ada, 1000)], by=in_aurora.operations)
    paid = pay_withdrawal(instruction=instruction, by=in_aurora.operations)
    reverse_entry(entry=paid, by=in_aurora.operations, text="The bank returned it")

    assert list(expected(in_aurora.operations, "withdrawal")) == [instruction]
    pay_withdrawal(instruction=instruction, by=in_aurora.operations)
    assert Holding.objects.get(portfolio=ada, security=None).quantity == 0
