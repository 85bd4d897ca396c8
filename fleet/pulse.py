"""A process's own word that it works: it touches a file, and Docker's health check looks at it."""

import logging
from pathlib import Path

from django.conf import settings

logger = logging.getLogger(__name__)


def stir() -> None:
    """Say so; call it each second, from where the work is done. Nothing without ALIVE_FILE."""
    if not settings.ALIVE_FILE:
        return
    try:
        Path(settings.ALIVE_FILE).touch()
    except OSError as error:
        logger.error("ALIVE_FILE %s cannot be touched: %s", settings.ALIVE_FILE, error.strerror)
