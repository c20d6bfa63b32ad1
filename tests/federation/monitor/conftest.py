import pytest

from federation.mirror import control
from federation.monitor import proof


@pytest.fixture
def nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send no messages: what is asked for stays asked for."""
    monkeypatch.setattr(proof, "_send", lambda *_args, **_kwargs: None)
    monkeypatch.setattr(control.dispatch, "hint", lambda *_args: None)
