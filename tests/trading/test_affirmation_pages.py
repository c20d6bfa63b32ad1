"""The pages of affirmations, at the party that settles and at the one that trades."""

import uuid
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from clients.models import Client, Mandate
from federation.models import Institution
from portfolios.models import Portfolio, Transaction
from portfolios.services import book
from tests.factories import Cast
from tests.models_portfolio import make as models
from tests.models_portfolio.make import as_mirror
from tests.portfolios import make as portfolios
from tests.trading import make
from trading.models import Affirmation, Allocation, Order, Settlement

D = Decimal


def settles_here(function: str, agreement: uuid.UUID) -> bool:
    """Answer as at a channel that settles what its manager trades."""
    return function in {"relationship", "settlement"}


@pytest.fixture
def allocations(in_harbour: Cast, aurora: Institution, settings) -> list[Allocation]:
    """Two purchases of Aurora's that wait at Harbour, in a funded portfolio."""
    settings.DUTIES_RESOLVER = f"{__name__}.settles_here"
    mandate = Mandate.objects.create(number="M-1", client=make.client(), agreement=uuid.uuid4())
    with as_mirror():
        portfolio = Portfolio.objects.create(
            number="P-9", mandate=mandate, currency="EUR", origin=aurora.pk, opened_on=portfolios.today()
        )
    today = portfolios.today()
    book(
        entries=[portfolios.deposit(portfolio, 10_000, trade_date=today, settlement_date=today)],
        by=in_harbour.operations,
    )
    made = []
    for name in ("Apple", "Nestlé"):
        security = models.security(name, 100)
        with as_mirror():
            order = Order.objects.create(
                portfolio=portfolio, security=security, number=f"O-{name}", side="buy", quantity=10,
                filled_quantity=10, currency="EUR", reason="manual", state="filled", origin=aurora.pk,
            )  # fmt: skip
            made.append(
                Allocation.objects.create(
                    order=order,
                    portfolio=portfolio,
                    quantity=10,
                    price=100,
                    currency="EUR",
                    gross_amount=1000,
                    net_amount=-1000,
                    trade_date=today,
                    settlement_date=today,
                    origin=aurora.pk,
                )
            )
    return made


def url(name: str, *args: object) -> str:
    return reverse(f"trading:{name}", args=args)


def test_operations_affirm_several_at_once(allocations, in_harbour, harbour, browse):
    client = browse(harbour, in_harbour.operations)
    page = client.get(url("affirmation_list")).content.decode()
    assert "2 allocations to affirm" in page
    assert page.count('name="choose"') == 2
    assert "To affirm" in client.get(url("desk")).content.decode()
    answer = client.post(
        url("affirm_chosen"), {"choose": [str(each.pk) for each in allocations] + ["x"]}, follow=True
    )
    assert "2 allocations are affirmed and booked." in answer.content.decode()
    assert Transaction.objects.filter(type="buy").count() == Settlement.objects.count() == 2
    assert (
        "Nothing chosen waits"
        in client.post(
            url("affirm_chosen"), {"choose": [str(allocations[0].pk)]}, follow=True
        ).content.decode()
    )


def test_a_rejection_needs_its_reason(allocations, in_harbour, harbour, browse):
    client = browse(harbour, in_harbour.operations)
    where = url("allocation_answer", allocations[0].pk)
    answer = client.post(where, {"answer": "reject", "reason": ""})
    assert answer.status_code == 409
    assert "Say why you reject it" in answer.content.decode()
    client.post(where, {"answer": "reject", "reason": "Not ours"})
    assert Affirmation.objects.get().reason == "Not ours"
    shown = client.get(url("affirmation_list") + "?state=rejected").content.decode()
    assert "Not ours" in shown
    assert "O-Nestl" not in shown
    assert not Transaction.objects.filter(type="buy").exists()


def test_others_read_and_answer_nothing(allocations, in_harbour, harbour, browse):
    compliance = browse(harbour, in_harbour.compliance)
    page = compliance.get(url("affirmation_list")).content.decode()
    assert "O-Apple" in page
    assert 'name="choose"' not in page
    assert (
        "Affirm and book" not in compliance.get(url("allocation_detail", allocations[0].pk)).content.decode()
    )
    for person in (in_harbour.compliance, in_harbour.advisor, in_harbour.stranger):
        client = browse(harbour, person)
        assert client.post(url("affirm_chosen"), {"choose": str(allocations[0].pk)}).status_code == 404
        assert client.post(url("allocation_answer", allocations[0].pk)).status_code == 404
    assert browse(harbour, in_harbour.advisor).get(url("affirmation_list")).status_code == 404


