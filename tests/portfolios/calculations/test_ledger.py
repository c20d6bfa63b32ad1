"""Positions, cost, gains and cash follow from the ledger alone."""

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolios.calculations.entries import (
    Entry,
    EntryType,
    LedgerError,
    LedgerErrorCode,
    external_flows,
    signed_net_amount,
)
from portfolios.calculations.ledger import Positions, derive_positions
from portfolios.calculations.lots import CostMethod
from tests.portfolios.calculations.ledger_entries import buy, day, entry, sell

LATER = day(3650)
WORKED_EXAMPLE = [
    buy(100, 10, 0, fees=10),
    buy(100, 14, 1, fees=10),
    sell(150, 16, 2, fees=15),
]


def positions(entries: list[Entry], **options: object) -> Positions:
    return derive_positions(entries, **{"as_of": LATER, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "gain", "cost"),
    [
        (CostMethod.AVERAGE, D(570), D(605)),
        (CostMethod.FIFO, D(670), D(705)),
        (CostMethod.LIFO, D(470), D(505)),
        (CostMethod.HIFO, D(470), D(505)),
    ],
)
def test_a_sale_gains_and_leaves_cost_by_the_method(method: CostMethod, gain: D, cost: D) -> None:
    result = positions(WORKED_EXAMPLE, method=method)
    assert result.gains[0].gain == gain
    assert result.holdings["A"].book_cost == cost
    assert result.holdings["A"].quantity == 50


def test_a_gain_can_be_traced_to_its_lots() -> None:
    first, second, sale = WORKED_EXAMPLE
    gain = positions(WORKED_EXAMPLE, method=CostMethod.FIFO).gains[0]
    assert [(lot.entry_id, lot.quantity, lot.book_cost) for lot in gain.lots] == [
        (first.id, D(100), D(1010)),
        (second.id, D(50), D(705)),
    ]
    assert gain.entry_id == sale.id
    assert gain.proceeds == D(2385)


def test_sales_leave_the_average_unchanged() -> None:
    entries = [buy(10, 40), buy(10, 60, 1), sell(5, 55, 2), sell(5, 99, 3)]
    assert positions(entries).holdings["A"].average_cost == 50


def test_a_split_keeps_the_total_cost() -> None:
    entries = [buy(10, 100), entry("split", 1, security="A", ratio=2), sell(5, 60, 2)]
    holding = positions(entries).holdings["A"]
    assert (holding.quantity, holding.average_cost, holding.book_cost) == (15, 50, 750)


def test_a_split_takes_effect_before_the_trades_of_its_day() -> None:
    entries = [buy(10, 100), sell(20, 60, 1), entry("split", 1, security="A", ratio=2)]
    assert positions(entries).gains[0].gain == 200


def test_a_split_without_a_ratio_is_refused() -> None:
    with pytest.raises(LedgerError) as caught:
        positions([buy(10, 100), entry("split", 1, security="A")])
    assert caught.value.code is LedgerErrorCode.RATIO_MISSING


def test_selling_more_than_is_held_is_refused_with_the_quantity_held() -> None:
    with pytest.raises(LedgerError, match="only 10 are held") as caught:
        positions([buy(10, 1), sell(11, 1, 1)])
    assert caught.value.code is LedgerErrorCode.SELLS_MORE_THAN_HELD
    assert caught.value.held == 10


def test_selling_before_the_purchase_is_refused() -> None:
    with pytest.raises(LedgerError):
        positions([sell(5, 1, 0), buy(10, 1, 1)])


@pytest.mark.parametrize("kind", ["buy", "transfer_in", "sell", "transfer_out"])
def test_a_quantity_of_the_wrong_sign_is_refused(kind: str) -> None:
    wrong = entry(kind, 1, security="A", quantity=-1, price=1)
    with pytest.raises(LedgerError) as caught:
        positions([buy(10, 1), wrong])
    assert caught.value.code is LedgerErrorCode.QUANTITY_SIGN


def test_a_security_is_held_in_one_currency() -> None:
    with pytest.raises(LedgerError) as caught:
        positions([buy(1, 1), buy(1, 1, 1, currency="USD")])
    assert caught.value.code is LedgerErrorCode.CURRENCY_DIFFERS


def test_a_reversal_leaves_no_trace_of_its_entry() -> None:
    wrong = buy(7, 99, 1, fees=3)
    reversal = entry("reversal", 5, reverses=wrong.id, net_amount=-wrong.net_amount)
    clean = positions([*WORKED_EXAMPLE[:2], WORKED_EXAMPLE[2]])
    assert positions([*WORKED_EXAMPLE[:2], wrong, WORKED_EXAMPLE[2], reversal]) == clean


def test_a_reversed_reversal_lets_the_entry_stand_again() -> None:
    bought = buy(7, 10)
    first = entry("reversal", 1, reverses=bought.id)
    second = entry("reversal", 2, reverses=first.id)
    assert positions([bought, first, second]).holdings["A"].quantity == 7


