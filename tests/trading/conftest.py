import pytest

from trading.tasks import fill_block, submit_block


@pytest.fixture
def unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send nothing to the market: a test does what a worker would."""
    monkeypatch.setattr(submit_block, "delay", lambda *args: None)


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list]]:
    """Keep messages in a list instead of sending them; a test hands them over when it wants."""
    messages: list[tuple[str, list]] = []
    monkeypatch.setattr(fill_block, "apply_async", lambda args, countdown: messages.append(("fill", args)))
    monkeypatch.setattr(submit_block, "delay", lambda *args: messages.append(("submit", list(args))))
    return messages
