"""Runs a command of manage.py; what an admin can mend is said in a sentence, not in a traceback."""

import logging
import os
import sys
from collections.abc import Sequence

from django.conf import settings
from django.core.management import execute_from_command_line
from django.db import InterfaceError, OperationalError, ProgrammingError

logger = logging.getLogger(__name__)


def run(arguments: Sequence[str]) -> None:
    """Run it to its end. SystemExit where the database is out of reach, or not ours."""
    # The database, exports and backups hold what no other user of this machine may read.
    os.umask(0o077)
    try:
        execute_from_command_line(list(arguments))
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has seen enough; what is still in the buffer has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (InterfaceError, OperationalError, ProgrammingError) as error:
        logger.debug("the command failed", exc_info=True)
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        sys.exit(f"Rollcall: {_why(reason)}")


def _why(reason: str) -> str:
    if "no such table" in reason or "does not exist" in reason:
        where = f"DATA_DIR ({settings.DATA_DIR})" if settings.EMBEDDED else "DATABASE_URL"
        return (
            f"there is no fleet in this database ({reason}). See that {where} is the one meant; "
            "'manage.py prepare' makes what is missing."
        )
    return f"the database cannot be used: {reason}"
