"""Where the embedded servers keep data, sockets, locks and state."""

import fcntl
import json
import os
import secrets
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
# A socket's name has room for 108 bytes with the closing zero; Redis cuts a longer one without a word.
LONGEST_SOCKET = 107
LONGEST_SOCKET_NAME = ".s.PGSQL.5432"


class EmbeddedError(Exception):
    """A server could not be started; the message says what to do about it."""


def data_folder() -> Path:
    """Return the folder that holds everything this checkout keeps between runs."""
    return PROJECT / (os.environ.get("DATA_DIR") or ".data")


def make_private(folder: Path) -> Path:
    """Create `folder` for its owner alone, and refuse one that belongs to another user."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    owner = folder.stat().st_uid
    if owner != os.geteuid() and os.geteuid() != 0:
        raise EmbeddedError(
            f"{folder} belongs to another user (uid {owner}): run as that user, or delete the folder as that user."
        )
    return folder


def is_private(folder: Path, owner: int) -> bool:
    """Say whether `folder` is a real folder of `owner` that nobody else may enter."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == owner and not found.st_mode & 0o077


def new_socket_folder() -> Path:
    """Create a private folder whose path leaves room for a socket's name."""
    for parent in dict.fromkeys([tempfile.gettempdir(), "/tmp", "/var/tmp"]):
        room = (
            LONGEST_SOCKET - len(os.fsencode(parent)) - len("/roboblock-12345678/") - len(LONGEST_SOCKET_NAME)
        )
        if room >= 0 and os.access(parent, os.W_OK | os.X_OK):
            folder = Path(tempfile.mkdtemp(prefix="roboblock-", dir=parent))
            if not is_private(folder, os.geteuid()):
                raise EmbeddedError(
                    f"{parent} does not keep folders private: set TMPDIR to a folder that does."
                )
            return folder
    raise EmbeddedError("There is no short temporary folder to write to: set TMPDIR to one, such as /tmp.")


def remove_socket_folder(folder: Path) -> None:
    """Remove a folder that `new_socket_folder` made, and nothing else."""
    if folder.name.startswith("roboblock-") and is_private(folder, os.geteuid()):
        shutil.rmtree(folder, ignore_errors=True)


class Lock:
    """An exclusive lock on a file, which the kernel frees when its holder dies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def take(self, *, wait: bool = False) -> bool:
        """Take the lock and return whether it was to be had."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Free the lock if it is held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Replace the JSON file `path` in one step, readable by its owner alone."""
    new = path.with_suffix(f".{os.getpid()}.new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(state, file)
    new.replace(path)


def read_state(path: Path) -> dict[str, Any]:
    """Return what `write_state` wrote, or nothing where there is none or it is damaged."""
    try:
        state = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def secret_key() -> str:
    """Return this checkout's own secret key, made on first use."""
    path = make_private(data_folder()) / "secret_key"
    try:
        return path.read_text()
    except FileNotFoundError:
        pass
    new = path.with_suffix(f".{os.getpid()}.{secrets.token_hex(4)}.new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(50))
    try:
        # Whoever links first decides: two processes that start together agree on one key.
        os.link(new, path)
    except FileExistsError:
        pass
    finally:
        new.unlink()
    return path.read_text()
