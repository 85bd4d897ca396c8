"""A recorded try as the transactions it was made of, each with its end in words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from registrations.sip import message
from registrations.sip.errors import SipParseError
from registrations.sip.headers import parse_contacts
from registrations.trace.record import Ended, Event, Kind, Record
from registrations.values import Verdict


class End(StrEnum):
    """How a transaction ended."""

    TOOK = "took"
    """The server holds the registration."""
    TOLD = "told"
    """It answered a question that binds nothing: who is registered?"""
    AGAIN = "again"
    """It asked for the same once more: with credentials, for longer, over UDP."""
    REFUSED = "refused"
    BUSY = "busy"
    ERROR = "error"
    SILENT = "silent"
    UNREACHABLE = "unreachable"
    CUT = "cut"
    """What is kept does not say: the worker stopped meanwhile, or the record was cut."""


GOOD = frozenset({End.TOOK, End.TOLD, End.AGAIN})

_ENDS = {
    Verdict.BOUND: End.TOOK,
    Verdict.REFUSED: End.REFUSED,
    Verdict.BUSY: End.BUSY,
    Verdict.ERROR: End.ERROR,
    Verdict.SILENT: End.SILENT,
    Verdict.UNREACHABLE: End.UNREACHABLE,
}
_BRANCH = re.compile(r"^v(?:ia)?[ \t]*:.*?;\s*branch=([^;,\s]+)", re.IGNORECASE | re.MULTILINE)
_CSEQ = re.compile(r"^cseq[ \t]*:\s*(\d+)", re.IGNORECASE | re.MULTILINE)
_REALM = re.compile(r'^(?:www|proxy)-authenticate:.*?realm="([^"]*)"', re.I | re.M)
_SECONDS = re.compile(r"^min-expires[ \t]*:\s*(\d+)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Answer:
    """One response; `at` in Unix seconds."""

    at: float
    code: int
    reason: str
    text: str

    @property
    def line(self) -> str:
        return f"{self.code} {self.reason}".strip()


@dataclass(frozen=True, slots=True)
class Transaction:
    """One request with its retransmissions, and what came of it. Times are Unix seconds."""

    server_id: int
    target: str
    transport: str
    sends: tuple[float, ...]
    request: str
    answers: tuple[Answer, ...]
    failure: str
    """Why it could not be delivered; '' where it could."""
    ended_at: float | None
    """None where the end is not known."""
    end: End
    sentence: str

    @property
    def started_at(self) -> float:
        return self.sends[0]

    @property
    def seconds(self) -> float | None:
        return None if self.ended_at is None else self.ended_at - self.started_at

    @property
    def cseq(self) -> str:
        found = _CSEQ.search(self.request)
        return found[1] if found else ""

    @property
    def binds(self) -> bool:
        """Whether it asks to be registered; otherwise it only asks who is (R14)."""
        return "\nContact:" in self.request

    @property
    def has_credentials(self) -> bool:
        return "uthorization:" in self.request


@dataclass(frozen=True, slots=True)
class Try:
    """What one claim's agent did, in the order of its requests."""

    at: float
    transactions: tuple[Transaction, ...]
    note: str
    left_out: int

    @property
    def ended_at(self) -> float | None:
        return self.transactions[-1].ended_at if self.transactions else None

    def at_server(self, server_id: int) -> "Try":
        """Return it with that server's transactions alone."""
        return replace(self, transactions=tuple(of(self.transactions, server_id)))


def of(transactions: Sequence[Transaction], server_id: int) -> list[Transaction]:
    """Return those at one server."""
    return [each for each in transactions if each.server_id == server_id]


def as_try(record: Record) -> Try:
    """Return the ladder of a record."""
    by_branch: dict[str, list[Event]] = {}
    for event in record.events:
        if event.kind is not Kind.FAILED:
            by_branch.setdefault(_branch(event.text), []).append(event)
    asked = [found for found in by_branch.values() if found[0].kind is Kind.SENT]
    asked.sort(key=lambda found: found[0].at)
    made = []
    for index, found in enumerate(asked):
        first = found[0]
        later = [other for other in asked[index + 1 :] if other[0].server_id == first.server_id]
        until = later[0][0].at if later else float("inf")
        made.append(_transaction(found, record, until))
    return Try(record.at, tuple(made), record.note, record.left_out)


def _branch(text: str) -> str:
    found = _BRANCH.search(text)
    return found[1] if found else ""


def _transaction(found: Sequence[Event], record: Record, until: float) -> Transaction:
    """Make one of its events; the next request to that server left at `until`."""
    first = found[0]
    answers = tuple(_answer(each) for each in found if each.kind is Kind.HEARD)
    failed = [
        each
        for each in record.events
        if each.kind is Kind.FAILED and each.target == first.target and first.at <= each.at <= until
    ]
    ends = [each for each in record.ended if each.request == first.text]
    bare = Transaction(
        server_id=first.server_id,
        target=first.target,
        transport=first.transport,
        sends=tuple(each.at for each in found if each.kind is Kind.SENT),
        request=first.text,
        answers=answers,
        failure=failed[0].text if failed and not _final(answers) else "",
        ended_at=None,
        end=End.CUT,
        sentence="",
    )
    return _ended(bare, ends[-1] if ends else None, failed, record.note)


def _ended(bare: Transaction, end: Ended | None, failed: Sequence[Event], note: str) -> Transaction:
    final = _final(bare.answers)
    if end is not None:
        ended = _ENDS.get(Verdict(end.verdict), End.ERROR) if end.verdict else End.ERROR
        if ended in (End.TOOK, End.ERROR) and not bare.binds and final and final.code < 300:
            ended = End.TOLD
        sentence = end.sentence or _took(bare, final)
        return replace(bare, ended_at=end.at, end=ended, sentence=sentence)
    if final is not None:
        return replace(bare, ended_at=final.at, end=End.AGAIN, sentence=_again(final))
    if bare.failure:
        sentence = f"It could not be delivered ({bare.failure}); asked again another way."
        return replace(bare, ended_at=failed[0].at, end=End.AGAIN, sentence=sentence)
    why = f": {note}" if note else ""
    return replace(bare, sentence=f"How it ended is not kept{why}.")


def _final(answers: Sequence[Answer]) -> Answer | None:
    return next((answer for answer in answers if answer.code >= 200), None)


def _answer(event: Event) -> Answer:
    line = event.text.partition("\n")[0]
    _, _, status = line.partition(" ")
    code, _, reason = status.partition(" ")
    return Answer(event.at, int(code) if code.isdigit() else 0, reason.strip(), event.text)


def _took(transaction: Transaction, final: Answer | None) -> str:
    """Say what a 2xx to a REGISTER granted."""
    if not transaction.binds:
        return "It answered who is registered."
    granted = _granted(final.text) if final else None
    return f"Took the registration for {granted} s." if granted else "Took the registration."


def _granted(text: str) -> int | None:
    """Return the time of a lone Contact; of several, which is ours is not decided here."""
    try:
        answer = message.parse(f"{text}\n\n".encode())
    except SipParseError:
        return None
    listed = parse_contacts(answer.headers.get("contact", ()))
    return listed[0].expires if len(listed) == 1 else None


def _again(final: Answer) -> str:
    realm, least = _REALM.search(final.text), _SECONDS.search(final.text)
    if final.code in (401, 407):
        where = f" for “{realm[1]}”" if realm else ""
        return f"Asked for credentials{where}."
    if final.code == 423 and least:
        return f"Wanted a registration of at least {least[1]} s."
    return f"Answered {final.line}; it was asked again."
