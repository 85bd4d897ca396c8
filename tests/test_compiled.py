"""What `make compile` makes behaves as its sources do, and is never run once they have changed."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
from django.core.exceptions import ImproperlyConfigured

from fleet import compiled
from tests.support.parts import need

ROOT = Path(__file__).resolve().parents[1]
NAME = "agent.cpython-311-x86_64-linux-gnu.so"
RULES = (
    *("sip", "trace", "test_agent.py", "test_agent_invariants.py", "test_agent_new_behaviour.py"),
    *("test_behaviour.py", "test_errands.py", "test_keeping.py", "test_ladders.py"),
    *("test_redundancy.py", "test_resuming.py", "test_stays.py"),
    *("runtime/test_pacer.py", "runtime/test_switchboard.py", "runtime/test_udp.py"),
)
"""Tests of the compiled rooms that need nothing but them."""

VALUES = '''
from dataclasses import dataclass, field

from registrations.records import record


@record
class Try:
    """One."""

    index: int
    places: dict[str, int] = field(default_factory=dict)
    secret: str = field(default="", repr=False)

    def twice(self) -> int:
        return 2 * self.index


@dataclass(frozen=True, slots=True)
class Place:
    name: str
    rank: int = field(default=0, compare=False)

LAST = 1
ONE, TWO = "one", "two"
KNOWN: dict[str, int] = {
    ONE: 1,
}
GROWN = {ONE: 1}
GROWN |= {TWO: 2}
PATIENCE_S = 0.5
lent: list[str] = []
'''


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    room = tmp_path / "registrations"
    room.mkdir()
    (room / "agent.py").write_text("AGENT = 1")
    (room / NAME).write_text("")
    known = {"registrations/agent.py": hashlib.sha256(b"AGENT = 1").hexdigest()}
    (tmp_path / compiled.MANIFEST).write_text(json.dumps(known))
    return tmp_path


def test_what_was_compiled_of_the_same_bytes_is_of_it_whatever_their_time(tree: Path) -> None:
    (tree / "registrations" / "agent.py").touch()
    assert compiled.outdated(tree) == []


def test_a_changed_source_is_named_however_old_it_says_it_is(tree: Path) -> None:
    source = tree / "registrations" / "agent.py"
    source.write_text("AGENT = 2")
    os.utime(source, (1000, 1000))
    assert compiled.outdated(tree) == ["registrations/agent.py"]


def test_a_source_that_is_gone_is_named(tree: Path) -> None:
    (tree / "registrations" / "agent.py").unlink()
    assert compiled.outdated(tree) == ["registrations/agent.py"]


def test_what_nobody_knows_the_sources_of_is_not_run(tree: Path) -> None:
    (tree / compiled.MANIFEST).unlink()
    assert compiled.outdated(tree) == ["registrations/agent.py"]


def test_nothing_starts_on_outdated_machine_code(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "registrations" / "agent.py").unlink()
    found = compiled.outdated(tree)
    monkeypatch.setattr(compiled, "outdated", lambda: found)
    with pytest.raises(ImproperlyConfigured, match=r"agent\.py was changed .*make compile"):
        compiled.check()


@pytest.fixture(scope="module")
def spelled() -> Callable[[str], str]:
    spec = spec_from_file_location("spelled", ROOT / ".ci" / "spelled.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    made: Callable[[str], str] = module.spelled
    return made


def _as_written(name: str, source: str) -> ModuleType:
    module = sys.modules[name] = ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
    return module


def test_values_are_made_alike_by_the_constructors_that_the_compiler_gets(
    spelled: Callable[[str], str],
) -> None:
    plain, fast = _as_written("plain", VALUES), _as_written("fast", spelled(VALUES))
    for given in ((1,), (1, {"a": 1}), (1, {"a": 1}, "hush")):
        ours, theirs = fast.Try(*given), plain.Try(*given)
        assert repr(ours) == repr(theirs)
        assert {f.name: getattr(ours, f.name) for f in fields(ours)} == {
            f.name: getattr(theirs, f.name) for f in fields(theirs)
        }
        assert replace(ours, index=7).twice() == 14
    assert fast.Try(1) == fast.Try(1) != fast.Try(2)
    assert fast.Try(1).places is not fast.Try(1).places
    assert {fast.Place("a", 1), fast.Place("a", rank=2)} == {fast.Place("a")}
    with pytest.raises(TypeError, match="index"):
        fast.Try()


def test_the_compiler_gets_every_line_under_its_own_number(spelled: Callable[[str], str]) -> None:
    before, after = VALUES.splitlines(), spelled(VALUES).splitlines()
    assert [at for at, line in enumerate(before) if line] == [
        at for at, line in enumerate(after) if line and "__init__" not in line
    ]


def test_a_class_of_values_with_a_constructor_of_its_own_is_not_compiled(
    spelled: Callable[[str], str],
) -> None:
    with pytest.raises(ValueError, match="Try has a constructor"):
        spelled(VALUES.replace("def twice(self)", "def __init__(self)"))


def test_the_compiler_is_told_what_is_constant_and_nothing_else(
    spelled: Callable[[str], str],
) -> None:
    plain, fast = _as_written("plain", VALUES), _as_written("fast", spelled(VALUES))
    names = ("LAST", "ONE", "TWO", "KNOWN", "GROWN", "PATIENCE_S", "lent")
    assert [getattr(fast, name) for name in names] == [getattr(plain, name) for name in names]
    told = [line for line in spelled(VALUES).splitlines() if ": Final" in line]
    assert told == [
        "from typing import Final; LAST: Final = 1",
        "ONE: Final = 'one'; TWO: Final = 'two'",
        "KNOWN: Final[dict[str, int]] = {",
    ]


@pytest.mark.timeout(1200)
def test_the_rules_hold_of_the_compiled_rooms(tmp_path: Path) -> None:
    need("a C compiler")
    copy = tmp_path / "rollcall"
    left_out = shutil.ignore_patterns(".venv", ".git", ".data", "*.so", "__pycache__", "static")
    shutil.copytree(ROOT, copy, ignore=left_out)
    _run(copy, ".ci/compile.py")
    asked = "import registrations.agent as a; print(a.__file__)"
    assert _run(copy, "-c", asked).strip().endswith(".so")
    rules = [f"tests/registrations/{name}" for name in RULES]
    said = _run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", *rules)
    assert " passed" in said, said


def _run(copy: Path, *arguments: str) -> str:
    env = {**os.environ, "PYTHONPATH": str(copy)}
    ran = subprocess.run(
        [sys.executable, *arguments], cwd=copy, env=env, check=False, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout[-5000:] + ran.stderr[-5000:]
    return ran.stdout
