"""The data directory: what lies where, whose it is, and who has it open.

    about.json        layout version, check value of the key-encryption key, public signing key
    lock              PID of the server that has the directory open, held with flock
    keys/             signing.key, vault.key: 32 bytes each as hex, mode 0600; apart from the databases they protect
    journal.db        the journal;  checkpoints: the journal's end, vouched for;  snapshots/: states to start from
    vault.db, archive.db, calls/
    tls/              a certificate authority and the server's certificate (`certificates`); with `--tls` only
    sessions.db       who is signed in to the console; may be deleted, which signs everybody out
    addresses         what addresses used of their limits, and bans; may be deleted
    bot.env, bot-*.pem, operator.env: for people and their bots, written by the console's demo account

Whatever is wrong with it raises `DataDirectoryError` with one line that says what to do.
"""

from __future__ import annotations

import fcntl
import hmac
import logging
import os
import pwd
import secrets
import stat
import time
from pathlib import Path
from types import TracebackType

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sparekey.storage.private_files import is_part, replace_file, sync_folder

_log = logging.getLogger(__name__)

#: Version of the layout above; a newer one is refused.
LAYOUT = 1

_KEY_BYTES = 32
_LOCK_TRIES = 4
_LOCK_PAUSE_S = 0.05
#: What may lie in a directory that is not ours yet: what a first start that was interrupted leaves, and what a fresh
#: file system has.
_BEFORE_FIRST_START = frozenset({"lock", "keys", "lost+found", ".gitignore"})


class DataDirectoryError(Exception):
    """The data directory cannot be used. The text is one line for people."""


class _About(msgspec.Struct):
    layout: int
    key_check: str
    signing_key: str


