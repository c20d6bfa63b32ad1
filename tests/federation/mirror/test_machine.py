"""Random histories of owners, agreements and faults against a plain Python model of who may see what.

`pytest --hypothesis-profile=long` looks at many more of them.
"""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from federation.mirror import fill, keys, trimming
from tests.federation.mirror.machine import Mirror
from tests.federation.mirror.world import World


def test_p1_to_p7_hold_whatever_happens_in_whatever_order(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Small batches, chunks and logs, so that a short history has many of them.
    monkeypatch.setattr(keys, "BATCH_KEYS", 12)
    monkeypatch.setattr(keys, "_SLICE", 5)
    monkeypatch.setattr(fill, "BATCH_KEYS", 12)
    monkeypatch.setattr(fill, "FIRST_CHUNK", 2)
    monkeypatch.setattr(trimming, "LOG_CAP", 10)
    is_long = settings.get_current_profile_name() == "long"
    run_state_machine_as_test(
        lambda: Mirror(world),
        settings=settings(
            max_examples=settings().max_examples if is_long else 6,
            stateful_step_count=30,
            deadline=None,
            derandomize=not is_long,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
