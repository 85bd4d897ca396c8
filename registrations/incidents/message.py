"""What is sent: a subject, a text, the same as HTML for a mail client, and data for machines."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any

SUBJECTS = {
    "opened": "{severity}: {title}",
    "again": "Still on: {title}",
    "resolved": "Over after {lasted}: {title}",
}

_BODY = "margin:0;padding:24px;background:#f4f5f7;color:#1d2433;font:15px/1.5 sans-serif"
_CARD = "max-width:560px;margin:0 auto;background:#fff;border:1px solid #d9dde4;border-radius:8px"


@dataclass(frozen=True, slots=True)
class Message:
    """One message, the same for every channel; each takes of it what it can carry."""

    subject: str
    text: str
    html: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Plain JSON: what a webhook sends."""

    def kept(self) -> dict[str, Any]:
        """Return it as a row keeps it; `Message(**kept)` reads it again."""
        return asdict(self)


def compose(
    what: str,
    severity: str,
    title: str,
    lines: Sequence[tuple[str, str]],
    data: Mapping[str, Any],
    lasted: str = "",
) -> Message:
    """Return the message about an incident: `lines` are (label, sentence) in reading order.

    `data` may have `url`, which ends both bodies. `lasted` says how long it was on.
    """
    words = {"severity": severity.capitalize(), "title": title, "lasted": lasted}
    head = SUBJECTS[what].format(**words)
    return written(head, lines, str(data.get("url", "")), {"event": what, **data})


def written(
    head: str, lines: Sequence[tuple[str, str]], url: str, data: Mapping[str, Any]
) -> Message:
    """Return a message of a head and lines."""
    told = [(label, sentence) for label, sentence in lines if sentence]
    text = "\n\n".join(f"{label}: {sentence}" if label else sentence for label, sentence in told)
    rows = "".join(
        f'<p style="margin:0 0 12px"><span style="color:#5b6577">{escape(label)}</span>'
        f"{'<br>' if label else ''}{escape(sentence)}</p>"
        for label, sentence in told
    )
    link = f'<p style="margin:0"><a href="{escape(url)}">Open it in Rollcall</a></p>' if url else ""
    html = (
        f'<!doctype html><html lang="en"><body style="{_BODY}"><div style="{_CARD}">'
        f'<div style="padding:20px 24px"><h1 style="margin:0 0 16px;font-size:19px">{escape(head)}'
        f"</h1>{rows}{link}</div></div></body></html>"
    )
    return Message(
        f"[Rollcall] {head}", f"{head}\n\n{text}{chr(10) * 2 + url if url else ''}\n", html, data
    )
