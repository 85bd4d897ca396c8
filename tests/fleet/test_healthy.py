"""The health checks of containers: who works is left alone, who hangs is found and ended."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fleet import pulse
from tests.support.processes import Child, free_port
from tests.support.product import ROOT, clean_environment
from tests.support.waiting import wait_until

SCRIPT = str(ROOT / "fleet/config/healthy.py")


def healthy(what: str, alive: Path, **given: str) -> int:
    return subprocess.run(
        [sys.executable, SCRIPT, what],
        env={**clean_environment(), "ALIVE_FILE": str(alive), **given},
        stdout=subprocess.DEVNULL,
        timeout=60,
    ).returncode


def quiet_for(alive: Path, seconds: float) -> None:
    os.utime(alive, (time.time() - seconds, time.time() - seconds))


def test_who_stirs_is_healthy_and_who_does_not_is_not(tmp_path: Path, settings: Any) -> None:
    alive = tmp_path / "alive"
    settings.ALIVE_FILE = str(alive)
    assert healthy("stirred", alive) == 0, "it counts from the first look"
    quiet_for(alive, 30)
    assert healthy("stirred", alive) == 1
    pulse.stir()
    assert healthy("stirred", alive) == 0


def test_a_full_or_missing_folder_ends_no_worker(
    settings: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings.ALIVE_FILE = str(tmp_path / "none" / "alive")
    pulse.stir()
    assert "cannot be touched" in caplog.text
    settings.ALIVE_FILE = ""
    pulse.stir()


def test_the_answerer_is_asked_as_a_registrar_would(tmp_path: Path) -> None:
    alive, place = tmp_path / "alive", f"127.0.0.1:{free_port()}"
    given = {"SIP_CONTACT": place, "DATA_DIR": str(tmp_path / "data")}
    assert healthy("answerer", alive, **given) == 1
    child = Child(
        "answerer",
        [sys.executable, "manage.py", "answerer"],
        tmp_path / "log",
        env={**clean_environment(), **given},
        cwd=ROOT,
    )
    try:
        wait_until(
            lambda: healthy("answerer", alive, **given) == 0,
            60,
            "the answerer is healthy",
            seen=child.tail,
        )
    finally:
        child.kill()
    assert healthy("answerer", alive, **given) == 1


@pytest.mark.skipif(
    shutil.which("unshare") is None or os.getuid() != 0,
    reason="needs root and unshare",
)
def test_what_is_dead_for_a_minute_is_ended_and_nobody_else(tmp_path: Path) -> None:
    """In a process namespace of its own, as in a container: init, what it runs, and the check."""
    alive = tmp_path / "alive"
    alive.touch()
    script = (
        "sleep 100 & main=$!; "
        f"touch -d '-30 seconds' {alive}; ({sys.executable} {SCRIPT} stirred; true); "
        "kill -0 $main && echo quiet; "
        f"touch -d '-90 seconds' {alive}; ({sys.executable} {SCRIPT} stirred; true); "
        "wait $main; echo ended $?"
    )
    done = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", script],
        env={**clean_environment(), "ALIVE_FILE": str(alive)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    if "unshare:" in done.stderr:
        pytest.skip(f"no namespaces here: {done.stderr.strip()}")
    assert "quiet" in done.stdout
    assert "ended 137" in done.stdout, (done.stdout, done.stderr)
