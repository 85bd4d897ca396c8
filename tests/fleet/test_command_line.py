"""Commands that cannot do what they should say why in a sentence."""

import subprocess
import sys
from pathlib import Path

from tests.support.product import ROOT, clean_environment


def command(tmp_path: Path, *args: str, **given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *args],
        env={**clean_environment(), "DATA_DIR": str(tmp_path / "data"), **given},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_a_folder_without_a_fleet_is_named(tmp_path: Path) -> None:
    done = command(tmp_path, "fleet_status")
    assert done.returncode == 1
    (said,) = done.stderr.strip().splitlines()
    assert f"DATA_DIR ({tmp_path}/data)" in said and "prepare" in said


def test_a_database_that_is_away_is_said_in_a_sentence(tmp_path: Path) -> None:
    done = command(
        tmp_path,
        "fleet_status",
        DATABASE_URL="postgres://u:hidden@127.0.0.1:1/none",
        SECRET_KEY="x" * 50,
        CREDENTIALS_KEY="MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
    )
    assert done.returncode == 1
    (said,) = done.stderr.strip().splitlines()
    assert "the database cannot be used" in said and "hidden" not in said


def test_a_reader_who_goes_away_is_no_fault(tmp_path: Path) -> None:
    assert command(tmp_path, "prepare").returncode == 0
    shell = f"{sys.executable} manage.py fleet_status | true"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {shell}"],
        env={**clean_environment(), "DATA_DIR": str(tmp_path / "data")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.stderr == ""


def test_the_database_is_for_its_owner_alone_in_a_folder_that_others_may_enter(
    tmp_path: Path,
) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    done = command(tmp_path, "prepare")
    assert done.returncode == 0, done.stderr
    found = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert any(path.name.endswith(".sqlite3") for path in found)
    assert [path for path in found if path.stat().st_mode & 0o077] == []
