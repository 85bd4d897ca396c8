"""The log: one line per event, whoever writes it and whatever it holds."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WRITES = """
import logging, logging.config, structlog
from fleet.config import logs
logging.config.dictConfig(logs.config("INFO"))
try:
    raise ValueError("two\\nlines")
except ValueError:
    logging.getLogger("somebody").exception("it %s", "broke")
structlog.get_logger("fleet.test").info("fleet imported", by="vera")
logging.getLogger("uvicorn.access").warning("GET %s", "/wallboard/s3cret-Key/?a=b")
logging.getLogger("celery.beat").info("a tick each second is no event")
"""


def test_an_event_is_one_line_and_tells_no_wallboards_key() -> None:
    command = [sys.executable, "-c", WRITES]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60).stderr
    first, second, third = said.splitlines()
    assert 'event="it broke"' in first
    assert "ValueError: two\\nlines" in first
    assert second.endswith('logger=fleet.test event="fleet imported" by=vera')
    assert "s3cret-Key" not in said
    assert "GET /wallboard/***/?a=b" in third.replace("\\", "")
