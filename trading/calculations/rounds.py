"""Plan one round of trades from a state of quantities and cash."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from models_portfolio.calculations.weights import CASH, ONE, ZERO, Key
from trading.calculations.proposal import (
    Instrument,
    Mode,
    ReasonCode,
    RebalanceInputs,
    Restriction,
    Side,
)


@dataclass(slots=True)
class Book:
    """Hold the state that a round of trades starts from."""

    quantities: dict[Key, Decimal]
    cash: Decimal


@dataclass(slots=True)
class Round:
    """Hold the signed quantities of one round, what was aimed at, and why lines did not trade."""

    trades: dict[Key, Decimal] = field(default_factory=dict)
    targets: dict[Key, Decimal] = field(default_factory=dict)
    notes: dict[Key, ReasonCode] = field(default_factory=dict)


class Planner:
    """Plan rounds of trades for one set of inputs; each round starts from the state it is given."""

    def __init__(self, inputs: RebalanceInputs) -> None:
        self.inputs = inputs
        self.policy = inputs.policy
        self.targets = {k: w for k, w in inputs.targets.items() if k != CASH}
        self.open: dict[Key, Decimal] = {}
        for order in inputs.open_orders:
            signed = order.quantity if order.side is Side.BUY else -order.quantity
            self.open[order.security] = self.open.get(order.security, ZERO) + signed
        self.keys: list[Key] = list(dict.fromkeys([*self.targets, *inputs.holdings, *self.open]))
        self._check()
        self.units = {key: inputs.instruments[key].unit_value for key in self.keys}
        self.effective = {key: inputs.holdings.get(key, ZERO) + self.open.get(key, ZERO) for key in self.keys}

    def _check(self) -> None:
        weights = self.inputs.targets.values()
        if weights and (sum(weights, ZERO) != ONE or min(weights) < 0):
            raise ValueError("The targets must be zero or more and sum to 1.")
        if any(quantity < 0 for quantity in self.inputs.holdings.values()):
            raise ValueError("A holding is below zero.")
        unknown = [key for key in self.keys if key not in self.inputs.instruments]
        if unknown:
            raise ValueError(f"Instruments are missing: {unknown}.")

    def after(self, trades: dict[Key, Decimal]) -> Book:
        """Return quantities and cash with open orders and `trades` done at today's prices."""
        cash = self.inputs.cash
        for moves in (self.open, trades):
            for key, quantity in moves.items():
                unit = self.units[key]
                if unit is not None:
                    amount = abs(quantity) * unit
                    cash -= quantity * unit + self.policy.fee(amount)
        return Book(quantities={k: self.effective[k] + trades.get(k, ZERO) for k in self.keys}, cash=cash)

    def round(self, book: Book) -> Round:
        """Plan the trades of one round by the mode."""
        mode = self.inputs.mode
        if mode is Mode.LIQUIDATE:
            return self._liquidate(book)
        values = self.values(book)
        total = sum(values.values(), ZERO) + book.cash
        if mode is Mode.RAISE_CASH:
            need = self.inputs.cash_wanted + self.policy.reserve - book.cash
            return self._raise_cash(book, values, total, need)
        if not self.inputs.targets:
            return Round(notes=dict.fromkeys(self.keys, ReasonCode.NO_MODEL))
        if total <= self.policy.reserve:
            need = self.policy.reserve - book.cash
            plan = self._raise_cash(book, values, total, need)
            return plan if plan.trades else Round(notes=dict.fromkeys(self.keys, ReasonCode.NO_VALUE))
        return self._to_target(book, values, total)

    def values(self, book: Book) -> dict[Key, Decimal]:
        """Return the value by line, 0 where the price is missing."""
        return {key: book.quantities[key] * (self.units[key] or ZERO) for key in self.keys}

    def _to_target(self, book: Book, values: dict[Key, Decimal], total: Decimal) -> Round:
        kept = self.policy.kept(total, self.inputs.targets.get(CASH, ZERO))
        plan = Round()
        plan.targets = self._aim(values, total - kept, plan.notes)
        minimum = self._minimum_trade(total)
        cash = book.cash
        if self.inputs.mode is Mode.INVEST_CASH:
            for key in self.keys:
                if values[key] > plan.targets[key]:
                    plan.notes.setdefault(key, ReasonCode.BUYS_ONLY)
        else:
            for key in self._by_distance(values, plan.targets, sells=True):
                cash += self._sell_excess(key, book, values, plan, minimum)
            need = self.policy.reserve - cash
            if need > 0:
                cash += self._sell_for_cash(need, book, values, plan, minimum)
        self._buy(cash - kept, values, plan, minimum)
        for key in self.keys:
            if key not in plan.trades:
                plan.notes.setdefault(key, self.resting(key))
        return plan

    def resting(self, key: Key) -> ReasonCode:
        """Return why a line does not trade that is where it is meant to be."""
        is_left_out = self.has(key, Restriction.EXCLUDED) and self.targets.get(key)
        return ReasonCode.EXCLUDED if is_left_out else ReasonCode.AT_TARGET

    def _aim(
        self, values: dict[Key, Decimal], invested: Decimal, notes: dict[Key, ReasonCode]
    ) -> dict[Key, Decimal]:
        """Return the value to reach by line, restrictions observed and the rest renormalised.

        What may not be bought or sold stays where it is, and the free lines share what is left
        by their weights. Lines that stay are noted with the reason.
        """
        may_sell = self.inputs.mode is Mode.TO_TARGET
        weights = {
            key: ZERO if self.has(key, Restriction.EXCLUDED) else self.targets.get(key, ZERO)
            for key in self.keys
        }
        fixed: dict[Key, ReasonCode] = {}
        while True:
            free = [key for key in self.keys if key not in fixed]
            weight_sum = sum((weights[key] for key in free), ZERO)
            left = max(invested - sum((values[key] for key in fixed), ZERO), ZERO)
            aims = {key: values[key] for key in fixed}
            for key in free:
                aims[key] = left * weights[key] / weight_sum if weight_sum else ZERO
            stuck = {
                key: reason
                for key in free
                if (reason := self._stuck(key, values[key], aims[key], may_sell)) is not None
            }
            if not stuck:
                break
            fixed |= stuck
        notes |= fixed
        # What waits for its order or its price keeps its own target: it will trade later.
        for key in free:
            if self.open.get(key):
                notes[key] = ReasonCode.OPEN_ORDER
            elif self.units[key] is None:
                notes[key] = self.missing(key)
        return aims

    def _stuck(self, key: Key, value: Decimal, aim: Decimal, may_sell: bool) -> ReasonCode | None:
        if aim > value and self.has(key, Restriction.DO_NOT_BUY):
            return ReasonCode.DO_NOT_BUY
        if aim < value and may_sell and self.has(key, Restriction.DO_NOT_SELL):
            return ReasonCode.DO_NOT_SELL
        return None

    def _sell_excess(
        self,
        key: Key,
        book: Book,
        values: dict[Key, Decimal],
        plan: Round,
        minimum: Decimal,
    ) -> Decimal:
        """Sell what is above target, floored to lots; return the net proceeds."""
        unit = self.units[key]
        if key in plan.notes or unit is None or not unit:
            return ZERO
        held = book.quantities[key]
        quantity = held
        if plan.targets[key]:
            excess = (values[key] - plan.targets[key]) / unit
            quantity = min(self.inputs.instruments[key].floor(excess), held)
        amount = quantity * unit
        if not quantity:
            plan.notes[key] = ReasonCode.BELOW_LOT
        elif amount < minimum:
            plan.notes[key] = ReasonCode.BELOW_MINIMUM
        elif self.policy.fee(amount) >= amount:
            plan.notes[key] = ReasonCode.COSTS_EXCEED_TRADE
        else:
            plan.trades[key] = -quantity
            return amount - self.policy.fee(amount)
        return ZERO

    def _sell_for_cash(
        self,
        need: Decimal,
        book: Book,
        values: dict[Key, Decimal],
        plan: Round,
        minimum: Decimal,
    ) -> Decimal:
        """Sell further, the most overweight first, until `need` is covered; return the proceeds.

        First down to the targets, then below them; lots are rounded up.
        """
        raised = ZERO
        blocked = (ReasonCode.DO_NOT_SELL, ReasonCode.OPEN_ORDER)
        candidates = [
            key
            for key in self._by_distance(values, plan.targets, sells=None)
            if plan.notes.get(key) not in blocked
            and not self.has(key, Restriction.DO_NOT_SELL)
            and self.units[key]
        ]
        for stops_at_target in (True, False):
            for key in candidates:
                if raised >= need:
                    return raised
                unit, instrument = self.units[key] or ZERO, self.inputs.instruments[key]
                sold = -plan.trades.get(key, ZERO)
                left = book.quantities[key] - sold
                limit = left
                if stops_at_target:
                    excess = (values[key] - plan.targets[key]) / unit - sold
                    limit = min(left, instrument.ceil(max(excess, ZERO)))
                before = sold * unit - self.policy.fee(sold * unit)
                wanted = self._quantity_for(max(need - raised, minimum - sold * unit), unit)
                quantity = min(instrument.ceil(wanted), limit)
                amount = (sold + quantity) * unit
                gained = amount - self.policy.fee(amount) - before
                if quantity > 0 and gained > 0:
                    plan.trades[key] = -(sold + quantity)
                    plan.notes.pop(key, None)
                    raised += gained
        return raised

    def _quantity_for(self, proceeds: Decimal, unit: Decimal) -> Decimal:
        """Return the quantity whose net proceeds are at least `proceeds`."""
        by_rate = proceeds / (unit * (ONE - self.policy.fee_rate))
        return max(by_rate, (proceeds + self.policy.fee_minimum) / unit)

    def _raise_cash(self, book: Book, values: dict[Key, Decimal], total: Decimal, need: Decimal) -> Round:
        plan = Round(targets=dict(values))
        if need <= 0:
            plan.notes = dict.fromkeys(self.keys, ReasonCode.CASH_SUFFICES)
            return plan
        goal = max(total - self.policy.reserve - self.inputs.cash_wanted, ZERO)
        share = ONE - self.inputs.targets.get(CASH, ZERO)
        for key in self.keys:
            weight = self.targets.get(key, ZERO)
            plan.targets[key] = goal * weight / share if share else ZERO
            if self.open.get(key):
                plan.notes[key] = ReasonCode.OPEN_ORDER
            elif self.units[key] is None:
                plan.notes[key] = self.missing(key)
            elif self.has(key, Restriction.DO_NOT_SELL):
                plan.notes[key] = ReasonCode.DO_NOT_SELL
        self._sell_for_cash(need, book, values, plan, self._minimum_trade(total))
        for key in self.keys:
            if key not in plan.trades:
                plan.notes.setdefault(key, ReasonCode.SELLS_ONLY)
        return plan

    def _liquidate(self, book: Book) -> Round:
        plan = Round(targets=dict.fromkeys(self.keys, ZERO))
        for key in self.keys:
            if self.open.get(key):
                plan.notes[key] = ReasonCode.OPEN_ORDER
            elif not book.quantities[key]:
                plan.notes[key] = ReasonCode.AT_TARGET
            elif self.has(key, Restriction.DO_NOT_SELL):
                plan.notes[key] = ReasonCode.DO_NOT_SELL
            elif (unit := self.units[key]) is None:
                plan.notes[key] = self.missing(key)
            elif self.policy.fee(book.quantities[key] * unit) >= book.quantities[key] * unit:
                plan.notes[key] = ReasonCode.COSTS_EXCEED_TRADE
            else:
                plan.trades[key] = -book.quantities[key]
        return plan

    def _buy(self, spendable: Decimal, values: dict[Key, Decimal], plan: Round, minimum: Decimal) -> None:
        """Buy what is below target within `spendable`, the largest shortfall first."""
        for key in self._by_distance(values, plan.targets, sells=False):
            unit = self.units[key]
            if key in plan.notes or key in plan.trades or not unit:
                continue
            instrument = self.inputs.instruments[key]
            wanted = instrument.floor((plan.targets[key] - values[key]) / unit)
            quantity = min(wanted, self._affordable(spendable, unit, instrument))
            amount = quantity * unit
            if not wanted:
                plan.notes[key] = ReasonCode.BELOW_LOT
            elif not quantity or (amount < minimum <= wanted * unit):
                plan.notes[key] = ReasonCode.NO_CASH
            elif amount < minimum:
                plan.notes[key] = ReasonCode.BELOW_MINIMUM
            elif self.policy.fee(amount) >= amount:
                plan.notes[key] = ReasonCode.COSTS_EXCEED_TRADE
            else:
                plan.trades[key] = quantity
                spendable -= amount + self.policy.fee(amount)
                if quantity < wanted:
                    plan.notes[key] = ReasonCode.NO_CASH
        self._spend_leftover(spendable, values, plan, minimum)

    def _spend_leftover(
        self, spendable: Decimal, values: dict[Key, Decimal], plan: Round, minimum: Decimal
    ) -> None:
        """Buy one more lot, the most underweight first, where that comes closer to the target."""
        reached = {
            key: values[key] + plan.trades.get(key, ZERO) * (self.units[key] or ZERO) for key in self.keys
        }
        for key in self._by_distance(reached, plan.targets, sells=False):
            unit, step = self.units[key], self.inputs.instruments[key].step
            stopped_by = plan.notes.get(key, ReasonCode.BELOW_LOT)
            if not unit or stopped_by is not ReasonCode.BELOW_LOT or plan.trades.get(key, ONE) < 0:
                continue
            if 2 * (plan.targets[key] - reached[key]) <= step * unit:
                continue
            before = plan.trades.get(key, ZERO)
            old, new = before * unit, (before + step) * unit
            cost = new + self.policy.fee(new) - old - self.policy.fee(old)
            if cost <= spendable and new >= minimum and self.policy.fee(new) < new:
                plan.trades[key] = before + step
                plan.notes.pop(key, None)
                spendable -= cost

    def _affordable(self, cash: Decimal, unit: Decimal, instrument: Instrument) -> Decimal:
        """Return the largest quantity that `cash` pays for with its costs."""
        by_rate = cash / (unit * (ONE + self.policy.fee_rate))
        quantity = instrument.floor(min(by_rate, (cash - self.policy.fee_minimum) / unit))
        # A division may have rounded up to the next lot.
        while quantity > 0 and quantity * unit + self.policy.fee(quantity * unit) > cash:
            quantity -= instrument.step
        return max(quantity, ZERO)

    def _minimum_trade(self, total: Decimal) -> Decimal:
        return max(self.policy.minimum_trade_amount, self.policy.minimum_trade_weight * max(total, ZERO))

    def _by_distance(
        self, values: dict[Key, Decimal], targets: dict[Key, Decimal], *, sells: bool | None
    ) -> list[Key]:
        """Return the lines above target (or below, or all), the farthest first, then by name."""
        distances = {key: values[key] - targets[key] for key in self.keys}
        if sells is False:
            distances = {key: -distance for key, distance in distances.items()}
        chosen = [key for key in self.keys if sells is None or distances[key] > 0]
        return sorted(chosen, key=lambda key: (-distances[key], str(key)))

    def has(self, key: Key, restriction: Restriction) -> bool:
        """Return whether a restriction is on the line."""
        return restriction in self.inputs.instruments[key].restrictions

    def missing(self, key: Key) -> ReasonCode:
        """Return what the line cannot be valued for."""
        if self.inputs.instruments[key].price is None:
            return ReasonCode.MISSING_PRICE
        return ReasonCode.MISSING_RATE
