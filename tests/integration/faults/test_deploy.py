"""A newer version beside this one, as every deploy has it for a while, and the way back."""

import shutil
from pathlib import Path

import pytest

from tests.support.chaos import EXPIRES_S, HANDSETS, Fault
from tests.support.hospital import Hospital
from tests.support.product import ROOT
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(900)

NEWER = {
    "registrations/keeping.py": [
        ("FORMAT = 1", "FORMAT = 2"),
        ("t.tls_name, t.ttl]", 't.tls_name, t.ttl, "of tomorrow"]'),
        ('"phase": str(binding', '"of_tomorrow": 1, "phase": str(binding'),
    ],
    "registrations/agent.py": [
        ('"aor": self._aor,', '"aor": self._aor, "of_tomorrow": {},'),
        ('"cause": standing.cause,', '"cause": standing.cause, "of_tomorrow": 1,'),
    ],
    "registrations/live/publisher.py": [
        (
            'messages.append({"kind": "tick"})',
            'messages += [{"kind": "of_tomorrow"}, {"kind": "tick"}]',
        ),
    ],
}
"""What a later version may do: keep more, and keep it in a format of its own."""


def newer_version(home: Path) -> Path:
    for part in ("fleet", "registrations", "manage.py"):
        source, target = ROOT / part, home / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    for name, edits in NEWER.items():
        text = (home / name).read_text()
        for old, new in edits:
            assert old in text, f"{name} has no {old!r} any more"
            text = text.replace(old, new)
        (home / name).write_text(text)
    return home


def of_the_newer(icu: Hospital) -> int:
    ((count,),) = icu.sql(
        "SELECT count(*) FROM registrations_registration WHERE snapshot_format = 2"
    )
    return int(count)


def test_a_newer_workers_rows_are_left_to_it(icu: Hospital, tmp_path: Path) -> None:
    with Fault(icu, "deploy: a newer worker beside an old one, and a failover", on=icu.secondary):
        newer = icu.product.start_worker(tree=newer_version(tmp_path))
        wait_until(lambda: of_the_newer(icu), EXPIRES_S + 30, "the newer one has worked")
        icu.primary.set_fault(503)
    icu.primary.set_fault(None)
    wait_until(
        lambda: of_the_newer(icu) == HANDSETS,
        8 * EXPIRES_S,
        "the newer one has had them all, and no old one took them back",
        seen=lambda: of_the_newer(icu),
    )
    with Fault(icu, "deploy taken back: the old worker goes on with what the newer kept"):
        newer.stop()
        icu.sql("UPDATE registrations_registration SET snapshot_format = 1 RETURNING id")
        icu.all_renew(EXPIRES_S + 30)
