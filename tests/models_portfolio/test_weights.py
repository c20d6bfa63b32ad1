"""Weights sum to one, sub-models are looked through, versions can be compared."""

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_portfolio.calculations.drift import measure_drift
from models_portfolio.calculations.weights import (
    CASH,
    ModelCycleError,
    ModelDepthError,
    ModelTarget,
    ModelUnknownError,
    TargetKind,
    WeightProblem,
    diff_versions,
    flatten,
    weight_findings,
)


def share(key: str, weight: str) -> ModelTarget:
    return ModelTarget(kind=TargetKind.SECURITY, key=key, weight=D(weight))


def sub(key: str, weight: str) -> ModelTarget:
    return ModelTarget(kind=TargetKind.MODEL, key=key, weight=D(weight))


def cash(weight: str) -> ModelTarget:
    return ModelTarget(kind=TargetKind.CASH, weight=D(weight))


def test_weights_that_sum_to_one_have_no_findings() -> None:
    assert weight_findings([share("A", "0.95"), cash("0.05")]) == ()


@pytest.mark.parametrize(
    ("targets", "problem"),
    [
        ([], WeightProblem.NO_TARGETS),
        ([share("A", "0.9999999999")], WeightProblem.SUM_NOT_ONE),
        ([share("A", "1.1"), share("B", "-0.1")], WeightProblem.NEGATIVE),
        ([share("A", "0.5"), share("A", "0.5")], WeightProblem.DUPLICATE),
        ([cash("0.5"), cash("0.5")], WeightProblem.DUPLICATE),
    ],
)
def test_wrong_weights_are_named(targets: list[ModelTarget], problem: WeightProblem) -> None:
    assert [finding.problem for finding in weight_findings(targets)] == [problem]


def test_a_wrong_sum_is_shown() -> None:
    assert weight_findings([share("A", "0.7")])[0].total == D("0.7")


def test_a_security_in_two_sub_models_is_netted() -> None:
    models = {
        "balanced": [sub("equities", "0.6"), sub("income", "0.35"), cash("0.05")],
        "equities": [share("A", "0.5"), share("B", "0.5")],
        "income": [share("B", "0.2"), share("C", "0.7"), cash("0.1")],
    }
    assert flatten("balanced", models) == {
        "A": D("0.3"),
        "B": D("0.37"),
        "C": D("0.245"),
        CASH: D("0.085"),
    }


def test_a_model_that_contains_itself_is_refused_with_its_path() -> None:
    models = {"a": [sub("b", "1")], "b": [sub("c", "1")], "c": [sub("a", "1")]}
    with pytest.raises(ModelCycleError, match="a → b → c → a") as caught:
        flatten("a", models)
    assert caught.value.path == ("a", "b", "c", "a")


def test_a_sub_model_used_twice_is_no_cycle() -> None:
    models = {
        "a": [sub("b", "0.5"), sub("c", "0.5")],
        "b": [sub("c", "1")],
        "c": [share("X", "1")],
    }
    assert flatten("a", models) == {"X": 1}


def test_nesting_has_a_bound() -> None:
    models = {str(i): [sub(str(i + 1), "1")] for i in range(5)} | {"5": [share("X", "1")]}
    assert flatten("1", models) == {"X": 1}
    with pytest.raises(ModelDepthError):
        flatten("0", models)


def test_a_sub_model_without_a_version_is_refused() -> None:
    with pytest.raises(ModelUnknownError):
        flatten("a", {"a": [sub("b", "1")]})


parts = st.lists(st.integers(1, 10**9), min_size=1, max_size=5)


def exact_weights(numbers: list[int]) -> list[D]:
    weights = [D(n * 10**9 // sum(numbers)).scaleb(-9) for n in numbers]
    weights[0] += 1 - sum(weights)
    return weights


@given(parts, parts, parts)
def test_looking_through_keeps_the_sum_exactly_one(
    top: list[int], middle: list[int], bottom: list[int]
) -> None:
    models = {
        "top": [sub("middle", str(weight)) for weight in exact_weights(top)],
        "middle": [sub("bottom", str(weight)) for weight in exact_weights(middle)],
        "bottom": [share(str(i), str(w)) for i, w in enumerate(exact_weights(bottom))],
    }
    assert sum(flatten("top", models).values()) == 1


def test_two_versions_differ_in_what_is_added_removed_and_changed() -> None:
    old = {"A": D("0.5"), "B": D("0.3"), "C": D("0.2")}
    new = {"A": D("0.5"), "B": D("0.4"), "D": D("0.1")}
    diff = diff_versions(old, new)
    assert [(line.key, line.change) for line in diff.added] == [("D", D("0.1"))]
    assert [(line.key, line.change) for line in diff.removed] == [("C", D("-0.2"))]
    assert [(line.key, line.change) for line in diff.changed] == [("B", D("0.1"))]
    assert [line.key for line in diff.unchanged] == ["A"]
    assert diff.turnover == D("0.2")


def test_drift_is_absolute_and_relative_by_line_and_one_way_in_all() -> None:
    drift = measure_drift({"A": D("0.55"), "B": D("0.35"), "X": D("0.1")}, {"A": D("0.5"), "B": D("0.5")})
    lines = {line.key: line for line in drift.lines}
    assert (lines["A"].absolute, lines["A"].relative) == (D("0.05"), D("0.1"))
    assert (lines["B"].absolute, lines["B"].relative) == (D("-0.15"), D("-0.3"))
    assert drift.portfolio == D("0.15")


def test_a_line_without_target_has_no_relative_drift() -> None:
    line = measure_drift({"X": D("0.1")}, {}).lines[0]
    assert (line.absolute, line.relative) == (D("0.1"), None)
