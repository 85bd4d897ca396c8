"""The Celery application: `celery -A fleet.config.celery`."""

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging, task_prerun
from django.db import connection

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fleet.config.settings")

app = Celery("rollcall")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def keep_djangos_logging(**_: Any) -> None:
    """Celery sets up no logging of its own while somebody listens to this signal."""


@task_prerun.connect
def leave_a_dead_connection(**_: Any) -> None:
    """Use the connection of the task before, if it works: a new one costs more than most tasks."""
    if connection.connection is None or connection.in_atomic_block:
        return
    if connection.errors_occurred or not connection.is_usable():
        connection.close()
