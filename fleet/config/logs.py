"""One line per event on stderr, in key=value form (logfmt), for stdlib and structlog alike."""

import re
from typing import Any

import structlog

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

_KEY = re.compile(r"(/wallboard/)[^/\s\"]+")


def without_keys(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """A wallboard's URL is its key: whoever logs a request must not tell it."""
    return {k: _KEY.sub(r"\1***", v) if isinstance(v, str) else v for k, v in event.items()}


_SHARED: list[Any] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    without_keys,
]


def config(level: str) -> dict[str, Any]:
    """The dictConfig; also points structlog at the standard library's handlers."""
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    quiet = {"handlers": [], "propagate": True}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _SHARED,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.LogfmtRenderer(
                        key_order=["timestamp", "level", "logger", "event"], bool_as_flag=False
                    ),
                ],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level if level in LEVELS else "INFO"},
        "loggers": {
            "django": quiet,
            "django.server": quiet,
            "uvicorn": quiet,
            "uvicorn.error": quiet,
            # One line per request is the proxy's business; a socket's URL tells nothing here.
            "uvicorn.access": {**quiet, "level": "WARNING"},
            "celery": quiet,
            # A line for each tick, each second, would drown the rest.
            "celery.beat": {**quiet, "level": "WARNING"},
            "celery.worker.strategy": {**quiet, "level": "WARNING"},
            "celery.app.trace": {**quiet, "level": "WARNING"},
        },
    }
