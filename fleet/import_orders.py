"""Imports as jobs: files are kept, looked through, and imported when somebody says so.

What is small is done at once, by whoever asks; the rest waits for a process beside a worker, which
holds a lease and renews it as it goes. If it dies, somebody else begins anew: looking through
changes nothing, and importing is one transaction. Files are kept encrypted, and gone at the end.
"""

import time
import uuid
import zlib
from collections.abc import Iterable
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from fleet import provenance, services
from fleet.fields import decrypt_bytes, encrypt_bytes
from fleet.formats.decoding import MAX_FAULTS
from fleet.formats.faults import Fault
from fleet.models import ImportJob, ImportPart

KEPT = timedelta(hours=24)
"""How long a job can be looked at, and its files imported."""
LEASE = timedelta(seconds=60)
TELL_S = 0.5
"""How often progress is told."""
AT_ONCE = 256 * 1024
"""Bytes of files that are worked on in the request itself: a few thousand rows."""
PART = 1 << 20
"""Bytes of files in one part, before it is compressed and encrypted."""

LATEST = 20

Step = ImportJob.Step


class LeaseLost(Exception):
    """The job was taken back, or somebody else works on it now."""


@transaction.atomic
def order(
    files: Iterable[tuple[str, bytes]], *, by: str, site: str = "", partial: bool = False
) -> ImportJob:
    """Keep the files and what is wanted of them; they are looked through next."""
    given = list(files)
    job = ImportJob.objects.create(
        asked_by=by,
        site=site,
        partial=partial,
        files=[{"name": name, "size": len(data)} for name, data in given],
    )
    whole = b"".join(data for _, data in given)
    for number, start in enumerate(range(0, len(whole), PART)):
        packed = encrypt_bytes(zlib.compress(whole[start : start + PART], 1))
        ImportPart.objects.create(job=job, number=number, data=packed)
    return job


def is_small(job: ImportJob) -> bool:
    """Whether it is done sooner than a process for it would have begun."""
    archived = any(file["name"].lower().endswith((".zip", ".xlsx")) for file in job.files)
    return sum(file["size"] for file in job.files) <= AT_ONCE // (8 if archived else 1)


def say_go(job: ImportJob, *, by: str, partial: bool) -> bool:
    """Let a job that was looked through be imported; return whether it was still to be."""
    waiting = ImportJob.objects.filter(
        pk=job.pk, step=Step.LOOK, is_refused=False, finished_at=None, failure=""
    ).exclude(looked_at=None)
    return bool(
        waiting.update(
            step=Step.APPLY,
            asked_by=by,
            partial=partial,
            done=0,
            total=0,
            lease_token=None,
            leased_until=None,
        )
    )


def unfinished() -> Any:
    """Return the jobs that can go on, whoever works on them."""
    to_do = Q(step=Step.APPLY) | Q(looked_at=None)
    return ImportJob.objects.filter(to_do, finished_at=None, failure="").order_by("pk")


def waiting() -> Any:
    """Return the jobs that nobody works on and that can go on."""
    return unfinished().filter(Q(leased_until=None) | Q(leased_until__lt=timezone.now()))


def make(pk: int) -> bool:
    """Do the job's next step if nobody else does; return whether it was done."""
    token = uuid.uuid4()
    lease = {"lease_token": token, "leased_until": timezone.now() + LEASE, "done": 0, "total": 0}
    if not waiting().filter(pk=pk).update(**lease):
        return False
    job = ImportJob.objects.get(pk=pk)
    try:
        if job.step == Step.LOOK:
            _look(job, token)
        else:
            _apply(job, token)
    except LeaseLost:
        return False
    except Exception:
        sentence = "Rollcall failed at this; what happened is in the log. Nothing was imported."
        _held(pk, token).update(failure=sentence)
        raise
    return True


