"""A worker begins when its tables are there, and not at all with keys that open nothing."""

from pathlib import Path

from tests.support.fleet import WARD_POLICY
from tests.support.installation import Installation
from tests.support.processes import wait_for_exit
from tests.support.waiting import wait_until

FLEET = {
    "sites": [{"name": "main"}],
    "groups": [
        {
            "name": "ward",
            "mode": "failover",
            "servers": [{"address": "127.0.0.2", "port": 5060, "transport": "udp"}],
            "policy": WARD_POLICY,
        }
    ],
    "handsets": [
        {
            **{"mac": "00907a004000", "extension": "4000", "domain": "rollcall.test"},
            **{"auth_user": "4000", "auth_password": "pw-4000", "group": "ward", "site": "main"},
            "supervision": "off",
        }
    ],
}


def test_a_worker_waits_for_its_tables_and_begins_with_them(tmp_path: Path, redis_url: str) -> None:
    here = Installation(tmp_path)
    here.env["REDIS_URL"] = redis_url
    worker = here.start_worker()
    try:
        wait_until(
            lambda: "waiting: the database lacks the migration" in worker.log.read_text(),
            60,
            "the worker says what it waits for",
            seen=worker.tail,
        )
        assert "ready" not in worker.log.read_text()
        here.manage("prepare")
        wait_until(
            lambda: "ready" in worker.log.read_text(), 60, "the worker begins", seen=worker.tail
        )
    finally:
        worker.kill()

    here.import_fleet(FLEET)
    here.env["CREDENTIALS_KEY"] = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
    stranger = here.start_worker()
    try:
        assert wait_for_exit(stranger, 60) != 0
    finally:
        stranger.kill()
    said = stranger.log.read_text()
    assert "CREDENTIALS_KEY does not open the SIP passwords" in said
    assert "Traceback" not in said
    assert "CREDENTIALS_KEY" in here.manage("prepare", fails=True)
