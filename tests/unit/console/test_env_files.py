"""Private KEY=value files: written whole, with other people's lines kept and other people's files untouched."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sparekey.console.env_files import EnvFileRefused, check_ignored, read_env, write_env


def test_what_is_written_is_read_again_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "bot.env"
    write_env(path, {"API_KEY": "a", "API_SECRET": "b=c"})
    assert read_env(path) == {"API_KEY": "a", "API_SECRET": "b=c"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_second_writing_changes_what_changed_and_keeps_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "bot.env"
    write_env(path, {"BASE_URL": "http://old", "API_KEY": "a"})
    path.write_text(path.read_text() + "MINE=1\n\n# note = kept\n")
    write_env(path, {"BASE_URL": "http://new", "API_KEY": "a", "MORE": "2"})
    lines = path.read_text().splitlines()
    assert lines[1:] == ["BASE_URL=http://new", "API_KEY=a", "MINE=1", "", "# note = kept", "MORE=2"]


def test_a_file_that_would_stay_the_same_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "bot.env"
    write_env(path, {"API_KEY": "a"})
    before = path.stat()
    write_env(path, {"API_KEY": "a"})
    assert path.stat().st_ino == before.st_ino


def test_a_file_that_others_may_read_becomes_private(tmp_path: Path) -> None:
    path = tmp_path / "bot.env"
    write_env(path, {"API_KEY": "a"})
    path.chmod(0o644)
    write_env(path, {"API_KEY": "a"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"BINANCE_API_KEY=real\n", b"\n# my file\nX=1\n", b"\xff\xfe\x00"])
def test_somebody_elses_file_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / ".env"
    path.write_bytes(content)
    with pytest.raises(EnvFileRefused, match=r"\.env"):
        write_env(path, {"API_KEY": "a"})
    with pytest.raises(EnvFileRefused):
        read_env(path)
    assert path.read_bytes() == content


def test_an_empty_file_may_be_filled(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.touch()
    write_env(path, {"API_KEY": "a"})
    assert read_env(path) == {"API_KEY": "a"}


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bot.env").mkdir()
    with pytest.raises(EnvFileRefused, match=r"bot\.env"):
        write_env(tmp_path / "bot.env", {"API_KEY": "a"})


@pytest.fixture
def tree(tmp_path: Path, require: Any) -> Path:
    subprocess.run([require("git"), "init", "-q", str(tmp_path)], check=True)
    return tmp_path


def test_outside_of_a_work_tree_any_place_will_do(tmp_path: Path) -> None:
    check_ignored(tmp_path / "bot.env")


def test_what_git_would_commit_is_refused_with_the_line_to_add(tree: Path) -> None:
    path = tree / "new" / "bot.env"
    with pytest.raises(EnvFileRefused) as refused:
        check_ignored(path)
    line = str(refused.value).rpartition(": ")[2]
    assert str(tree / ".gitignore") in str(refused.value)
    (tree / ".gitignore").write_text(f"{line}\n")
    check_ignored(path)


def test_a_file_that_git_tracks_is_refused_although_a_pattern_names_it(tree: Path) -> None:
    (tree / "bot.env").touch()
    git = ["git", "-C", str(tree)]
    subprocess.run([*git, "add", "bot.env"], check=True)
    (tree / ".gitignore").write_text("*.env\n")
    with pytest.raises(EnvFileRefused):
        check_ignored(tree / "bot.env")


def test_a_work_tree_that_git_cannot_judge_is_refused(tree: Path) -> None:
    (tree / ".git" / "HEAD").write_text("nonsense")
    (tree / ".git" / "config").write_text("[core\n")
    with pytest.raises(EnvFileRefused, match="cannot be told"):
        check_ignored(tree / "bot.env")
