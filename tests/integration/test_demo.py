"""What a newcomer does: one command, a fleet that registers, and Ctrl-C that leaves nothing."""

import re
import signal
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.processes import Child, free_port, processes_with, wait_for_exit
from tests.support.product import ADMIN, PASSWORD, ROOT, Product
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(900)

HANDSETS = 200


def log_in(page: Page, demo: "Demo") -> None:
    page.goto(f"{demo.url}/accounts/login/")
    page.get_by_label("User name").fill(ADMIN)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(f"{demo.url}/")


class Demo(Product):
    """`manage.py up` in an empty folder: everything it needs it brings along."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, redis_url="")
        for embedded in ("REDIS_URL", "SECRET_KEY", "CREDENTIALS_KEY", "SIP_CONTACT"):
            del self.env[embedded]
        self.env["DEMO"] = "1"
        self.runs: list[Child] = []

    def up(self) -> Child:
        """Start it and wait until it is ready."""
        log = self.home / f"up-{len(self.runs)}.log"
        child = Child("up", [sys.executable, "manage.py", "up"], log, env=self.env, cwd=ROOT)
        self.runs.append(child)

        def ready() -> bool:
            assert child.exit_code is None, child.tail(60)
            answer = self._readiness()
            return isinstance(answer, tuple) and answer[0] == 200

        try:
            wait_until(ready, 60, f"{self.url}/readyz says 200", seen=self._readiness)
        except AssertionError as error:
            error.add_note(child.tail(60))
            raise
        return child

    def stop(self) -> None:
        for child in self.runs:
            child.stop(within=20)

    def processes(self) -> dict[int, str]:
        return processes_with("DATA_DIR", str(self.data_dir))


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    made = Demo(tmp_path)
    try:
        yield made
    finally:
        made.stop()


def test_one_command_registers_the_demo_fleet_and_ctrl_c_leaves_nothing_behind(demo: Demo) -> None:
    first = demo.up()
    said = first.log.read_text()
    assert demo.url in said
    assert re.search(r"password", said, re.IGNORECASE), said
    demo.token = demo.manage("create_token", "admin").strip()
    wait_until(
        lambda: demo.states() == Counter(primary=HANDSETS),
        60,
        f"all {HANDSETS} demo handsets are on a primary",
        every=0.5,
        seen=demo.states,
    )
    groups = demo.every("groups")
    assert sorted(group["mode"] for group in groups) == ["failover", "fallback"]

    first.interrupt(signal.SIGINT)
    wait_for_exit(first, 60)
    wait_until(lambda: not demo.processes(), 30, "no process is left", seen=demo.processes)

    second = demo.up()
    assert len(demo.registrations()) == HANDSETS, "the second run did not go on with the first's"
    assert not re.search(r"password", second.log.read_text(), re.IGNORECASE)
    second.interrupt(signal.SIGKILL)
    wait_for_exit(second, 30)
    wait_until(lambda: not demo.processes(), 30, "its children died with it", seen=demo.processes)


def test_a_taken_port_is_one_sentence_and_a_failure(tmp_path: Path) -> None:
    demo = Demo(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        port = taken.getsockname()[1]
        said = demo.manage("up", env={"PORT": str(port)}, fails=True).strip()
    assert str(port) in said
    assert "Traceback" not in said
    assert len(said.splitlines()) == 1, said
    wait_until(lambda: not demo.processes(), 30, "no process is left", seen=demo.processes)


@pytest.mark.browser
def test_a_newcomer_watches_a_failover_and_the_way_home(page: Page, demo: Demo) -> None:
    demo.env["ADMIN_PASSWORD"] = PASSWORD
    demo.up()
    demo.token = demo.manage("create_token", ADMIN).strip()
    log_in(page, demo)
    headline = page.locator('[data-summary="headline"]')
    expect(headline).to_have_text(f"All {HANDSETS} on primary.", timeout=60_000)

    panel = page.locator(".demo-server")
    panel.first.get_by_role("button", name="Stop").click()
    expect(panel.first).to_contain_text("Stopped")
    page.evaluate("window.notReloaded = true")
    # First the probes: everybody's server is silent. Then, expires being 20, the renewals.
    expect(headline).to_contain_text("on a primary that is silent", timeout=30_000)
    expect(headline).to_have_text(
        re.compile(
            rf"^0 of {HANDSETS} on primary; \d+ on secondary since .+; \d+ on fallback since .+\.$"
        ),
        timeout=40_000,
    )
    assert page.evaluate("window.notReloaded") is True
    states = demo.states()
    assert states["secondary"] + states["fallback"] == HANDSETS, states

    panel.first.get_by_role("button", name="Start").click()
    expect(headline).to_have_text(f"All {HANDSETS} on primary.", timeout=90_000)
