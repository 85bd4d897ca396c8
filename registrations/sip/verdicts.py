"""What a final answer to a REGISTER means, with a plain sentence for an admin."""

from collections.abc import Sequence

from registrations.records import record
from registrations.sip.errors import SipParseError
from registrations.sip.grammar import parse_number
from registrations.sip.headers import (
    RETRY_AFTER_MAX,
    expires_seconds,
    parse_contacts,
    parse_retry_after,
)
from registrations.sip.message import Response
from registrations.sip.uri import Uri, parse_uri, same_uri
from registrations.values import Account, ListedContact, Verdict

ANSWER_MAX = 200
"""Characters of a peer's own words that we keep and show."""

_RETRY_AFTER_CODES = frozenset({404, 413, 480, 486, 500, 503, 600, 603})
"""Answers on which Retry-After is defined (RFC 3261 section 20.33, S7)."""

_SENTENCES = {
    300: "The server offers other addresses instead of registering this handset",
    400: "The server did not accept the request",
    403: "The server forbids this handset to register",
    404: "The server does not know {aor}",
    408: "The server says it ran out of time",
    423: "The server wants a longer registration but names no usable time",
    480: "The server is not available for this handset now",
    500: "The server has an internal fault",
    503: "The server is overloaded or in maintenance",
    600: "The server declines this handset",
}


@record
class Reading:
    """A final answer, understood. The fields are those of Outcome."""

    verdict: Verdict
    sentence: str
    expires: int | None = None
    retry_after: int | None = None
    others: tuple[ListedContact, ...] = ()


def answer_text(response: Response) -> str:
    """Code and reason as the server wrote them, cut to a length a row can hold."""
    return f"{response.code} {response.reason}".strip()[:ANSWER_MAX]


def read_failure(response: Response, account: Account) -> Reading:
    """Any final answer but 2xx, 401, 407. An unknown code counts as x00 (8.1.3.2, R19)."""
    code = response.code
    known = code if code in _SENTENCES else code // 100 * 100
    text = _SENTENCES[known].format(aor=account.aor)
    if 300 <= code < 400:
        text += _pointed_at(response)
    wait, clamped = _retry_after(response)
    text = f"{text} ({answer_text(response)})."
    if clamped:
        text += f" It asked for {wait} s of quiet; Rollcall waits {RETRY_AFTER_MAX} s."
        wait = RETRY_AFTER_MAX
    return Reading(_verdict(code), text, retry_after=wait)


def _verdict(code: int) -> Verdict:
    if code in (403, 404):
        return Verdict.REFUSED
    if code == 503:
        return Verdict.BUSY
    return Verdict.SILENT if code == 408 else Verdict.ERROR


def _pointed_at(response: Response) -> str:
    """Where a 3xx pointed. It is shown, never followed (R18)."""
    contacts = parse_contacts(response.headers.get("contact", ()))
    where = f" to {contacts[0].uri[:ANSWER_MAX]}" if contacts else ""
    return f" and points{where} elsewhere, which Rollcall does not follow" if where else ""


def _retry_after(response: Response) -> tuple[int | None, bool]:
    value = response.first("retry-after")
    if value is None or response.code not in _RETRY_AFTER_CODES:
        return None, False
    wait = parse_retry_after(value)
    return wait, wait is not None and wait > RETRY_AFTER_MAX


def read_success(
    response: Response, *, contact: str | None, instance: str, requested: int
) -> Reading:
    """A 2xx: bound only if it lists our Contact with time left (R8, R9).

    `contact` None was a fetch: then only our instance tells us ours. `requested` 0 was a removal.
    """
    contacts = response.headers.get("contact", ())
    plainly = granted_to_the_letter(contacts, contact)
    if plainly:
        return Reading(Verdict.BOUND, "", plainly)
    listed = parse_contacts(contacts)
    own = _own(listed, contact, instance)
    ours = own[0] if own else None
    others = tuple(entry for entry in listed if entry not in own)
    answer = answer_text(response)
    if ours is None:
        return Reading(Verdict.ERROR, _not_listed(answer, contact, requested), others=others)
    granted = ours.expires
    if granted is None:
        header = response.first("expires")
        granted = requested if header is None else expires_seconds(header)
    if granted <= 0:
        text = f"The server answered {answer} but granted no time: the handset is not registered."
        return Reading(Verdict.ERROR, text, others=others)
    return Reading(Verdict.BOUND, "", expires=granted, others=others)


def granted_to_the_letter(listed: Sequence[str], contact: str | None) -> int:
    """Seconds granted where one Contact is listed, ours as we wrote it, `expires` first; else 0.

    Most registrars answer so, and then there is nothing more to find out about it.
    """
    if len(listed) != 1:
        return 0
    ours, _, rest = listed[0].partition(">;expires=")
    if ours != f"<{contact}" or "," in rest or "\\" in rest or rest.count('"') % 2:
        return 0
    return (parse_number(rest.partition(";")[0], 9) or 0) if rest.isprintable() else 0


def _not_listed(answer: str, contact: str | None, requested: int) -> str:
    if contact is None:
        return f"The server holds no registration of this handset ({answer})."
    if requested == 0:
        return f"The server removed the registration ({answer})."
    return f"The server answered {answer} but does not list this handset: it is not registered."


def _own(listed: list[ListedContact], contact: str | None, instance: str) -> list[ListedContact]:
    """The entries that are ours, the surest first: same URI, same instance, lone rewritten."""
    if len(listed) == 1 and listed[0].uri == contact:
        return listed
    same = [entry for entry in listed if contact is not None and _same(entry.uri, contact)]
    instance = instance.lower()
    by_instance = [
        entry
        for entry in listed
        if instance and entry.instance.lower() == instance and entry not in same
    ]
    own = same + by_instance
    if not own and contact is not None and len(listed) == 1 and not listed[0].instance:
        return listed
    return own


def _same(one: str, other: str) -> bool:
    if one == other:
        return True
    first, second = _uri(one), _uri(other)
    return first is not None and second is not None and same_uri(first, second)


def _uri(text: str) -> Uri | None:
    try:
        return parse_uri(text)
    except SipParseError:
        return None
