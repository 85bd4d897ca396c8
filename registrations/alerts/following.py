"""What webhooks are sent beside incidents: the history's changes and the ends of jobs, in order.

How far a channel was told stands in its row and moves in the transaction that queues the message:
so nothing is left out. A change whose worker was late to write may be told twice; its id tells.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from registrations import jobs
from registrations.alerts import queue
from registrations.incidents.message import Message
from registrations.models import Channel, Delivery, Job
from registrations.queries import events

TRANSITIONS, JOBS = "transitions", "jobs"
FOLLOWED = {TRANSITIONS: "Each change of a handset", JOBS: "The end of each job"}

MOST_LOOKS = 10
"""Messages of changes per channel and look: more wait for the next."""
LATE = timedelta(seconds=60)
"""A job's end may be written so long after its time."""


def followers() -> QuerySet[Channel]:
    """Return the channels that may follow."""
    return Channel.objects.filter(kind=Channel.Kind.WEBHOOK)


def tell_followers(now: datetime) -> None:
    """Queue what is new for each channel that follows; call it in a transaction."""
    for channel in followers().select_for_update():
        follows = channel.settings.get("follows", ())
        known = channel.told or {}
        told: dict[str, Any] = {}
        if channel.is_on and TRANSITIONS in follows:
            told |= _tell_changes(channel, known.get(TRANSITIONS), now)
        if channel.is_on and JOBS in follows:
            told |= _tell_jobs(channel, known.get(JOBS), now)
        if told != known:
            # A channel that is off, or follows no longer, begins anew from then.
            channel.told = told
            channel.save(update_fields=["told"])


def _tell_changes(channel: Channel, known: Any, now: datetime) -> dict[str, Any]:
    feed = events.Feed(events.newest()) if known is None else events.Feed.restored(known)
    for _ in range(MOST_LOOKS):
        found = feed.look(now.timestamp())
        if found:
            subject = f"[Rollcall] {len(found)} {'change' if len(found) == 1 else 'changes'}"
            data = {"event": TRANSITIONS, "transitions": found}
            message = Message(subject, subject, data=data)
            queue.enqueue(message, channel, now, what=Delivery.What.CHANGES)
        if len(found) < events.AT_ONCE:
            break
    return {TRANSITIONS: feed.kept()}


def _tell_jobs(channel: Channel, known: Any, now: datetime) -> dict[str, Any]:
    since, told = now, []
    if known is not None:
        since, told = datetime.fromtimestamp(known["since"], UTC) - LATE, known["told"]
    ended = jobs.listing().filter(finished_at__gte=since).exclude(pk__in=told)
    for job in ended.order_by("finished_at"):
        queue.enqueue(_of_job(job), channel, now, what=Delivery.What.JOB)
        told = [*told, job.pk]
    recent = Job.objects.filter(pk__in=told, finished_at__gte=now - 2 * LATE)
    kept = sorted(recent.values_list("pk", flat=True))
    return {JOBS: {"since": now.timestamp(), "told": kept}}


def _of_job(job: Job) -> Message:
    subject = f"[Rollcall] {job.get_kind_display()} {job.pk} is over"
    return Message(subject, subject, data={"event": "job", "job": jobs.overview(job)})
