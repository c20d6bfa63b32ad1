"""Views tilt the baseline as stated, or say that and why they do not."""

from datetime import date
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_portfolio.calculations.views import (
    BaselineLine,
    NotAppliedReason,
    Tilt,
    TiltedWeights,
    apply_views,
)

TODAY = date(2026, 3, 18)


def line(key: str, weight: str, **values: Any) -> BaselineLine:
    return BaselineLine(key=key, weight=D(weight), **values)


def view(component: str | None, tilt: str, **values: Any) -> Tilt:
    values.setdefault("valid_from", date(2026, 1, 1))
    values.setdefault("id", f"{component or values.get('asset_class')}{tilt}")
    return Tilt(component=component, tilt=D(tilt), **values)


BASELINE = [
    line("EQ", "0.50"),
    line("FI", "0.40"),
    line("ALT", "0.05"),
    line("cash", "0.05", is_locked=True),
]


def apply(views: list[Tilt], baseline: list[BaselineLine] = BASELINE) -> TiltedWeights:
    return apply_views(baseline, views, as_of=TODAY, baseline_id="v1")


def test_the_worked_example() -> None:
    result = apply([view("EQ", "0.05"), view("FI", "-0.03")])
    assert result.is_feasible
    assert result.weights == {"EQ": D("0.55"), "FI": D("0.37"), "ALT": D("0.03"), "cash": D("0.05")}


def test_stated_and_applied_tilts_stand_side_by_side() -> None:
    lines = {item.key: item for item in apply([view("EQ", "0.05")]).lines}
    assert (lines["EQ"].stated, lines["EQ"].applied) == (D("0.05"), D("0.05"))
    assert lines["FI"].stated == 0
    assert lines["FI"].applied + lines["ALT"].applied == D("-0.05")
    assert round(lines["FI"].applied, 8) == round(8 * lines["ALT"].applied, 8)


def test_without_views_the_baseline_stands() -> None:
    assert apply([]).weights == {item.key: item.weight for item in BASELINE}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"valid_to": TODAY}, NotAppliedReason.EXPIRED),
        ({"valid_from": date(2026, 3, 19)}, NotAppliedReason.NOT_YET_VALID),
        ({"baseline": "v0"}, NotAppliedReason.OTHER_BASELINE),
    ],
)
def test_a_view_counts_only_in_its_time_and_for_its_baseline(
    values: dict[str, Any], reason: NotAppliedReason
) -> None:
    result = apply([view("EQ", "0.05", **values)])
    assert result.weights == {item.key: item.weight for item in BASELINE}
    assert [item.reason for item in result.not_applied] == [reason]


def test_a_view_counts_on_its_first_day_and_for_its_own_baseline() -> None:
    result = apply([view("EQ", "0.05", valid_from=TODAY, baseline="v1")])
    assert result.weights["EQ"] == D("0.55")


def test_what_is_absent_or_locked_is_not_applied() -> None:
    result = apply([view("GOLD", "0.05"), view("cash", "0.05"), view(None, "0.1", asset_class="x")])
    assert [item.reason for item in result.not_applied] == [
        NotAppliedReason.NOT_IN_BASELINE,
        NotAppliedReason.LOCKED,
        NotAppliedReason.NOT_IN_BASELINE,
    ]


def test_a_view_on_a_class_is_divided_by_baseline_weight() -> None:
    baseline = [
        line("A", "0.4", asset_class="equity"),
        line("B", "0.2", asset_class="equity"),
        line("C", "0.4", asset_class="fixed_income"),
    ]
    result = apply([view(None, "0.06", asset_class="equity")], baseline)
    assert result.weights == {"A": D("0.44"), "B": D("0.22"), "C": D("0.34")}


def test_a_bound_clips_a_viewed_line_and_says_so() -> None:
    baseline = [line("A", "0.5", upper=D("0.52")), line("B", "0.5")]
    result = apply([view("A", "0.05")], baseline)
    clipped = result.lines[0]
    assert result.is_feasible
    assert (clipped.stated, clipped.applied, clipped.is_clipped) == (D("0.05"), D("0.02"), True)
    assert result.weights == {"A": D("0.52"), "B": D("0.48")}


def test_what_a_bound_cuts_off_is_spread_over_the_others() -> None:
    baseline = [
        line("A", "0.4"),
        line("B", "0.3", lower=D("0.29")),
        line("C", "0.3"),
    ]
    result = apply([view("A", "0.1")], baseline)
    assert result.weights == {"A": D("0.5"), "B": D("0.29"), "C": D("0.21")}


def test_no_room_is_infeasible_and_nothing_is_scaled() -> None:
    baseline = [line("A", "0.9"), line("B", "0.1", lower=D("0.08"))]
    result = apply([view("A", "0.05")], baseline)
    assert not result.is_feasible
    assert result.weights == {"A": D("0.9"), "B": D("0.1")}
    assert result.shortfall == D("-0.03")
    assert result.no_room == ("B",)
    assert [item.reason for item in result.not_applied] == [NotAppliedReason.INFEASIBLE]


def test_views_that_cancel_out_need_no_neutral_line() -> None:
    baseline = [line("A", "0.5"), line("B", "0.5")]
    result = apply([view("A", "0.1"), view("B", "-0.1")], baseline)
    assert result.weights == {"A": D("0.6"), "B": D("0.4")}
    assert not apply([view("A", "0.1"), view("B", "0.1")], baseline).is_feasible


def test_a_view_is_on_one_thing() -> None:
    with pytest.raises(ValueError, match="one of the two"):
        Tilt(id=1, tilt=D("0.1"), valid_from=TODAY, component="A", asset_class="equity")


lines = st.lists(
    st.tuples(
        st.integers(0, 1000),
        st.booleans(),
        st.integers(0, 100),
        st.integers(0, 100),
        st.one_of(st.none(), st.integers(-30, 30)),
    ),
    min_size=1,
    max_size=8,
)


@given(lines)
def test_weights_stay_within_bounds_and_sum_to_one(
    drawn: list[tuple[int, bool, int, int, int | None]],
) -> None:
    total = sum(item[0] for item in drawn) or 1
    weights = [D(item[0] * 10**6 // total).scaleb(-6) for item in drawn]
    weights[0] += 1 - sum(weights)
    baseline, views = [], []
    for i, (weight, (_, locked, below, above, tilt)) in enumerate(zip(weights, drawn, strict=True)):
        baseline.append(
            line(
                str(i),
                str(weight),
                is_locked=locked,
                lower=max(weight - D(below) / 100, D(0)),
                upper=min(weight + D(above) / 100, D(1)),
            )
        )
        if tilt is not None:
            views.append(view(str(i), str(D(tilt) / 100)))
    result = apply(views, baseline)
    assert sum(result.weights.values()) == 1
    for bounds, tilted in zip(baseline, result.lines, strict=True):
        assert bounds.lower <= tilted.weight <= bounds.upper
        if bounds.is_locked or not result.is_feasible:
            assert tilted.weight == bounds.weight
        elif tilted.is_viewed and not tilted.is_clipped:
            assert tilted.applied == tilted.stated
    assert result.is_feasible or result.shortfall != 0
