"""What `benchmarks.database` measures, inside Django: one part a process, one figure a line."""

import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import django

django.setup()

from django.db import connection, transaction  # noqa: E402 - after Django's set-up, as all below
from django.utils import timezone  # noqa: E402

from benchmarks import ward  # noqa: E402
from benchmarks.figure import Figure  # noqa: E402
from fleet.models import Site  # noqa: E402
from registrations import queries, store  # noqa: E402
from registrations.models import Registration  # noqa: E402
from registrations.report import AgentResult, Moved  # noqa: E402
from registrations.runtime import memory  # noqa: E402
from registrations.store import BATCH, Claimed, Finished  # noqa: E402

TIMES = 9
LEASE_S = 3600.0
CLAIM_RATIO, WRITE_RATIO = 2.0, 0.4
CLAIM_GOAL, WRITE_GOAL = 1.5, 0.7
BARE_CLAIM = (
    "WITH due AS MATERIALIZED (SELECT id AS due_id FROM registrations_registration "
    "WHERE due_at <= now() AND site_id = %s ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED) "
    "UPDATE registrations_registration SET lease_token = gen_random_uuid(), "
    "due_at = now() + interval '1 hour' WHERE id = ANY(ARRAY(SELECT due_id FROM due)) "
    "RETURNING id"
)


def main() -> None:
    part, *numbers = sys.argv[1:]
    # As a worker does.
    memory.settle()
    for figure in PARTS[part](*map(int, numbers)):
        sys.stdout.write(json.dumps(asdict(figure)) + "\n")
        sys.stdout.flush()


def fill(handsets: int) -> Iterator[Figure]:
    """A fleet all of which is due."""
    ward.make(handsets, [["10.1.0.1", 5060], ["10.1.0.2", 5060]], {"fast_failover": True})
    Registration.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    yield from ()


def claims() -> Iterator[Figure]:
    """500 due among all, claimed with all that their agents need, and by the bare statement."""
    site = Site.objects.get()
    ours, bare = [], []
    for _ in range(TIMES):
        ours.append(_milliseconds(lambda: store.claim_due([site.pk], BATCH, LEASE_S)))
        bare.append(_milliseconds(lambda: _bare_claim(site.pk)))
    yield Figure(f"a claim of {BATCH}", median(ours), "ms")
    yield Figure("the same by the bare statement", median(bare), "ms")
    ratio = median(our / its for our, its in zip(ours, bare, strict=True))
    yield Figure("claim / bare statement", ratio, "x", at_most=CLAIM_RATIO, goal=CLAIM_GOAL)


def _bare_claim(site_id: int) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(BARE_CLAIM, [site_id, BATCH])
        if len(cursor.fetchall()) != BATCH:
            raise RuntimeError("the fleet is not due any more")


def few_claims() -> Iterator[Figure]:
    """A claim as above, as often as a fleet of any size allows: each makes its rows due again."""
    site = Site.objects.get()
    took = []
    for _ in range(TIMES):
        took.append(_milliseconds(lambda: store.claim_due([site.pk], BATCH, LEASE_S)))
        _due_again()
    yield Figure(f"a claim of {BATCH}", median(took), "ms")


def few_writes() -> Iterator[Figure]:
    """A save as below."""
    site = Site.objects.get()
    took = []
    for _ in range(TIMES):
        finished = [_finished(c) for c in store.claim_due([site.pk], BATCH, LEASE_S)]
        took.append(_milliseconds(lambda batch=finished: store.save(batch)))
        _due_again()
    yield Figure(f"{BATCH} results saved", median(took), "ms")


def sums() -> Iterator[Figure]:
    """What an open overview and an open list ask of the database."""
    ids = list(Registration.objects.order_by("pk").values_list("pk", flat=True)[:50])
    now = timezone.now()
    summed = median(_milliseconds(lambda: queries.summary(now)) for _ in range(TIMES))
    yield Figure("the overview's sums", summed, "ms")
    shown = median(_milliseconds(lambda: list(queries.rows(ids, now))) for _ in range(TIMES))
    yield Figure("fifty rows of the list", shown, "ms")


def _due_again() -> None:
    leased = Registration.objects.exclude(lease_token=None) | Registration.objects.filter(
        due_at__gt=timezone.now()
    )
    leased.update(due_at=timezone.now() - timedelta(seconds=1), lease_token=None)