def _look(job: ImportJob, token: uuid.UUID) -> None:
    """Find what would happen; with faults also what would happen without what has them."""
    read = services.read_files(_content(job), job.site or None, _teller(job.pk, token))
    found: dict[str, Any]
    try:
        report = services.apply_import(read, by=job.asked_by, dry_run=True, partial=True)
    except services.ImportRefused as refused:
        found = _told(refused.faults, read.notes)
    else:
        found = _told(report.left_out, report.notes) | _counted(report)
    ended = {"looked_at": timezone.now(), "leased_until": None}
    _end(job.pk, token, found=found, is_refused="counts" not in found, **ended)


def _apply(job: ImportJob, token: uuid.UUID) -> None:
    read = services.read_files(_content(job), job.site or None, _teller(job.pk, token))
    try:
        with transaction.atomic():
            report = services.apply_import(read, by=job.asked_by, partial=job.partial)
            found = _told(report.left_out, report.notes) | _counted(report)
            _end(job.pk, token, found=found, finished_at=timezone.now())
    except services.ImportRefused as refused:
        # The fleet changed since it was looked through.
        found = _told(refused.faults, read.notes)
        sentence = "Nothing was imported: what was right before has faults now."
        _end(job.pk, token, found=found, failure=sentence)
    job.parts.all().delete()


def _content(job: ImportJob) -> list[tuple[str, bytes]]:
    parts = job.parts.order_by("number").values_list("data", flat=True)
    whole = b"".join(zlib.decompress(decrypt_bytes(bytes(data))) for data in parts)
    files, at = [], 0
    for file in job.files:
        files.append((file["name"], whole[at : at + file["size"]]))
        at += file["size"]
    return files


def _held(pk: int, token: uuid.UUID) -> Any:
    return ImportJob.objects.filter(pk=pk, lease_token=token, finished_at=None)


def _teller(pk: int, token: uuid.UUID) -> Any:
    """Return what tells the job's progress, now and then, and renews its lease."""
    told = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal told
        if done < total and time.monotonic() - told < TELL_S:
            return
        told = time.monotonic()
        lease = timezone.now() + LEASE
        if not _held(pk, token).update(done=done, total=total, leased_until=lease):
            raise LeaseLost

    return tell


def _end(pk: int, token: uuid.UUID, **fields: Any) -> None:
    if not _held(pk, token).update(**fields):
        raise LeaseLost


def _told(faults: list[Fault], notes: list[Fault]) -> dict[str, Any]:
    return {
        "faults": [_kept(fault) for fault in faults],
        "fault_count": len(faults),
        "notes": [_kept(note) for note in notes[:MAX_FAULTS]],
        "note_count": len(notes),
    }


def _kept(fault: Fault) -> dict[str, Any]:
    """As a database takes it: what somebody wrote may have what no text column holds."""
    words = {name: str(getattr(fault, name)) for name in ("file", "field", "message")}
    return {"row": fault.row} | {
        name: text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
        for name, text in words.items()
    }


def _counted(report: services.Imported) -> dict[str, Any]:
    listed = [asdict(change) for change in report.listed]
    unknown = [provenance.told(each.source) | {"count": each.count} for each in report.unknown]
    counts = {"counts": report.as_dict(), "starting": len(report.starting)}
    return counts | {"listed": listed, "unknown": unknown}


def latest() -> list[ImportJob]:
    """Return the last of them, without what they found."""
    return list(ImportJob.objects.defer("found")[:LATEST])


def clean() -> None:
    """Forget jobs that are too old, with their files."""
    ImportJob.objects.filter(created_at__lt=timezone.now() - KEPT).delete()


def state(job: ImportJob) -> str:
    """Return waiting, running, ready (to be imported), refused, done or failed."""
    if job.failure:
        return "failed"
    if job.finished_at is not None:
        return "done"
    if job.step == Step.LOOK and job.looked_at is not None:
        return "refused" if job.is_refused else "ready"
    is_held = job.leased_until is not None and job.leased_until > timezone.now()
    return "running" if is_held else "waiting"
