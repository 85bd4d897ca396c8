"""Celery's part: each second a tick hints at the sites with due work; a hint rouses a worker.

A hint carries no state and expires soon. Two of them do no more than one, and a lost one is made
good by the next tick; where none comes, the runtime looks for itself. The bodies return in
milliseconds: the work is the runtime's.
"""

import time
from collections.abc import Collection
from functools import partial
from socket import gethostname
from typing import Any

from celery import shared_task
from celery.signals import (
    after_task_publish,
    before_task_publish,
    worker_init,
    worker_ready,
    worker_shutdown,
)
from django.conf import settings
from django.utils import timezone

from fleet import checks, pulse, versions
from fleet.models import Site
from registrations import census, live, retention, rounds, store, vitals, watch
from registrations.alerts import reporting
from registrations.rounds import OUTAGE
from registrations.runtime import memory
from registrations.runtime.engine import Name
from registrations.runtime.loop import LoopThread

HINT_EXPIRES_S = 2
CENSUS_EXPIRES_S = 30
SHARED_QUEUE = "rollcall"

_runtime: LoopThread | None = None
_queues: frozenset[str] = frozenset()
"""Those this worker takes hints from."""


@shared_task(name="registrations.tasks.tick", expires=HINT_EXPIRES_S, throws=OUTAGE)
def tick() -> None:
    """Hint at every site that has due registrations, probes or proofs; say that beat still does.

    Then look after all else that is looked after each second.
    """
    live.ticked()
    if _runtime is not None:
        _runtime.ticked()
    for site_id, queue in _sites_with_due_work():
        if _runtime is not None and queue in _queues:
            # A message to ourselves would cost more than the claim.
            _runtime.kick(site_id)
        else:
            run_due.apply_async((site_id,), queue=queue, expires=HINT_EXPIRES_S, retry=False)
    rounds.go_round(timezone.now())


@shared_task(name="registrations.tasks.end_stuck", expires=HINT_EXPIRES_S, throws=OUTAGE)
def end_stuck() -> None:
    """Begin agents anew that came to no end and that no worker ended."""
    watch.end_stuck(timezone.now())


@shared_task(name="registrations.tasks.forget_history", expires=HINT_EXPIRES_S, throws=OUTAGE)
def forget_history() -> None:
    """Delete some of what is older than is kept."""
    retention.forget()


@shared_task(name="registrations.tasks.send_reports", expires=CENSUS_EXPIRES_S, throws=OUTAGE)
def send_reports() -> None:
    """Queue the reports by mail whose hour has come."""
    reporting.send_reports(timezone.now())


@shared_task(name="registrations.tasks.take_census", expires=CENSUS_EXPIRES_S, throws=OUTAGE)
def take_census() -> None:
    """Count the fleet for this minute, and once an hour whom each server would take."""
    now = timezone.now()
    census.take(now)
    census.take_readiness(now)


@shared_task(name="registrations.tasks.thin_census", expires=CENSUS_EXPIRES_S, throws=OUTAGE)
def thin_census() -> None:
    """Let go of what need not be kept any longer."""
    census.thin(timezone.now())


@shared_task(name="registrations.tasks.run_due", expires=HINT_EXPIRES_S)
def run_due(site_id: int) -> None:
    """Let this process claim what it has room for."""
    if _runtime is not None:
        _runtime.kick(site_id)


def hint(site_id: int) -> None:
    """Recruit another worker process: there is more due at that site than one claim takes."""
    site = Site.objects.filter(pk=site_id).first()
    if site is not None:
        run_due.apply_async((site_id,), queue=queue_of(site), expires=HINT_EXPIRES_S, retry=False)


def queue_of(site: Site) -> str:
    """Return the Celery queue whose workers stand in that site's network."""
    return _queue(site.name, site.has_own_workers)


def _queue(site: str, has_own_workers: bool) -> str:
    return f"site.{site}" if has_own_workers else SHARED_QUEUE


def _sites_with_due_work() -> list[tuple[int, str]]:
    found = store.sites_with_work(with_proofs=bool(settings.PROVE_EVERY))
    return [(pk, _queue(name, own)) for pk, name, own in found]


def due_at(queues: Collection[str]) -> list[int]:
    """Return the sites with due work that is for who listens to these queues."""
    return [site_id for site_id, queue in _sites_with_due_work() if queue in queues]


@before_task_publish.connect(sender="registrations.tasks.tick")
def stir_beat(**_: Any) -> None:
    """In beat's process: a tick is on its way, whether the broker takes it or not."""
    pulse.stir()


@after_task_publish.connect(sender="registrations.tasks.tick")
def say_that_beat_lives(**_: Any) -> None:
    """In beat's process: the broker has taken a tick."""
    vitals.tell("beat", f"beat@{gethostname()}")


@worker_init.connect
def see_to_stores(**_: Any) -> None:
    """Wait for this version's tables; end with a sentence where the keys are not those in use."""
    versions.wait_for_tables()
    if wrong := checks.of_worker():
        raise SystemExit(f"Rollcall: {wrong[0]}")


@worker_ready.connect
def start_runtime(sender: Any, **_: Any) -> None:
    """Start the runtime with the worker, so that it is heard before anything is due."""
    global _runtime, _queues
    if _runtime is None:
        name = Name(worker=str(sender.hostname), site=",".join(settings.WORKER_SITES))
        _queues = frozenset(sender.app.amqp.queues.consume_from)
        _runtime = LoopThread(hint, name, partial(due_at, _queues))
    _runtime.start()
    memory.settle()
    store.hasten_proofs(time.time())


@worker_shutdown.connect
def stop_runtime(**_: Any) -> None:
    """Save and give back everything before the process ends."""
    if _runtime is not None:
        _runtime.stop()
