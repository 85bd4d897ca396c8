"""One command keeps everything running on one machine, and only once per folder."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.test_demo import Demo
from tests.support.processes import wait_for_exit
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(600)

CHILDREN = ("redis", "web", "worker-1", "beat", "answerer")


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Demo]:
    """`manage.py up` without the demo's fleet."""
    made = Demo(tmp_path)
    made.env["DEMO"] = "0"
    try:
        yield made
    finally:
        made.stop()


def pids(product: Demo) -> dict[str, int]:
    folder = product.data_dir / "run"
    return {path.stem: int(path.read_text()) for path in folder.glob("*.pid")}


def test_a_second_run_on_the_same_folder_is_refused_in_one_sentence(product: Demo) -> None:
    product.up()
    before = pids(product)
    said = product.manage("up", fails=True).strip()
    assert "already runs" in said and str(product.data_dir) in said
    assert len(said.splitlines()) == 1, said
    assert pids(product) == before


def test_whatever_is_killed_comes_back(product: Demo) -> None:
    run = product.up()
    before = pids(product)
    assert set(before) == {*CHILDREN, "up"}
    for name in CHILDREN:
        os.kill(before[name], signal.SIGKILL)

    def all_are_back() -> bool:
        now = pids(product)
        return all(now.get(name, before[name]) != before[name] for name in CHILDREN)

    def ready() -> bool:
        answer = product._readiness()
        return isinstance(answer, tuple) and answer[0] == 200

    wait_until(all_are_back, 30, "every child has a new process", seen=run.tail)
    # Redis died too and knows nothing of the workers of before: ready means the new ones.
    wait_until(ready, 40, "it is ready again", seen=product._readiness)
    assert run.exit_code is None


def test_an_admin_is_made_once_with_the_password_that_was_asked_for(product: Demo) -> None:
    product.env["ADMIN_PASSWORD"] = "a-password-of-our-own"
    run = product.up()
    assert "a-password-of-our-own" not in run.log.read_text()
    check = "from django.contrib.auth import get_user_model as m; u = m().objects.get()"
    say = "print('admin:', u.username, u.is_superuser, u.check_password('a-password-of-our-own'))"
    assert "admin: admin True True" in product.manage("shell", "-c", f"{check}; {say}")
    run.interrupt(signal.SIGTERM)
    wait_for_exit(run, 60)
    assert pids(product) == {}
