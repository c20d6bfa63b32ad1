"""The running platform of one checkout."""

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import environ
import psutil
import psycopg

from config import embedded
from config.embedded import processes
from config.embedded.paths import PROJECT, write_state
from config.supervisor import preparation
from config.supervisor.parts import STOP_SECONDS, Part, answers, end_session, parts, stop_leftovers
from config.supervisor.terminal import Timer, say, shown, timed

POLL_SECONDS = 0.2
READY_SECONDS = 120.0
# A part that crashes this often before the platform is ready stops the start.
CRASHES_AT_START = 3
LARGEST_LOG = 5_000_000


class StartError(Exception):
    """The platform cannot start; the message says what to do about it."""


@dataclass
class Platform:
    """The running platform of this checkout."""

    data: Path
    address: str
    port: int
    parts: list[Part] = field(default_factory=list)
    servers: embedded.Servers | None = None

    @property
    def logs(self) -> Path:
        """Return the folder of the logs."""
        return self.data / "logs"

    @property
    def state_file(self) -> Path:
        """Return the file that names the running processes."""
        return self.data / "platform.json"

    def run(self) -> None:
        """Start everything and stay until a signal comes."""
        started = time.monotonic()
        stop_leftovers(self.state_file)
        check_port(self.address, self.port)
        rotate(self.logs)
        write_state(self.state_file, {"supervisor": processes.identity(os.getpid()), "port": self.port})
        say("Roboblock is starting")
        with timed("database and queue"):
            self.servers = embedded.ensure(self.data)
            env = self._environment(self.servers)
        self._prepare(env)
        with timed("web, workers, scheduler") as timer:
            self.parts = parts(self.address, self.port)
            for part in self.parts:
                part.start(self.logs, env)
            self._write_state()
            self._wait_until_ready(env, timer)
        say("")
        say(f"Ready after {time.monotonic() - started:.0f} s:  http://localhost:{self.port}")
        if is_on(env["DEMO"]):
            say("Sign in:  that page lists the demo people; one click signs you in as any of them.")
            say("          Or by e-mail, such as ada@harbour.example, with the password roboblock-demo-only.")
        say(f"Logs:     {shown(self.logs)}/    Stop: Ctrl-C")
        while True:
            self._keep_running(env)
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Stop the parts together, then the servers they use."""
        deadline = time.monotonic() + STOP_SECONDS
        running = [part.child for part in self.parts if part.child is not None]
        for child in running:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        for child in running:
            while child.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
        for child in running:
            end_session(child.pid)
            child.wait()
        if self.servers is not None:
            self.servers.stop()
        self.state_file.unlink(missing_ok=True)

    def _environment(self, servers: embedded.Servers) -> dict[str, str]:
        return {
            "DEMO": "true",
            **os.environ,
            "DATA_DIR": str(self.data),
            "DATABASE_URL": servers.database_url,
            "REDIS_URL": servers.redis_url,
            "PORT": str(self.port),
            "PYTHONUNBUFFERED": "1",
        }

    def _prepare(self, env: dict[str, str]) -> None:
        ledger = preparation.Ledger(self.data / "prepared.json")
        try:
            steps = preparation.steps(
                env["DATABASE_URL"],
                demo=is_on(env["DEMO"]),
                keep_current=bool(os.environ.get("DATABASE_URL")),
            )
        except psycopg.OperationalError as error:
            raise StartError(f"The database does not answer; check DATABASE_URL.\n{error}") from error
        log = self.logs / "prepare.log"
        missing = [step for step in steps if not ledger.has(step)]
        started: dict[str, subprocess.Popen[bytes]] = {}

        def start(step: preparation.Step) -> None:
            command = [sys.executable, "manage.py", *step.command]
            started[step.title] = processes.spawn(command, log=log, cwd=PROJECT, env=env)

        try:
            for step in missing:
                if step.is_apart:
                    start(step)
            for step in missing:
                with timed(ledger.title(step)) as timer:
                    if not step.is_apart:
                        start(step)
                    child = started[step.title]
                    while child.poll() is None:
                        timer.tick()
                        time.sleep(POLL_SECONDS)
                if child.returncode:
                    raise StartError(
                        f"The {step.title} could not be prepared. The end of {shown(log)}:\n{processes.tail(log, 20)}"
                    )
                ledger.add(step)
        finally:
            for child in started.values():
                processes.stop_child(child, [(signal.SIGTERM, STOP_SECONDS)])

    def _wait_until_ready(self, env: dict[str, str], timer: Timer) -> None:
        deadline = time.monotonic() + READY_SECONDS
        waiting = list(self.parts)
        while waiting:
            self._keep_running(env)
            for part in self.parts:
                log = self.logs / f"{part.name}.log"
                if part.crashes >= CRASHES_AT_START:
                    raise StartError(
                        f"{part.name} does not start. The end of {shown(log)}:\n{processes.tail(log, 20)}"
                    )
                if time.monotonic() > deadline and part in waiting:
                    raise StartError(
                        f"{part.name} is not ready after {READY_SECONDS:.0f} s; see {shown(log)}."
                    )
            timer.tick()
            waiting = [part for part in waiting if not self._is_ready(part)]
            time.sleep(0.05)

    def _is_ready(self, part: Part) -> bool:
        if part.child is None:
            return False
        if part.ready_text:
            with open(self.logs / f"{part.name}.log", "rb") as log:
                log.seek(part.log_start)
                return part.ready_text in log.read()
        return part.name != "web" or answers(self.address, self.port)

    def _keep_running(self, env: dict[str, str]) -> None:
        """Start again what ended by itself, servers first."""
        if self.servers is not None:
            for name in self.servers.restart_failed():
                say(
                    f"{name} ended by itself and was started again; see {shown(self.logs)}/{name.lower()}.log."
                )
        changed = False
        for part in self.parts:
            if part.child is not None and part.child.poll() is not None:
                code = part.child.returncode
                end_session(part.child.pid)
                pause = part.note_crash()
                log = shown(self.logs / f"{part.name}.log")
                say(f"{part.name} ended with code {code}; starts again in {pause:g} s. See {log}.")
            if part.child is None and time.monotonic() >= part.retry_at:
                part.start(self.logs, env)
                changed = True
        if changed:
            self._write_state()

    def _write_state(self) -> None:
        running = {part.name: part.child.pid for part in self.parts if part.child is not None}
        state: dict[str, object] = {"supervisor": processes.identity(os.getpid()), "port": self.port}
        found = {}
        for name, pid in running.items():
            with contextlib.suppress(psutil.NoSuchProcess):
                found[name] = processes.identity(pid)
        write_state(self.state_file, {**state, "parts": found})


def is_on(text: str) -> bool:
    """Say whether an environment variable's text means yes."""
    return text.lower() in environ.Env.BOOLEAN_TRUE_STRINGS


def check_port(address: str, port: int) -> None:
    """Raise StartError where the platform cannot listen."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            other = f"choose another one: make run PORT={port + 1 if 1024 <= port < 65535 else 8001}"
            if error.errno == errno.EADDRINUSE:
                raise StartError(
                    f"Port {port} is in use by another program: stop that one, or {other}"
                ) from error
            if error.errno == errno.EACCES:
                raise StartError(f"Port {port} is for the system's own services: {other}") from error
            raise StartError(
                f"The platform cannot listen on {address}:{port} ({error.strerror}): {other}"
            ) from error


def port_number(text: str) -> int:
    """Return the port that `text` names."""
    if text.isascii() and text.isdigit() and 0 < int(text) < 65536:
        return int(text)
    raise StartError(f"PORT is {text!r}, and has to be a number from 1 to 65535: make run PORT=8001")


def rotate(logs: Path) -> None:
    """Put large logs aside, one earlier one each."""
    for log in logs.glob("*.log"):
        if log.stat().st_size > LARGEST_LOG:
            log.replace(log.with_suffix(".log.1"))
