import pytest

from trading.tasks import submit_block


@pytest.fixture
def unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send nothing to the market: a test does what a worker would."""
    monkeypatch.setattr(submit_block, "delay", lambda *args: None)
