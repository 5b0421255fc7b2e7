"""The data directory: private, locked, and refused in one clear line when it cannot be used."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sparekey.storage.datadir import DataDirectory, DataDirectoryError, running_pid
from sparekey.storage.journal import Durability
from sparekey.storage.journal_opening import open_journal


def refused(path: Path, *naming: str) -> None:
    with pytest.raises(DataDirectoryError) as caught:
        DataDirectory.open(path)
    text = str(caught.value)
    assert "\n" not in text
    for name in naming:
        assert name in text


def test_a_fresh_directory_is_private_and_keeps_its_keys(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "data"
    with DataDirectory.open(path) as data:
        first = (data.key_encryption_key, data.signing_key.private_bytes_raw())
        assert len(first[0]) == len(first[1]) == 32
        assert first[0] != first[1]
    modes = {str(one.relative_to(path)): stat.S_IMODE(one.stat().st_mode) for one in [path, *path.rglob("*")]}
    assert modes.pop(".") == 0o700
    assert modes.pop("keys") == 0o700
    assert set(modes.values()) == {0o600}
    assert set(modes) == {"about.json", "lock", "keys/signing.key", "keys/vault.key"}
    with DataDirectory.open(path) as data:
        assert (data.key_encryption_key, data.signing_key.private_bytes_raw()) == first


def test_nothing_outside_the_keys_folder_holds_a_key(tmp_path: Path) -> None:
    with DataDirectory.open(tmp_path / "data") as data:
        keys = (data.key_encryption_key.hex(), data.signing_key.private_bytes_raw().hex())
    about = (tmp_path / "data" / "about.json").read_text()
    assert not any(key in about for key in keys)


def test_a_second_start_names_the_process_that_has_the_directory(tmp_path: Path) -> None:
    path = tmp_path / "data"
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, pathlib; from sparekey.storage.datadir import DataDirectory;"
            "data = DataDirectory.open(pathlib.Path(sys.argv[1])); print('open', flush=True); sys.stdin.read()",
            str(path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        refused(path, f"in use by process {holder.pid}")
        assert running_pid(path) == holder.pid
        assert DataDirectory.look(path).path == path
    finally:
        holder.kill()
        holder.communicate()
    assert (path / "lock").read_text().strip() == str(holder.pid)
    assert running_pid(path) is None
    with DataDirectory.open(path):
        assert running_pid(path) == os.getpid()
    assert running_pid(path) is None


def test_a_file_or_a_foreign_folder_is_not_taken_over(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    refused(file, "is a file")
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    (home / "letters.txt").write_text("dear")
    refused(home, "neither empty nor a Sparekey data directory", "letters.txt")
    assert stat.S_IMODE(home.stat().st_mode) == 0o755
    with pytest.raises(DataDirectoryError, match=r"no about\.json"):
        DataDirectory.look(home)
    with pytest.raises(DataDirectoryError, match="is no directory"):
        DataDirectory.look(tmp_path / "nowhere")


def test_an_empty_mounted_volume_is_fine(tmp_path: Path) -> None:
    (tmp_path / "volume" / "lost+found").mkdir(parents=True)
    DataDirectory.open(tmp_path / "volume").close()


def test_an_interrupted_first_start_is_repeated_with_the_keys_it_made(tmp_path: Path) -> None:
    path = tmp_path / "data"
    with DataDirectory.open(path) as data:
        made = data.key_encryption_key
    (path / "about.json").unlink()
    with DataDirectory.open(path) as data:
        assert data.key_encryption_key == made


@pytest.mark.parametrize("name", ["about.json", "signing.key", "vault.key"])
def test_a_first_start_killed_while_it_wrote_a_file_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Killed before the rename: what was written lies there under another name."""
    path = tmp_path / "data"
    real = os.replace

    def killed(source: Path, target: Path) -> None:
        if target.name == name:
            os.link(source, source.with_name(source.name.replace(str(os.getpid()), "12345")))
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        DataDirectory.open(path)
    assert list(path.rglob(f".{name}.12345.part"))
    monkeypatch.undo()
    DataDirectory.open(path).close()
    DataDirectory.look(path)


