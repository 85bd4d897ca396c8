"""One line per event on stderr, as key=value (logfmt) or JSON, for stdlib and structlog alike."""

import logging
import re
from typing import Any

import structlog

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

_KEY = re.compile(r"(/(?:wallboard|notify)/)[^/\s\"]+")


def without_keys(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Some URLs are keys, a wallboard's and a handset's: whoever logs a request must not tell."""
    return {k: _KEY.sub(r"\1***", v) if isinstance(v, str) else v for k, v in event.items()}


def without_refusals(record: logging.LogRecord) -> bool:
    """A request that was refused is one line: where it was refused says nothing of a fault."""
    if getattr(record, "status_code", 500) < 500:
        record.exc_info = None
    return True


_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    without_keys,
]


_quiet = {"handlers": [], "propagate": True}
_LOGGERS = {
    "django": _quiet,
    "django.server": _quiet,
    "uvicorn": _quiet,
    "uvicorn.error": _quiet,
    # One line per request is the proxy's business; a socket's URL tells nothing here.
    "uvicorn.access": {**_quiet, "level": "WARNING"},
    "celery": _quiet,
    # A line for each tick, each second, would drown the rest.
    "celery.beat": {**_quiet, "level": "WARNING"},
    "celery.worker.strategy": {**_quiet, "level": "WARNING"},
    "celery.app.trace": {**_quiet, "level": "WARNING"},
    # It tells, at DEBUG, what only the browser and the provider may know.
    "authlib": {**_quiet, "level": "WARNING"},
    # It names topics and addresses, which are keys to whoever knows them.
    "apprise": {**_quiet, "level": "CRITICAL"},
}


RENDERERS: dict[str, Any] = {
    "logfmt": structlog.processors.LogfmtRenderer(
        key_order=["timestamp", "level", "logger", "event"], bool_as_flag=False
    ),
    "json": structlog.processors.JSONRenderer(ensure_ascii=False),
}
"""LOG_FORMAT: for people, and for machines that collect logs."""


def config(level: str, form: str = "logfmt") -> dict[str, Any]:
    """The dictConfig; also points structlog at the standard library's handlers."""
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _SHARED,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    RENDERERS[form],
                ],
            }
        },
        "filters": {"refusals": {"()": lambda: without_refusals}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "line",
                "filters": ["refusals"],
            }
        },
        "root": {"handlers": ["stderr"], "level": level if level in LEVELS else "INFO"},
        "loggers": _LOGGERS,
    }