class DataDirectory:
    """An open data directory. `open` locks it for a server; `look` reads beside a running one."""

    def __init__(self, path: Path, signing_key: Ed25519PrivateKey, key_encryption_key: bytes, lock: int | None) -> None:
        self.path = path
        self.signing_key = signing_key
        self.key_encryption_key = key_encryption_key
        self._lock = lock

    @property
    def journal_path(self) -> Path:
        return self.path / "journal.db"

    @property
    def checkpoints_path(self) -> Path:
        return self.path / "checkpoints"

    @property
    def snapshots_path(self) -> Path:
        return self.path / "snapshots"

    @property
    def vault_path(self) -> Path:
        return self.path / "vault.db"

    @property
    def documents_path(self) -> Path:
        return self.path / "documents.db"

    @property
    def archive_path(self) -> Path:
        return self.path / "archive.db"

    @property
    def sessions_path(self) -> Path:
        return self.path / "sessions.db"

    @property
    def calls_path(self) -> Path:
        return self.path / "calls"

    @classmethod
    def open(cls, path: Path) -> DataDirectory:
        """Create the directory if need be, lock it for this process, and check layout and keys."""
        path = path.expanduser().absolute()
        try:
            _make_directory(path)
            _check_owner(path)
            if _read_about(path) is None:
                _check_ours(path)  # before the lock leaves a file in somebody's folder, and again once it is held
            lock = _lock(path)
        except DataDirectoryError:
            raise
        except OSError as error:
            raise _named(path, error) from error
        try:
            about = _read_about(path)
            if about is None:
                _check_ours(path)
                about = _first_start(path)
            _tighten(path)
            return cls(path, *_read_keys(path, about), lock)
        except OSError as error:
            os.close(lock)
            raise _named(path, error) from error
        except BaseException:
            os.close(lock)
            raise

    @classmethod
    def look(cls, path: Path) -> DataDirectory:
        """For readers (`log verify`): nothing is created, locked or changed."""
        path = path.expanduser().absolute()
        try:
            if not path.is_dir():
                raise DataDirectoryError(f"{path} is no directory")
            about = _read_about(path)
            if about is None:
                raise DataDirectoryError(f"{path} is no Sparekey data directory: it has no about.json")
            return cls(path, *_read_keys(path, about), None)
        except OSError as error:
            raise _named(path, error) from error

    def close(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            os.truncate(self._lock, 0)
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> DataDirectory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def running_pid(path: Path) -> int | None:
    """PID of the server that has the directory open; None without one."""
    try:
        descriptor = os.open(path / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _pid_in(descriptor)
    except OSError:
        return None
    else:
        return None
    finally:
        os.close(descriptor)


def _make_directory(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise DataDirectoryError(f"{path} is a file; --data must name a directory")
    if not path.exists():
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_folder(path.parent)


def _check_owner(path: Path) -> None:
    owner = path.stat().st_uid
    if owner != os.geteuid():
        raise DataDirectoryError(
            f"{path} belongs to {_user_named(owner)}, not to {_user_named(os.geteuid())} who runs this; choose another "
            "--data or run as its owner"
        )


def _check_ours(path: Path) -> None:
    foreign = sorted(name for name in set(os.listdir(path)) - _BEFORE_FIRST_START if not is_part(name))
    if foreign:
        # Going on would make somebody's home directory private to us.
        raise DataDirectoryError(
            f"{path} is neither empty nor a Sparekey data directory (it holds {foreign[0]} and no about.json); choose "
            "another --data"
        )


def _lock(path: Path) -> int:
    """flock, because the kernel takes it back when its holder dies, however it dies: no stale lock can remain."""
    descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock_soon(descriptor)
    except BlockingIOError:
        pid = _pid_in(descriptor)
        os.close(descriptor)
        holder = f"process {pid}" if pid else "another process"
        raise DataDirectoryError(f"{path} is in use by {holder}; stop it first, or choose another --data") from None
    except OSError as error:
        os.close(descriptor)
        raise DataDirectoryError(
            f"{path} cannot be locked ({error.strerror}); network file systems often cannot. Choose a local --data"
        ) from error
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def _lock_soon(descriptor: int) -> None:
    """Whoever asks `running_pid` holds the lock for a moment; a server holds it for longer than all the tries."""
    for _ in range(_LOCK_TRIES - 1):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOCK_PAUSE_S)
        else:
            return
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _pid_in(descriptor: int) -> int | None:
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else None


def _read_about(path: Path) -> _About | None:
    try:
        content = (path / "about.json").read_bytes()
    except FileNotFoundError:
        return None
    try:
        # The layout first: a newer about.json may look different otherwise.
        layout = msgspec.json.decode(content)["layout"]
        if layout > LAYOUT:
            raise DataDirectoryError(
                f"{path} has layout {layout}, this Sparekey knows layout {LAYOUT}; start it with the newer Sparekey"
            )
        return msgspec.json.decode(content, type=_About)
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise DataDirectoryError(f"{path / 'about.json'} is unreadable: {error}") from error


def _first_start(path: Path) -> _About:
    """Keys first, then about.json, which makes the directory ours: an interrupted first start is simply repeated."""
    folder = path / "keys"
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in ("signing.key", "vault.key"):
        if not (folder / name).exists():
            replace_file(folder / name, secrets.token_hex(_KEY_BYTES).encode() + b"\n")
    signing_key = Ed25519PrivateKey.from_private_bytes(_read_key(folder / "signing.key"))
    about = _About(
        layout=LAYOUT,
        key_check=_check_value(_read_key(folder / "vault.key")),
        signing_key=signing_key.public_key().public_bytes_raw().hex(),
    )
    replace_file(path / "about.json", msgspec.json.format(msgspec.json.encode(about)) + b"\n")
    return about


def _read_keys(path: Path, about: _About) -> tuple[Ed25519PrivateKey, bytes]:
    folder = path / "keys"
    key_encryption_key = _read_key(folder / "vault.key")
    if not hmac.compare_digest(_check_value(key_encryption_key), about.key_check):
        raise DataDirectoryError(
            f"{folder / 'vault.key'} is not the key that this data directory was made with; put the right one back"
        )
    signing_key = Ed25519PrivateKey.from_private_bytes(_read_key(folder / "signing.key"))
    if signing_key.public_key().public_bytes_raw().hex() != about.signing_key:
        raise DataDirectoryError(
            f"{folder / 'signing.key'} is not the key that this data directory was made with; put the right one back"
        )
    return signing_key, key_encryption_key


def _read_key(path: Path) -> bytes:
    try:
        text = path.read_text("ascii").strip()
        key = bytes.fromhex(text)
    except FileNotFoundError:
        raise DataDirectoryError(
            f"{path} is missing; without it this data directory cannot be used. Put it back from your backup"
        ) from None
    except ValueError:
        raise DataDirectoryError(f"{path} holds no key; put it back from your backup") from None
    if len(key) != _KEY_BYTES:
        raise DataDirectoryError(f"{path} holds no key of {_KEY_BYTES} bytes; put it back from your backup")
    return key


def _check_value(key_encryption_key: bytes) -> str:
    """Tells the right key from a wrong one, and says nothing else about it."""
    return hmac.digest(key_encryption_key, b"sparekey key check value", "sha256").hex()[:32]


def _tighten(path: Path) -> None:
    folder = path / "keys"
    for private, mode in (
        (path, 0o700),
        (folder, 0o700),
        (folder / "signing.key", 0o600),
        (folder / "vault.key", 0o600),
    ):
        if private.exists() and stat.S_IMODE(private.stat().st_mode) & 0o077:
            _log.warning("%s could be read by others; it is private again", private)
            private.chmod(mode)


def _user_named(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _named(path: Path, error: OSError) -> DataDirectoryError:
    where = error.filename if isinstance(error.filename, str) else path
    return DataDirectoryError(f"the data directory {path} cannot be used: {error.strerror} ({where})")