def test_without_a_divided_agreement_the_list_says_why_it_is_empty(in_harbour, harbour, browse):
    page = browse(harbour, in_harbour.operations).get(url("affirmation_list")).content.decode()
    assert "Nothing to affirm" in page


def trades_here(function: str, agreement: uuid.UUID) -> bool:
    """Answer as at a manager whose channel settles."""
    return function in {"models", "management", "trading"}


def test_an_order_leads_to_its_affirmation_only_who_may_read_that(
    allocations, in_harbour, harbour, browse, settings
):
    order, where = url("order_detail", allocations[0].order_id), url("allocation_detail", allocations[0].pk)
    operations = browse(harbour, in_harbour.operations)
    shown = operations.get(order).content.decode()
    assert "not affirmed yet" in shown
    assert where in shown
    compliance = browse(harbour, in_harbour.compliance)
    assert where in compliance.get(order).content.decode()
    Client.objects.update(unit=in_harbour.unit)
    shown = browse(harbour, in_harbour.advisor).get(order).content.decode()
    assert "not affirmed yet" in shown
    assert where not in shown
    # What the partner settles itself is affirmed by nobody.
    settings.DUTIES_RESOLVER = f"{__name__}.only_sells"
    shown = compliance.get(order).content.decode()
    assert "O-Apple" in shown
    assert "affirm" not in shown.partition("<main")[2].lower()
    assert where not in shown


def only_sells(function: str, agreement: uuid.UUID) -> bool:
    """Answer as at a channel whose manager does everything else."""
    return function == "relationship"


def test_a_client_who_is_kept_sealed_is_neither_named_nor_found(allocations, in_harbour, harbour, browse):
    client = browse(harbour, in_harbour.operations)
    person = allocations[0].portfolio.mandate.client
    pages = [
        url("affirmation_list"),
        url("affirmation_list") + "?_export=csv",
        url("allocation_detail", allocations[0].pk),
    ]
    search = url("affirmation_list") + f"?q={person.name}"
    for page in pages:
        assert person.name in client.get(page).content.decode()
    assert "O-Apple" in client.get(search).content.decode()
    person.retired_at = timezone.now()
    person.save()
    for page in pages:
        assert person.name not in client.get(page).content.decode()
    assert "O-Apple" not in client.get(search).content.decode()


def test_who_trades_reads_the_reason_and_puts_it_right(in_aurora, aurora, harbour, browse, settings):
    settings.DUTIES_RESOLVER = f"{__name__}.trades_here"
    client_row = make.client()
    with as_mirror():
        mandate = Mandate.objects.create(
            number="M-1", client=client_row, agreement=uuid.uuid4(), origin=harbour.pk
        )
    portfolio = portfolios.portfolio(in_aurora.unit, "P-9", mandate=mandate)
    today = portfolios.today()
    order = Order.objects.create(
        portfolio=portfolio, security=models.security("Apple", 100), number="O-1", side="buy", quantity=10,
        filled_quantity=10, average_price=100, currency="EUR", reason="manual", state="filled",
    )  # fmt: skip
    allocation = Allocation.objects.create(
        order=order, portfolio=portfolio, quantity=10, price=100, currency="EUR", gross_amount=1000, fees=5,
        net_amount=-1005, trade_date=today, settlement_date=today,
    )  # fmt: skip
    client = browse(aurora, in_aurora.operations)
    assert "has not answered yet" in client.get(url("allocation_detail", allocation.pk)).content.decode()
    early = client.post(url("allocation_withdraw", allocation.pk), {"note": "x"})
    assert "Only a rejected allocation" in early.content.decode()
    with as_mirror():
        Affirmation.objects.create(
            allocation=allocation,
            portfolio=portfolio,
            state="rejected",
            reason="Fees are wrong",
            at=timezone.now(),
            origin=harbour.pk,
        )
    assert "Fees are wrong" in client.get(url("desk")).content.decode()
    assert "Fees are wrong" in client.get(url("order_detail", order.pk)).content.decode()
    terms = {"price": "101", "fees": "0", "settlement_date": today.isoformat()}
    assert client.post(url("allocation_correct", allocation.pk), {**terms, "price": "0"}).status_code == 409
    huge = client.post(
        url("allocation_correct", allocation.pk), {**terms, "price": "99999999999999.9999999999"}
    )
    assert huge.status_code == 409
    assert "larger than can be kept" in huge.content.decode()
    client.post(url("allocation_correct", allocation.pk), terms)
    anew = Allocation.objects.get(replaces=allocation)
    assert (anew.net_amount, anew.fees) == (D(-1010), D(0))
    order.refresh_from_db()
    assert (order.filled_quantity, order.average_price) == (D(10), D(101))
