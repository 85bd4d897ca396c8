"""Who makes exports and imports: one process of each beside a worker; no agent waits for them."""

import math
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings

from fleet import import_orders
from fleet.supervisor import die_with_parent
from registrations.exports import orders as export_orders

CLEAN_EVERY_S = 60.0


class Maker:
    """Runs a command with the id of what waits, one at a time."""

    def __init__(self, command: str, waiting: Callable[[], Any], clean: Callable[[], None]) -> None:
        self._command = command
        self._waiting = waiting
        self._clean = clean
        self._cleaned_at = -math.inf
        self.process: subprocess.Popen[bytes] | None = None

    def tend(self) -> None:
        """Forget what is too old; begin what waits, if nothing is being made here."""
        if time.monotonic() - self._cleaned_at > CLEAN_EVERY_S:
            self._cleaned_at = time.monotonic()
            self._clean()
        if self.process is not None and self.process.poll() is None:
            return
        self.process = None
        job = self._waiting().first()
        if job is not None:
            manage = str(settings.BASE_DIR / "manage.py")
            command = [sys.executable, manage, self._command, str(job.pk)]
            self.process = subprocess.Popen(  # noqa: S603 - ours
                command, preexec_fn=die_with_parent()
            )


EXPORTS = Maker("make_export", export_orders.waiting, export_orders.clean)
IMPORTS = Maker("make_import", import_orders.waiting, import_orders.clean)
