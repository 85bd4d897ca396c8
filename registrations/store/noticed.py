"""What was noticed of a server, by an agent or by a probe: the one word all its judges share."""

from registrations.records import record
from registrations.values import HostPort, Verdict


@record
class Noticed:
    """A server answered a request, or did not, at that site."""

    server_id: int
    site_id: int
    answered: bool
    at: float
    answer: str
    """The status line, or why there was none."""
    code: int | None = None
    verdict: str = ""
    """A value of Verdict, for a REGISTER."""
    before: str = ""
    """What that server said to the same handset before: a value of Verdict, or ''."""
    retry_after: int | None = None
    """Seconds of a 503's Retry-After."""
    place: HostPort | None = None
    """Which of the server's places was asked."""
    registration_id: int | None = None
    """The handset that asked; None for an OPTIONS."""
    is_fetch: bool = False
    """It was a probe's REGISTER without a Contact."""
    stands_in: bool = False
    """An OPTIONS that must do for a REGISTER, because no handset can ask."""
    asked_at: float | None = None
    """When what went unanswered left for the last time; None: at `at`."""

    @property
    def is_register(self) -> bool:
        return self.registration_id is not None

    @property
    def unanswered_at(self) -> float:
        """Of a miss: whatever the server answered after that is later news than the miss is."""
        return self.at if self.asked_at is None else self.asked_at

    @property
    def is_calm(self) -> bool:
        """The server answered, and neither refused the handset nor asked to be left alone."""
        return self.answered and not self.refuses and not self.retry_after

    @property
    def is_good(self) -> bool:
        """Whether a silent server may be believed for it: it serves users, not only OPTIONS.

        400 is a registrar that lists no bindings but has let the handset in (FreeSWITCH).
        """
        if self.code is None:
            return False
        if self.is_register:
            return 200 <= self.code < 300 or self.code == 400
        return self.stands_in and self.code < 500

    @property
    def accepts(self) -> bool:
        """It took the handset, or let it ask who is bound."""
        if self.is_fetch:
            return self.is_good
        return self.verdict == Verdict.BOUND

    @property
    def refuses(self) -> bool:
        return self.verdict == Verdict.REFUSED
