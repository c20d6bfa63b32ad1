"""The platform started as `make run` starts it: real servers, real workers, real signals."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from config.embedded import processes
from config.embedded.paths import PROJECT, read_state, write_state
from config.supervisor.parts import LONGEST_BACK_OFF, STEADY_SECONDS, Part
from config.supervisor.platform import StartError, check_port, is_on, port_number
from config.supervisor.preparation import Ledger, Step

# They share a prepared folder, and two platforms at once would starve each other.
pytestmark = pytest.mark.xdist_group("supervisor")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the data folder of all platforms of this module: only the first start prepares it."""
    return tmp_path_factory.mktemp("platform") / "data"


@pytest.fixture
def start(data: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start_one(command: str = "run", **changes: str) -> subprocess.Popen[str]:
        given = {
            name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}
        }
        # A MAKELEVEL from `make test` would tie the platform to pytest's thread.
        given.pop("MAKELEVEL", None)
        env = {**given, "DATA_DIR": str(data), "DEMO": "false", **changes}
        child = subprocess.Popen(
            [sys.executable, "-m", "config.supervisor", command], cwd=PROJECT, env=env, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        started.append(child)
        return child

    yield start_one
    for child in started:
        if child.poll() is None:
            child.terminate()
        child.communicate(timeout=60)
    _wait_for(lambda: not _left_behind(data))


def _left_behind(data: Path) -> list[psutil.Process]:
    """Return what runs on behalf of the platform in `data`, its starter apart."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() == psutil.STATUS_ZOMBIE or "config.supervisor" in process.cmdline():
                continue
            if process.cwd().startswith(str(data)) or process.environ().get("DATA_DIR") == str(data):
                found.append(process)
        except psutil.Error:
            continue
    return found


def _wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


def _read_until(child: subprocess.Popen[str], text: str) -> str:
    assert child.stdout
    seen = ""
    for line in child.stdout:
        seen += line
        if text in line:
            return seen
    raise AssertionError(f"It ended without saying {text!r}:\n{seen}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _status(port: int) -> int:
    server = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    server.request("GET", "/", headers={"Host": f"localhost:{port}"})
    return server.getresponse().status


def _part(data: Path, name: str) -> psutil.Process | None:
    return processes.find(read_state(data / "platform.json").get("parts", {}).get(name))


def test_it_serves_starts_again_what_is_killed_and_after_a_kill_of_its_own_is_ready_again_until_ctrl_c(
    data: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    port = _free_port()
    platform = start(PORT=str(port))
    said = _read_until(platform, "Logs:")
    assert f"http://localhost:{port}" in said
    assert _status(port) < 500
    assert {"web", "worker", "mirror", "beat"} <= set(read_state(data / "platform.json")["parts"])
    second = start(PORT=str(_free_port()))
    assert f"runs already: http://localhost:{port}" in second.communicate(timeout=60)[0]
    assert second.returncode == 1
    web = _part(data, "web")
    assert web
    web.kill()
    said = _read_until(platform, "web ended")
    assert "code -9" in said
    _wait_for(lambda: (new := _part(data, "web")) and new.pid != web.pid)
    beat = _part(data, "beat")
    assert beat
    beat.kill()
    _read_until(platform, "beat ended")
    _wait_for(lambda: (new := _part(data, "beat")) and new.pid != beat.pid)
    _wait_for(lambda: _answers(port))
    os.kill(int((data / "postgres" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    _read_until(platform, "Postgres ended by itself")
    _wait_for(lambda: _answers(port))
    # Its own end takes all with it, and the next one finds everything ready.
    platform.kill()
    platform.communicate()
    again = start(PORT=str(port))
    said = _read_until(again, "Logs:")
    assert "tables" not in said
    assert "static files" not in said
    assert _status(port) < 500
    again.send_signal(signal.SIGINT)
    assert "The data is kept" in again.communicate(timeout=60)[0]
    assert again.returncode == 0
    assert not _left_behind(data)


def _answers(port: int) -> bool:
    try:
        return _status(port) < 500
    except OSError:
        return False


def test_ctrl_c_while_it_prepares_leaves_nothing_running(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    platform = start(PORT=str(_free_port()), DATA_DIR=str(tmp_path / "data"))
    _read_until(platform, "tables")
    time.sleep(0.5)
    platform.send_signal(signal.SIGINT)
    platform.communicate(timeout=60)
    assert platform.returncode == 0
    assert not _left_behind(tmp_path / "data")


def test_stop_stops_the_platform_and_reset_does_and_forgets_its_data(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    folder = tmp_path / "data"
    for command in ("stop", "reset"):
        platform = start(PORT=str(_free_port()), DATA_DIR=str(folder))
        _read_until(platform, "tables")
        assert start(command, DATA_DIR=str(folder)).wait(60) == 0
        platform.communicate(timeout=60)
        assert platform.returncode == 0
        assert folder.exists() == (command == "stop")
        assert not _left_behind(folder)


def test_a_busy_port_is_named_with_a_way_out(start: Callable[..., subprocess.Popen[str]]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = start(PORT=str(port))
        said = refused.communicate(timeout=60)[0]
    assert refused.returncode == 1
    assert f"Port {port} is in use" in said
    assert f"make run PORT={port + 1}" in said
    assert "Traceback" not in said


def test_a_database_that_does_not_answer_is_named(
    start: Callable[..., subprocess.Popen[str]], data: Path
) -> None:
    refused = start(PORT=str(_free_port()), DATABASE_URL=f"postgresql://nobody@127.0.0.1:{_free_port()}/none")
    said = refused.communicate(timeout=60)[0]
    assert refused.returncode == 1
    assert "check DATABASE_URL" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("text", ["", "0", "65536", "80a", "-1", "٣"])
def test_a_port_that_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(StartError, match="1 to 65535"):
        port_number(text)


def test_an_address_that_is_not_of_this_machine_is_refused() -> None:
    with pytest.raises(StartError, match=r"cannot listen on 192\.0\.2\.1"):
        check_port("192.0.2.1", _free_port())


@pytest.mark.parametrize(
    ("text", "meaning"), [("true", True), ("1", True), ("ON", True), ("false", False), ("", False)]
)
def test_demo_is_on_in_words_an_operator_uses(text: str, meaning: bool) -> None:
    assert is_on(text) is meaning


def test_a_part_that_keeps_crashing_waits_longer_each_time_and_starts_anew_after_steady_work() -> None:
    part = Part("web", [])
    pauses = []
    for _ in range(10):
        part.started_at = time.monotonic()
        pauses.append(part.note_crash())
    assert pauses == sorted(pauses)
    assert pauses[0] < 1
    assert pauses[-1] == LONGEST_BACK_OFF
    part.started_at = time.monotonic() - STEADY_SECONDS - 1
    assert part.note_crash() == pauses[0]


def test_a_step_is_done_once_per_fingerprint(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "prepared.json")
    step = Step("tables", ("migrate_schemas",), "one", title_again="tables, looked at again")
    assert not ledger.has(step)
    assert ledger.title(step) == "tables"
    ledger.add(step)
    assert ledger.has(step)
    assert ledger.title(step) == "tables, looked at again"
    assert not ledger.has(Step("tables", ("migrate_schemas",), "two"))
    assert not ledger.has(Step("demo", ("demo",), "one"))


def test_a_recorded_process_is_not_confused_with_a_later_one_of_its_number(tmp_path: Path) -> None:
    recorded = processes.identity(os.getpid())
    found = processes.find(recorded)
    assert found
    assert found.pid == os.getpid()
    assert processes.find({**recorded, "started": recorded["started"] - 100}) is None
    write_state(tmp_path / "state.json", recorded)
    assert processes.find(read_state(tmp_path / "state.json"))
