"""Load worked cases: the project's own, and others' where their folder lies beside the project."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
BESIDE = HERE.parents[2] / "shared" / "reference-cases"

Case = dict[str, Any]


def read(path: Path) -> Any:
    """Read JSON with its numbers as Decimal, so that no case is blurred before it is tried."""
    return json.loads(path.read_text(), parse_float=Decimal, parse_int=Decimal)


def cases(kind: str) -> list[Any]:
    """Return the cases of a kind as parameters; those marked optional or exclude are left out."""
    found: list[Case] = list(read(HERE / "worked.json")[kind])
    others = BESIDE / f"{kind}.json"
    if others.exists():
        found += read(others)["cases"]
    return [
        pytest.param(case, id=case["id"])
        for case in found
        if not case["use"].startswith(("optional", "exclude"))
    ]


def tolerance(case: Case) -> Decimal:
    return Decimal(case.get("abs_tolerance", Decimal("1e-9")))


def assert_close(actual: Any, expected: Any, case: Case, name: str = "") -> None:
    assert actual is not None, f"{name} is not available"
    assert abs(actual - expected) <= tolerance(case), f"{name}: {actual} is not {expected}"