def test_whoever_only_asks_for_the_servers_pid_keeps_no_server_out(tmp_path: Path) -> None:
    path = tmp_path / "data"
    DataDirectory.open(path).close()
    asking = os.open(path / "lock", os.O_RDONLY)
    fcntl.flock(asking, fcntl.LOCK_SH)
    done = threading.Timer(0.06, os.close, (asking,))
    done.start()
    with DataDirectory.open(path):
        done.join()
        assert running_pid(path) == os.getpid()


def test_a_newer_layout_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "data"
    DataDirectory.open(path).close()
    (path / "about.json").write_text('{"layout": 2, "keys_are_elsewhere": true}')
    refused(path, "has layout 2", "newer Sparekey")


def test_an_unreadable_about_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "data"
    DataDirectory.open(path).close()
    for content in ("", "{", "[]", '{"layout": 1}', '{"layout": "1"}'):
        (path / "about.json").write_text(content)
        refused(path, "about.json", "unreadable")


@pytest.mark.parametrize("name", ["vault.key", "signing.key"])
def test_a_missing_or_wrong_key_is_found_and_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / "data"
    DataDirectory.open(path).close()
    key = path / "keys" / name
    right = key.read_bytes()
    key.unlink()
    refused(path, name, "is missing")
    key.write_text("00" * 32)
    refused(path, name, "is not the key that this data directory was made with")
    for garbage in ("", "no key", "ab" * 31):
        key.write_text(garbage)
        refused(path, name, "holds no key")
    key.write_bytes(right)
    DataDirectory.open(path).close()


def test_keys_that_others_could_read_are_private_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "data"
    DataDirectory.open(path).close()
    path.chmod(0o755)
    (path / "keys" / "vault.key").chmod(0o644)
    DataDirectory.open(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE((path / "keys" / "vault.key").stat().st_mode) == 0o600
    assert "vault.key could be read by others" in caplog.text


def test_a_directory_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "data"
    path.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 54_321)
    refused(path, "belongs to", "user ")


def test_a_file_system_without_locks_is_named_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    refused(tmp_path / "data", "cannot be locked", "network file system")


@pytest.mark.parametrize(
    ("code", "text"), [(errno.EROFS, "Read-only file system"), (errno.EACCES, "Permission denied")]
)
def test_a_directory_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, text: str
) -> None:
    """Root may write anywhere, so the refusal comes from a fake `open`."""
    path = tmp_path / "data"
    path.mkdir()
    real = os.open

    def read_only(name: str, flags: int, mode: int = 0o777) -> int:
        if flags & (os.O_RDWR | os.O_WRONLY):
            raise OSError(code, text, str(name))
        return real(name, flags, mode)

    monkeypatch.setattr(os, "open", read_only)
    refused(path, f"the data directory {path} cannot be used: {text}")


def test_a_refused_start_gives_the_lock_back(tmp_path: Path) -> None:
    path = tmp_path / "data"
    DataDirectory.open(path).close()
    key = path / "keys" / "vault.key"
    right = key.read_bytes()
    key.write_text("00" * 32)
    refused(path, "vault.key")
    key.write_bytes(right)
    DataDirectory.open(path).close()


def test_durability_memory_does_not_ignore_a_durable_journal(tmp_path: Path) -> None:
    with DataDirectory.open(tmp_path / "data") as data:
        opened = open_journal(data, Durability.MEMORY)
        assert opened.checkpoints is None
        assert not data.journal_path.exists()
        durable = open_journal(data, Durability.FULL)
        durable.journal.close()
        with pytest.raises(DataDirectoryError, match="holds a durable journal"):
            open_journal(data, Durability.MEMORY)