def test_a_purchase_that_was_sold_from_cannot_be_reversed() -> None:
    bought = buy(10, 1)
    with pytest.raises(LedgerError) as caught:
        positions([bought, sell(5, 1, 1), entry("reversal", 2, reverses=bought.id)])
    assert caught.value.code is LedgerErrorCode.SELLS_MORE_THAN_HELD


@pytest.mark.parametrize("reverses", ["nothing", "itself"])
def test_a_reversal_of_nothing_known_is_refused(reverses: str) -> None:
    with pytest.raises(LedgerError) as caught:
        positions([entry("reversal", 1, id="itself", reverses=reverses)])
    assert caught.value.code is LedgerErrorCode.REVERSES_UNKNOWN


def test_an_entry_is_reversed_once() -> None:
    bought = buy(10, 1)
    with pytest.raises(LedgerError) as caught:
        positions([bought, *(entry("reversal", 1, reverses=bought.id) for _ in range(2))])
    assert caught.value.code is LedgerErrorCode.REVERSED_TWICE


def test_a_back_dated_purchase_changes_what_was_gained_after_it() -> None:
    entries = [buy(10, 10, 2), sell(5, 20, 3)]
    assert positions(entries).gains[0].gain == 50
    assert positions([*entries, buy(10, 20, 1)]).gains[0].gain == 25


def test_what_comes_after_the_day_does_not_count() -> None:
    result = positions([buy(10, 10, 2), sell(5, 20, 3)], as_of=day(2))
    assert result.holdings["A"].quantity == 10
    assert result.gains == ()


def test_securities_and_cash_settle_later_than_they_are_traded() -> None:
    entries = [entry("deposit", gross_amount=1000), buy(10, 50, 1, settles=3)]
    traded = positions(entries, as_of=day(2))
    assert (traded.holdings["A"].quantity, traded.holdings["A"].settled_quantity) == (10, 0)
    assert (traded.cash["EUR"].traded, traded.cash["EUR"].settled) == (500, 1000)
    settled = positions(entries, as_of=day(3))
    assert settled.holdings["A"].settled_quantity == 10
    assert settled.cash["EUR"].settled == 500


def test_a_purchase_that_settles_after_a_split_delivers_new_units() -> None:
    entries = [
        buy(10, 50, 0),
        buy(10, 50, 1, settles=4),
        entry("split", 2, security="A", ratio=2),
    ]
    between = positions(entries, as_of=day(3)).holdings["A"]
    assert (between.quantity, between.settled_quantity) == (40, 20)


def test_a_security_sold_but_not_delivered_is_still_listed() -> None:
    holding = positions([buy(10, 5), sell(10, 6, 1, settles=3)], as_of=day(2)).holdings["A"]
    assert (holding.quantity, holding.settled_quantity, holding.book_cost) == (0, 10, 0)


def test_a_transfer_in_keeps_its_original_cost_and_date() -> None:
    moved = entry(
        "transfer_in",
        5,
        security="A",
        quantity=10,
        gross_amount=900,
        original_cost=400,
        original_date=day(-700),
    )
    result = positions([buy(10, 80, 1), moved, sell(10, 90, 6)], method=CostMethod.FIFO)
    assert result.gains[0].gain == 500
    assert result.gains[0].lots[0].acquired_on == day(-700)
    assert result.cash["EUR"].traded == -800 + 900


def test_a_transfer_out_gains_nothing_and_takes_its_cost_along() -> None:
    out = entry("transfer_out", 1, security="A", quantity=4, gross_amount=80)
    result = positions([buy(10, 10), out])
    assert result.gains == ()
    assert result.holdings["A"].book_cost == 60


@pytest.mark.parametrize("method", list(CostMethod))
def test_what_is_transferred_back_takes_along_what_it_came_with(method: CostMethod) -> None:
    came = [
        entry("transfer_in", 5, security="A", quantity=quantity, gross_amount=900, original_cost=cost,
              original_date=day(at))
        for quantity, cost, at in ((100, 5010, -9), (50, 3005, -8), (50, 2905, -7))
    ]  # fmt: skip
    back = entry("transfer_out", 5, security="A", quantity=50, original_cost=-3005, original_date=day(-8))
    held = positions([*came, back], method=method).holdings["A"]
    assert (held.quantity, held.book_cost, held.book_cost_portfolio) == (150, 7915, 7915)


def test_what_is_transferred_back_after_most_was_sold_takes_its_share_along() -> None:
    came = entry("transfer_in", 1, security="A", quantity=100, original_cost=5000, original_date=day(-9))
    back = entry("transfer_out", 3, security="A", quantity=5, original_cost=-900, original_date=day(-9))
    held = positions([came, sell(90, 60, 2), back]).holdings["A"]
    assert (held.quantity, held.book_cost) == (5, 250)


def test_a_cash_transfer_moves_cash_alone() -> None:
    result = positions([entry("transfer_in", gross_amount=5, net_amount=5)])
    assert result.holdings == {}
    assert result.cash["EUR"].traded == 5


