"""What agents do because somebody asked, line by line in the log, under the id of the request.

Work that nobody asked for, a renewal above all, writes no line. Called in the database threads.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence

import structlog

from registrations.report import AgentResult
from registrations.store import Claimed, Finished

SHOWN = 20
"""Of one claim so many registrations are named; the rest of them are told when they end."""

log = structlog.get_logger(__name__)


def claimed_for(claimed: Sequence[Claimed]) -> None:
    """Say whose turn has come, once for each request."""
    asked: dict[tuple[str, str], list[int]] = defaultdict(list)
    for each in claimed:
        if each.wish_request:
            asked[each.wish_request, each.wish].append(each.registration_id)
    for (request, wish), ids in asked.items():
        named = ",".join(map(str, ids[:SHOWN])) + (",..." if len(ids) > SHOWN else "")
        log.info("claimed", request=request, wish=wish, n=len(ids), registrations=named)


def ended_for(finished: Sequence[Finished], saved: Collection[int]) -> None:
    """Say what each REGISTER came to that was sent because somebody asked."""
    for done in finished:
        claimed, result = done.claimed, done.result
        if not claimed.wish_request or claimed.registration_id not in saved:
            continue
        about = {
            "request": claimed.wish_request,
            "wish": claimed.wish,
            "registration": claimed.registration_id,
            "aor": claimed.account.aor,
        }
        for heard in result.heard:
            host, port = heard.place
            answer = heard.answer or heard.sentence
            log.info("REGISTER", **about, server=f"{host}:{port}", answer=answer)
        outcome = result.wish_result.result if result.wish_result is not None else result.state
        log.info("carried out", **about, outcome=outcome, call_id=_call_ids(result))


def _call_ids(result: AgentResult) -> str:
    """Return the Call-IDs of its bindings, by which a registrar's own log goes on."""
    courses = result.snapshot.get("courses", {}).values()
    return ",".join(course["client"]["call_id"] for course in courses)
