"""The log: one line per event, whoever writes it and whatever it holds."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WRITES = """
import logging, logging.config, structlog
from fleet import request_id
from fleet.config import logs
logging.config.dictConfig(logs.config("INFO", "{form}"))
try:
    raise ValueError("two\\nlines")
except ValueError:
    logging.getLogger("somebody").exception("it %s", "broke")
with request_id.bound("0123456789"):
    structlog.get_logger("fleet.test").info("fleet imported", by="vera")
logging.getLogger("uvicorn.access").warning("GET %s", "/wallboard/s3cret-Key/?a=b")
logging.getLogger("celery.beat").info("a tick each second is no event")
"""


def lines(form: str) -> list[str]:
    command = [sys.executable, "-c", WRITES.replace("{form}", form)]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60).stderr
    assert "s3cret-Key" not in said
    return said.splitlines()


def test_an_event_is_one_line_and_tells_no_wallboards_key() -> None:
    first, second, third = lines("logfmt")
    assert 'event="it broke"' in first
    assert "ValueError: two\\nlines" in first
    assert second.endswith('logger=fleet.test event="fleet imported" by=vera request=0123456789')
    assert "GET /wallboard/***/?a=b" in third.replace("\\", "")


def test_for_machines_an_event_is_one_json_object() -> None:
    first, second, third = map(json.loads, lines("json"))
    assert first["event"] == "it broke" and "ValueError: two\nlines" in first["exception"]
    assert second.pop("timestamp")
    assert second == {
        "event": "fleet imported",
        "by": "vera",
        "level": "info",
        "logger": "fleet.test",
        "request": "0123456789",
    }
    assert third["event"] == "GET /wallboard/***/?a=b"
