"""The web process as it is started: what is loaded with it stays, and holds up no socket."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOADS = """
import gc, json, sys
import fleet.config.asgi
told = "registrations.views" in sys.modules, len(gc.get_objects()), gc.get_freeze_count()
sys.stdout.write(json.dumps(told))
"""


def test_pages_are_loaded_before_they_are_asked_for_and_never_looked_through_for_garbage() -> None:
    command = [sys.executable, "-c", LOADS]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    has_pages, looked_through, frozen = json.loads(done.stdout)
    assert has_pages
    assert looked_through < frozen / 20