def writes() -> Iterator[Figure]:
    """State and history of 500, as the worker saves them, and by COPY and one UPDATE."""
    site = Site.objects.get()
    ours, bare, cpu = [], [], []
    for _ in range(TIMES):
        finished = [_finished(c) for c in store.claim_due([site.pk], BATCH, LEASE_S)]
        spent = time.process_time()
        ours.append(_milliseconds(lambda batch=finished: store.save(batch)))
        cpu.append(time.process_time() - spent)
        finished = [_finished(c) for c in store.claim_due([site.pk], BATCH, LEASE_S)]
        bare.append(_milliseconds(lambda batch=finished: _copied(batch)))
    yield Figure("state and history saved", BATCH / median(ours) * 1000, "rows/s")
    yield Figure("the worker's CPU for it", median(cpu) / BATCH * 1e6, "us/row")
    yield Figure("the same by COPY and UPDATE", BATCH / median(bare) * 1000, "rows/s")
    ratio = median(its / our for our, its in zip(ours, bare, strict=True))
    yield Figure("saved / COPY", ratio, "x", at_least=WRITE_RATIO, goal=WRITE_GOAL)


def _finished(claimed: Claimed) -> Finished:
    now = time.time()
    moved = Moved(
        *(now, "registering", None, "primary", claimed.server_id, "first", 200),
        *("10.1.0.1:5060 took the registration.", 0.02),
    )
    said = {"at": now, "verdict": "bound", "code": 200, "answer": "200 OK", "sentence": ""}
    nonce = {"proxy": False, "realm": "rollcall.test", "nonce": "awnCrmsJpo4efLCQawaGa2EXT8Wj"}
    nonce |= {"opaque": None, "algorithm": "", "qop": True, "cnonce": "3e2953b5ab811bb9", "nc": 1}
    client = {"call_id": "609c3f6cffffd1614273d529", "from_tag": "02760432e51045a574f14320"}
    client |= {"cseq": 3, "min_expires": {}, "nonces": {str(claimed.server_id): [nonce]}}
    course = {"binding": {"phase": "bound", "current": 0, "expires_at": now + 3600, "tried": []}}
    course |= {"answers": {str(claimed.server_id): said}, "client": client, "is_cleared": True}
    result = AgentResult(
        state="primary",
        server_id=claimed.server_id,
        since=now,
        reason=moved.reason,
        cause="first",
        expires_at=now + 3600,
        due_at=now + 3000,
        attempt=0,
        code=200,
        answer="200 OK",
        heard_at=now,
        renewed=(),
        snapshot={"aor": claimed.account.aor, "courses": {"group": course}},
        transitions=(moved,),
        wish_result=None,
        heard=(),
    )
    return Finished(claimed, result, now)


def _copied(finished: list[Finished]) -> None:
    states, changes = io.StringIO(), io.StringIO()
    for done in finished:
        result, pk = done.result, done.claimed.registration_id
        times = [_text(at) for at in (result.since, result.expires_at, result.due_at)]
        snapshot = json.dumps(result.snapshot)
        row = [pk, result.state, result.server_id, *times, result.reason, result.answer, snapshot]
        states.write("\t".join(map(str, row)) + "\n")
        user = done.claimed.account.user
        names = [times[0], "00907a0f4240", user, f"Ward {user}", "ward", "main"]
        move = ["registering", "", "primary", "10.1.0.1:5060", "first", 200, result.reason, 0.02]
        changes.write("\t".join(map(str, [pk, *names, *move, ""])) + "\n")
    states.seek(0)
    changes.seek(0)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE come (id bigint, state text, server_id bigint, "
            "since timestamptz, expires_at timestamptz, due_at timestamptz, reason text, "
            "answer text, snapshot jsonb) ON COMMIT DROP"
        )
        cursor.copy_expert("COPY come FROM STDIN", states)
        cursor.execute(
            "UPDATE registrations_registration AS r SET state = x.state, "
            "server_id = x.server_id, since = x.since, expires_at = x.expires_at, "
            "due_at = x.due_at, reason = x.reason, last_answer = x.answer, "
            "snapshot = x.snapshot, lease_token = NULL FROM come AS x WHERE r.id = x.id"
        )
        cursor.copy_expert(
            "COPY registrations_transition (registration_id, at, mac, extension, handset_name, "
            "group_name, site_name, from_state, from_server, to_state, to_server, cause, code, "
            "reason, seconds, asked_by) FROM STDIN",
            changes,
        )


def _text(at: float | None) -> str:
    return datetime.fromtimestamp(at or 0.0, UTC).isoformat()


def _milliseconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


PARTS: dict[str, Callable[..., Iterator[Figure]]] = {
    "fill": fill,
    "claims": claims,
    "writes": writes,
    "few_claims": few_claims,
    "few_writes": few_writes,
    "sums": sums,
}

if __name__ == "__main__":
    main()
