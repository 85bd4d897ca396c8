"""Exports made in the background: ordered, made under a lease, downloaded, forgotten in time.

The order is rows. Whoever makes it holds its lease and renews it with every part it writes; if it
dies, the lease runs out and somebody else begins anew. A maker that lost its lease writes nothing.
"""

import time
import uuid
import zlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Q
from django.http import QueryDict
from django.utils import timezone

from fleet import request_id
from registrations.exports.export import Export, Format, prepare
from registrations.exports.source import ExportRefused
from registrations.models import ExportJob, ExportPart

log = structlog.get_logger(__name__)

KEPT = timedelta(hours=24)
"""How long a file can be downloaded after it was made."""

LEASE = timedelta(seconds=60)
PART = 1 << 18
"""Bytes of the file in one part, before it is compressed."""

TELL_S = 1.0
"""How often progress is told while no part is full yet."""


class LeaseLost(Exception):
    """The job was deleted, or somebody else makes it now."""


def order(kind: str, params: QueryDict, user: Any) -> ExportJob:
    """Order an export; what is wrong with it is said at once. Raises ExportRefused."""
    export = prepare(kind, params)
    return ExportJob.objects.create(
        kind=kind,
        query=params.urlencode(),
        asked_by=user.get_username(),
        request_id=request_id.current(),
        rows=export.rows,
    )


def unfinished() -> Any:
    """Return the jobs that are not over, whoever makes them."""
    return ExportJob.objects.filter(finished_at=None, failure="").order_by("pk")


def waiting() -> Any:
    """Return the jobs that nobody makes."""
    return unfinished().filter(Q(leased_until=None) | Q(leased_until__lt=timezone.now()))


def make(pk: int) -> bool:
    """Make that export if nobody else does; return whether its file is whole."""
    token = uuid.uuid4()
    lease = {"lease_token": token, "leased_until": timezone.now() + LEASE, "done": 0, "size": 0}
    if not waiting().filter(pk=pk).update(**lease):
        return False
    job = ExportJob.objects.get(pk=pk)
    job.parts.all().delete()
    with request_id.bound(job.request_id):
        return _try(job, token)


def _try(job: ExportJob, token: uuid.UUID) -> bool:
    try:
        _write(job, prepare(job.kind, QueryDict(job.query)), token)
    except LeaseLost:
        log.warning("export lost", export=job.pk)
        return False
    except ExportRefused as refused:
        log.warning("export refused", export=job.pk, why=str(refused))
        _held(job.pk, token).update(failure=str(refused)[:300])
        return False
    log.info("export made", export=job.pk, kind=job.kind)
    return True


def content(job: ExportJob) -> Iterator[bytes]:
    """Yield the file's bytes, a part at a time."""
    number = 0
    while part := ExportPart.objects.filter(job=job, number=number).first():
        yield zlib.decompress(bytes(part.data))
        number += 1


def clean() -> None:
    """Delete what is too old to be downloaded, and what was left undone as long ago."""
    gone = timezone.now() - KEPT
    ExportJob.objects.filter(
        Q(finished_at__lt=gone) | Q(finished_at=None, created_at__lt=gone)
    ).delete()


def described(job: ExportJob) -> dict[str, Any]:
    """Return a job as page and API tell it."""
    asked, state = QueryDict(job.query, mutable=True), "waiting"
    wanted = asked.pop("format", [Format.CSV.value])
    if job.failure:
        state = "failed"
    elif job.finished_at is not None:
        state = "ready"
    elif job.leased_until is not None and job.leased_until > timezone.now():
        state = "running"
    return {
        "id": job.pk,
        "kind": job.kind,
        "query": job.query,
        "filter": asked.urlencode(),
        "format": wanted[-1],
        "state": state,
        "asked_by": job.asked_by,
        "created_at": job.created_at,
        "rows": job.rows,
        "done": job.done,
        "size": job.size,
        "filename": job.filename,
        "failure": job.failure,
        "expires_at": None if job.finished_at is None else job.finished_at + KEPT,
    }


def _held(pk: int, token: uuid.UUID) -> Any:
    return ExportJob.objects.filter(pk=pk, lease_token=token, finished_at=None)


def _write(job: ExportJob, export: Export, token: uuid.UUID) -> None:
    """Write the file part by part. Raises LeaseLost."""
    about = {"rows": export.rows, "filename": export.filename, "headers": export.headers}
    _held(job.pk, token).update(**about)
    number, size, pending, told = 0, 0, bytearray(), time.monotonic()
    for data in export.steps():
        pending += data
        while len(pending) >= PART or time.monotonic() - told > TELL_S:
            part, pending = pending[:PART], pending[PART:]
            size += len(part)
            number = _keep(job.pk, token, number, part, done=export.done, size=size)
            told = time.monotonic()
    size += len(pending)
    ended = {"done": export.rows, "size": size, "finished_at": timezone.now()}
    _keep(job.pk, token, number, pending, **ended)


def _keep(pk: int, token: uuid.UUID, number: int, data: bytearray, **progress: Any) -> int:
    """Keep a part with the progress so far and return the next part's number."""
    with transaction.atomic():
        held = _held(pk, token).update(leased_until=timezone.now() + LEASE, **progress)
        if not held:
            raise LeaseLost
        if not data:
            return number
        packed = zlib.compress(bytes(data), 1)
        ExportPart.objects.create(job_id=pk, number=number, data=packed)
    return number + 1
