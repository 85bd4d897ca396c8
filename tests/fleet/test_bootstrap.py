"""Setting up a fresh clone: what is said, in one sentence, when it cannot be done."""

import ast
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from fleet.config import bootstrap

SOURCE = Path(bootstrap.__file__)
NOWHERE = "http://127.0.0.1:9/simple"
"""The discard port: nobody listens there."""


def clone(folder: Path, *requirements: str) -> Path:
    """As much of a clone as the bootstrap looks at."""
    (folder / "fleet/config").mkdir(parents=True)
    shutil.copy(SOURCE, folder / "fleet/config/bootstrap.py")
    (folder / "requirements.txt").write_text("\n".join(requirements) + "\n")
    (folder / "requirements-dev.txt").write_text("-r requirements.txt\n")
    return folder


def run(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "PYTHON"))}
    return subprocess.run(
        [sys.executable, str(folder / "fleet/config/bootstrap.py"), *arguments],
        capture_output=True,
        text=True,
        env={**kept, "PIP_CONFIG_FILE": os.devnull, **env},
        timeout=100,
    )


def test_the_oldest_python_3_can_read_it() -> None:
    ast.parse(SOURCE.read_text(), feature_version=(3, 4))


@pytest.mark.parametrize("version", [(3, 4, 2), (3, 9, 2), (3, 10, 14)])
def test_an_old_python_is_told_which_one_is_needed(version: tuple[int, ...]) -> None:
    with pytest.raises(bootstrap.BootstrapError, match=r"needs Python 3\.11 or newer") as refused:
        bootstrap.check_python(version)
    assert ".".join(map(str, version)) in str(refused.value)


def test_newer_pythons_pass() -> None:
    bootstrap.check_python((3, 11, 0))
    bootstrap.check_python((3, 13, 1))


def test_a_python_without_venv_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(bootstrap.BootstrapError, match="python3-venv"):
        bootstrap.check_venv_module()


def test_a_folder_that_cannot_be_written_is_one_sentence() -> None:
    with pytest.raises(bootstrap.BootstrapError, match="cannot write in /proc/1/net"):
        bootstrap.make_venv("/proc/1/net")


def test_a_registry_out_of_reach_is_one_sentence_and_a_failure(tmp_path: Path) -> None:
    folder = clone(tmp_path, "no-such-package-of-ours==1.0")
    venv.create(folder / ".venv", with_pip=True)
    done = run(folder, PIP_INDEX_URL=NOWHERE)
    assert done.returncode == 1
    assert done.stderr.startswith("Rollcall: The Python package registry is out of reach")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert not bootstrap.is_installed(str(folder), bootstrap.RUNTIME)


def test_requirements_are_installed_once_and_again_when_they_change(tmp_path: Path) -> None:
    folder = clone(tmp_path)
    first = run(folder, "--dev", PIP_INDEX_URL=NOWHERE)
    assert first.returncode == 0, first.stderr
    assert "installing requirements-dev.txt" in first.stdout
    again = run(folder, PIP_INDEX_URL=NOWHERE)
    assert (again.returncode, again.stdout) == (0, ""), "--dev installs the runtime's as well"

    (folder / "requirements.txt").write_text("no-such-package-of-ours==1.0\n")
    changed = run(folder, PIP_INDEX_URL=NOWHERE)
    assert changed.returncode == 1
    assert "installing requirements.txt" in changed.stdout


def test_a_broken_environment_is_made_again(tmp_path: Path) -> None:
    folder = clone(tmp_path)
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/python").symlink_to("/no/such/python")
    done = run(folder, PIP_INDEX_URL=NOWHERE)
    assert done.returncode == 0, done.stderr
    assert bootstrap.works(str(folder / ".venv/bin/python"))


def test_another_failure_of_pip_is_told_by_its_last_error() -> None:
    said = "Collecting x\nERROR: Could not install packages: [Errno 28] No space left on device\n"
    assert "No space left on device" in bootstrap.why(said, "requirements.txt", "install.log")
