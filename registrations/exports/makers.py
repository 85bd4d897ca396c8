"""Who makes the exports: one process at a time beside each worker; so no agent waits for it."""

import subprocess
import sys

from django.conf import settings

from fleet.supervisor import die_with_parent
from registrations.exports import orders

_maker: subprocess.Popen[bytes] | None = None


def tend() -> None:
    """Forget what is too old; begin what waits, if nothing is being made here."""
    global _maker
    orders.clean()
    if _maker is not None and _maker.poll() is None:
        return
    _maker = None
    job = orders.waiting().first()
    if job is not None:
        manage = str(settings.BASE_DIR / "manage.py")
        command = [sys.executable, manage, "make_export", str(job.pk)]
        _maker = subprocess.Popen(command, preexec_fn=die_with_parent())  # noqa: S603 - ours