def test_a_currency_exchange_moves_both_currencies() -> None:
    exchange = entry("currency_exchange", net_amount=-100, counter_currency="USD", counter_amount=108)
    cash = positions([exchange]).cash
    assert (cash["EUR"].traded, cash["USD"].traded) == (-100, 108)


def test_income_and_charges_move_cash() -> None:
    entries = [
        entry("deposit", gross_amount=100),
        entry("dividend", 1, security="A", gross_amount=10, taxes=2),
        entry("interest", 2, gross_amount=1),
        entry("fee", 3, gross_amount=3),
        entry("tax", 4, gross_amount=1),
        entry("withdrawal", 5, gross_amount=20),
    ]
    assert positions(entries).cash["EUR"].traded == 85


def test_a_gain_splits_into_price_and_currency() -> None:
    entries = [
        buy(10, 100, currency="USD", rate_to_portfolio="0.8"),
        sell(10, 110, 1, currency="USD", rate_to_portfolio="0.9"),
    ]
    gain = positions(entries).gains[0]
    assert gain.gain == 100
    assert gain.gain_portfolio == 990 - 800
    assert (gain.price_gain_portfolio, gain.currency_gain_portfolio) == (90, 100)


def test_taxes_of_a_trade_count_like_its_fees() -> None:
    entries = [buy(10, 10, taxes=1), sell(10, 12, 1, taxes=2)]
    assert positions(entries).gains[0].gain == 17
    assert positions(entries, fees_in_cost=False).gains[0].gain == 20


def test_external_flows_are_what_clients_bring_and_take() -> None:
    entries = [
        entry("deposit", gross_amount=1000),
        entry("transfer_in", security="A", quantity=5, gross_amount=500),
        buy(1, 100, 1),
        entry("fee", 1, gross_amount=7),
        entry("withdrawal", 2, gross_amount=50, currency="USD", rate_to_portfolio="0.9"),
        entry("transfer_out", 2, security="A", quantity=1, gross_amount=110),
        entry("dividend", 3, security="A", gross_amount=9),
    ]
    flows = external_flows(entries)
    assert [(flow.date, flow.inflow, flow.outflow, flow.fees) for flow in flows] == [
        (day(0), 1500, 0, 0),
        (day(1), 0, 0, 7),
        (day(2), 0, 155, 0),
    ]


def test_a_reversed_deposit_is_no_flow() -> None:
    deposit = entry("deposit", gross_amount=1000)
    assert external_flows([deposit, entry("reversal", 1, reverses=deposit.id)]) == []


@pytest.mark.parametrize("kind", [EntryType.CURRENCY_EXCHANGE, EntryType.REVERSAL])
def test_a_type_without_direction_gives_no_net_amount(kind: EntryType) -> None:
    with pytest.raises(ValueError, match="direction"):
        signed_net_amount(kind, D(1))


trades = st.lists(
    st.tuples(
        st.sampled_from(["buy", "sell", "split"]),
        st.decimals("0.001", 1000, places=3),
        st.decimals("0.01", 500, places=2),
        st.decimals(0, 20, places=2),
    ),
    max_size=20,
)


@given(trades=trades, method=st.sampled_from(CostMethod))
def test_cost_and_gain_account_for_every_cent_that_moved(
    trades: list[tuple[str, D, D, D]], method: CostMethod
) -> None:
    entries: list[Entry] = []
    held = D(0)
    for at, (kind, quantity, price, fees) in enumerate(trades):
        if kind == "buy":
            entries.append(buy(quantity, price, at, fees=fees))
            held += quantity
        elif kind == "sell" and held > 0:
            quantity = min(quantity, held)
            entries.append(sell(quantity, price, at, fees=fees))
            held -= quantity
        elif kind == "split":
            entries.append(entry("split", at, security="A", ratio=2))
            held *= 2
    result = positions(entries, method=method)
    cash = sum((item.traded for item in result.cash.values()), D(0))
    cost = sum((item.book_cost for item in result.holdings.values()), D(0))
    gains = sum((item.gain for item in result.gains), D(0))
    quantity = sum((item.quantity for item in result.holdings.values()), D(0))
    assert quantity == held
    assert abs(cash + cost - gains) < D("1e-15")
    for holding in result.holdings.values():
        assert sum(lot.quantity for lot in holding.lots) == holding.quantity
        assert all(lot.quantity > 0 for lot in holding.lots)


@given(trades=trades)
def test_all_methods_gain_the_same_once_everything_is_sold(
    trades: list[tuple[str, D, D, D]],
) -> None:
    entries = [buy(quantity, price, at) for at, (_, quantity, price, _) in enumerate(trades)]
    held = sum((-item.quantity if item.quantity < 0 else item.quantity for item in entries), D(0))
    if held:
        entries.append(sell(held / 2, 50, 100))
        entries.append(sell(held - held / 2, 70, 101))
    totals = set()
    for method in CostMethod:
        result = positions(entries, method=method)
        assert not result.holdings
        totals.add(sum((gain.gain for gain in result.gains), D(0)).quantize(D("1e-12")))
    assert len(totals) == 1
