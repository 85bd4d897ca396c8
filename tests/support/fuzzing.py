"""How far a fuzzing test goes: the same few examples in each run of CI, very many in `make fuzz`.

And messages to begin from, torn apart at random.
"""

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.support.torture import MESSAGES

AT_LENGTH = os.environ.get("HYPOTHESIS_PROFILE") == "long"


def examples(in_ci: int, *, at_length: int) -> settings:
    """Hypothesis' settings for a test; `make fuzz` gives it `at_length` examples."""
    if AT_LENGTH:
        return settings(
            max_examples=at_length, deadline=None, suppress_health_check=list(HealthCheck)
        )
    return settings(max_examples=in_ci, deadline=None, derandomize=True)


PIECES = (
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\x00", b"\xff", b"\xc2\xb2", b"\xef\xbf\xbd", b"\x7f"),
    *(b'"', b"\\", b"<", b">", b",", b";", b"=", b":", b" ", b"\t", b"%", b"(", b"[", b"]", b"@"),
    *(
        b"9" * 400,
        b"A" * 3000,
        b"-1",
        b"4294967296",
        b";tag=",
        b";branch=",
        b";rport",
        b";expires=",
    ),
    *(b"Via: SIP/2.0/UDP h;branch=z9hG4bKa\r\n", b"v:a\r\n", b"Content-Length: 99999\r\n"),
    *(b"Contact: *\r\n", b"CSeq: 99999999999 REGISTER\r\n", b"WWW-Authenticate: Digest "),
    *(b'realm="', b"nonce=", b"algorithm=SHA-256", b'qop="auth,auth-int"', b"stale=true", b",,,,"),
)
_place = st.floats(0, 1)
_edit = st.one_of(
    st.tuples(st.just("cut"), _place, _place),
    st.tuples(st.just("double"), _place, _place),
    st.tuples(st.just("insert"), _place, st.sampled_from(PIECES)),
    st.tuples(st.just("replace"), _place, st.binary(min_size=1, max_size=4)),
)


def _edited(data: bytes, kind: str, place: float, what: bytes | float) -> bytes:
    at = int(place * len(data))
    if isinstance(what, bytes):
        return data[:at] + what + data[at + (len(what) if kind == "replace" else 0) :]
    other = int(what * len(data))
    start, end = min(at, other), max(at, other)
    return data[:start] + data[end:] if kind == "cut" else data[:end] + data[start:]


@st.composite
def torn(draw: st.DrawFn) -> bytes:
    """A message of `torture`, changed in up to eight places."""
    data = draw(st.sampled_from(MESSAGES))
    for edit in draw(st.lists(_edit, max_size=8)):
        data = _edited(data, *edit)
    return data[:200_000]
