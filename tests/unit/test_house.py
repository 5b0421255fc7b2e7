"""The house rules that need no import to be broken (docs/decisions/0003): each rule first meets code that breaks it."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import demand

ROOT = Path(__file__).resolve().parents[2]
PURE_ROOMS = ("terms", "access", "venue", "market", "watch")
PURE_FILES = sorted(path for room in PURE_ROOMS for path in (ROOT / "src/sparekey" / room).rglob("*.py"))
SOURCES = sorted(path for top in ("src", "tests", "bench") for path in (ROOT / top).rglob("*.py"))
TEXTS = sorted(
    path
    for top in ("src", "tests", "bench", "docs", ".ci")
    for path in (ROOT / top).rglob("*")
    if path.suffix in {".py", ".md", ".toml", ".tsv", ".json", ".conf", ".lua", ".sql", ".sh", ""}
    and path.is_file()
    and not {"_build", "results", "__pycache__"} & set(path.parts)
) + [ROOT / name for name in ("Makefile", "README.md", "CHANGELOG.md", "pyproject.toml", ".gitignore")]

IMPURE_CALLS = frozenset({"float", "hash", "id", "open", "print", "input"})
MEANINGLESS = frozenset({"utils", "util", "common", "base", "manager", "core", "helpers", "helper"})
MEANINGLESS_INSIDE = frozenset({"utils", "util", "manager", "helpers", "helper"})  # `base_asset` is the field's word
MACHINE_PATH = re.compile(r"(?<![\w./{}~-])/(?:work|root|home/[a-z]\w*|Users/\w+)/")


def impurities(source: str) -> Iterator[str]:
    """Each way, as `line N: what`, in which the source's result could differ between two runs."""
    for node in ast.walk(ast.parse(source)):
        found = ""
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            found = f"the float {node.value}"
        elif isinstance(node, ast.Name) and node.id == "float":
            found = "float"
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            found = "true division"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
            found = f"{node.func.id}()"
        elif isinstance(node, ast.For | ast.comprehension) and is_a_set(node.iter):
            found = "a loop over a set"
        if found:
            yield f"line {getattr(node, 'lineno', getattr(getattr(node, 'iter', None), 'lineno', 0))}: {found}"


def is_a_set(node: ast.expr) -> bool:
    if isinstance(node, ast.Set | ast.SetComp):
        return True
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"set", "frozenset"}


def meaningless_names(module: str, source: str) -> Iterator[str]:
    """Names of the module, its classes and functions that say nothing."""
    names = [module]
    names += [
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    for name in names:
        words = [word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", name)]
        if name.lower() in MEANINGLESS or MEANINGLESS_INSIDE & set(words):
            yield name


@pytest.mark.parametrize(
    "source",
    ["x = 0.5", "x = float(1)", "x = 1 / 2", "x /= 2", "hash('a')", "for x in {1, 2}: pass", "[x for x in set(y)]"],
)
def test_an_impure_line_is_recognised(source: str) -> None:
    assert list(impurities(source))


def test_integer_code_is_taken_for_pure() -> None:
    assert not list(impurities("x = 7 // 2\nfor y in sorted({1, 2}): x += y\nz = 3 in {1, 2}"))


def test_pure_rooms_hold_nothing_that_differs_between_two_runs() -> None:
    assert PURE_FILES
    found = [f"{path.relative_to(ROOT)} {what}" for path in PURE_FILES for what in impurities(path.read_text())]
    assert not found, "\n".join(found)


def test_a_meaningless_name_is_recognised() -> None:
    assert list(meaningless_names("string_utils", ""))
    assert list(meaningless_names("orders", "class OrderManager: ..."))
    assert list(meaningless_names("orders", "def core(): ..."))
    assert not list(meaningless_names("orders", "def base_asset(): ..."))


def test_nothing_has_a_name_that_says_nothing() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in SOURCES
        for name in meaningless_names(path.parent.name if path.stem == "__init__" else path.stem, path.read_text())
    ]
    assert not found, "\n".join(found)


def test_every_room_says_in_one_sentence_what_it_is_for() -> None:
    for path in sorted((ROOT / "src/sparekey").glob("**/__init__.py")):
        said = ast.get_docstring(ast.parse(path.read_text()))
        assert said, path
        assert said.rstrip().endswith("."), path


def test_locks_carry_a_hash_for_every_package_and_no_address() -> None:
    locks = sorted((ROOT / "requirements").glob("*.txt"))
    assert {lock.stem for lock in locks} >= {"run", "test", "docs"}
    for lock in locks:
        text = lock.read_text()
        assert "://" not in text, lock
        assert not re.search(r"^\s*--(?!hash=)", text, re.MULTILINE), lock
        for package in re.split(r"\n(?=[A-Za-z])", text):
            if package.strip():
                assert "--hash=sha256:" in package, (lock, package.splitlines()[0])


def versions(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements" / lock).read_text(), re.MULTILINE))


def test_what_a_user_runs_is_what_the_tests_ran_on() -> None:
    tested = versions("test.txt")
    assert {name: tested.get(name) for name in versions("run.txt")} == versions("run.txt")


def test_every_declared_dependency_is_locked() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.split(r"[^\w.-]", line)[0].lower() for line in declared}
    assert not {name.replace("_", "-") for name in names} - set(versions("run.txt"))


@pytest.mark.parametrize("text", ["see /work" + "/notes", 'open("/root' + '/x")', "/home" + "/someone/code"])
def test_a_path_of_somebodys_machine_is_recognised(text: str) -> None:
    assert MACHINE_PATH.search(text)


@pytest.mark.parametrize("text", ["make -C tests/work/x", "https://example.org/home/page/", "GET /sapi/v1/account"])
def test_an_address_is_not_taken_for_a_path_of_somebodys_machine(text: str) -> None:
    assert not MACHINE_PATH.search(text)


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in TEXTS
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]
    assert not found, "\n".join(found)


def test_what_is_missing_is_a_skip_that_says_so_for_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPAREKEY_REQUIRE", raising=False)
    with pytest.raises(pytest.skip.Exception, match="NOT TESTED: the program nginx is missing"):
        demand(False, "the program nginx")


def test_what_is_missing_is_a_failure_where_everything_is_demanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPAREKEY_REQUIRE", "all")
    demand(True, "the program nginx")
    with pytest.raises(pytest.fail.Exception, match="the program nginx is missing"):
        demand(False, "the program nginx")
