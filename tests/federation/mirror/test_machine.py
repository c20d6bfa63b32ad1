"""Random histories of owners, agreements and faults against a plain Python model of who may see what.

The same few in each run, so that what is checked in does not fail by chance; `pytest --hypothesis-profile=long` draws many
others each time, and a failure says how to repeat it.
"""

import secrets

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from federation.mirror import fill, keys, trimming
from tests.federation.mirror.machine import Mirror
from tests.federation.mirror.world import World

# Of the histories that every run plays.
SEED = 828590501


def test_p1_to_p7_hold_whatever_happens_in_whatever_order(
    world: World, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    # Small batches, chunks and logs, so that a short history has many of them.
    monkeypatch.setattr(keys, "BATCH_KEYS", 12)
    monkeypatch.setattr(keys, "_SLICE", 5)
    monkeypatch.setattr(fill, "BATCH_KEYS", 12)
    monkeypatch.setattr(fill, "FIRST_CHUNK", 2)
    monkeypatch.setattr(trimming, "LOG_CAP", 10)
    is_long = settings.get_current_profile_name() == "long"
    drawn = pytestconfig.getoption("hypothesis_seed") or (secrets.randbits(32) if is_long else SEED)
    try:
        run_state_machine_as_test(
            seed(int(drawn))(lambda: Mirror(world)),
            settings=settings(
                max_examples=settings().max_examples if is_long else 6,
                stateful_step_count=30,
                deadline=None,
                database=None,
                phases=[Phase.generate, Phase.shrink],
                suppress_health_check=list(HealthCheck),
            ),
        )
    except BaseException as error:
        error.add_note(f"pytest --hypothesis-seed={drawn} plays these histories again")
        raise
