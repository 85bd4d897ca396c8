"""SIP as nobody would write it: messages that are allowed and strange, or wrong in one respect.

Composed for this project after the ideas of RFC 4475; seeds for fuzzing.
"""


def _message(start: str, *lines: str, body: str = "") -> bytes:
    return ("\r\n".join([start, *lines, "", ""]) + body).encode()


def _request(method: str = "OPTIONS", *more: str, uri: str = "sip:4101@127.0.0.1:9000") -> bytes:
    return _message(f"{method} {uri} SIP/2.0", *_headers(method), *more, "Content-Length: 0")


def _headers(method: str = "REGISTER") -> list[str]:
    return [
        "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKward;rport",
        "Max-Forwards: 70",
        "From: <sip:4101@pbx.example>;tag=nurse",
        "To: <sip:4101@pbx.example>",
        "Call-ID: night-shift@ward",
        f"CSeq: 7 {method}",
    ]


def _answer(status: str, *more: str) -> bytes:
    return _message(f"SIP/2.0 {status}", *_headers(), *more, "Content-Length: 0")


VALID = (
    *(_request(method) for method in ("OPTIONS", "INVITE", "NOTIFY", "ACK", "BYE", "MESSAGE")),
    # As short as a request can be.
    b"OPTIONS a:b SIP/2.0\nv:SIP/2.0/UDP h\nf:<a:b>\nt:<a:b>\ni:c\nCSeq:1 OPTIONS\n\n",
    # Folded, compact, oddly cased, tabs and blanks wherever they may stand.
    b"OPTIONS sip:4101@h SIP/2.0\r\nTO :\r\n sip:4101@h ;  tag\t=  1\r\n"
    b'fROM\t: "a \\" <b>" <sip:x>\r\n'
    b"  ;\r\n  tag = 2\r\ni:\r\n folded-call-id\r\ncseq: 0000000009\r\n OPTIONS\r\n"
    b"V  : SIP  / 2.0\r\n /UDP\r\n  192.0.2.2;branch=390skdjuw\r\nl: 0\r\n\r\n",
    # Every character a token may have, for a method nobody knows.
    _request("!%*_+`'~.09azAZ-", uri="sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:pass@h"),
    # Escaped NULs and percent signs in users; a URI with headers and parameters of its own.
    _request(
        "REGISTER", "Contact: <sip:%00@h;transport=udp?Route=%3Csip:h%3E>;expires=0, <sip:%25@h>"
    ),
    # A line for each of as many hops as there may be.
    _message(
        "OPTIONS sip:a@h SIP/2.0",
        *[f"Via: SIP/2.0/UDP hop{number}.example;branch=z9hG4bK{number}" for number in range(70)],
        *_headers("OPTIONS"),
    ),
    # IPv6 everywhere, a zero-length body, a body that looks like a message.
    _request("OPTIONS", "Contact: <sip:[2001:db8::1]:5060>", uri="sip:[2001:db8::9]"),
    _message(
        "MESSAGE sip:a@h SIP/2.0", *_headers("MESSAGE"), "l: 19", body="SIP/2.0 200 OK\r\n\r\n\r"
    ),
    # Answers: contacts of others, in quotes that lie, with every way to say an expiry.
    _answer(
        "200 OK",
        'Contact: "a, <b>" <sip:4101@h;x=1>;expires="60";q=.5, <sip:o@p>;Expires=4294967297',
    ),
    _answer(
        "200 OK", "Contact: sip:4101@h;expires=junk", "Expires: 3600", "Date: Thu, 99 Foo 2026"
    ),
    _answer("200"),
    _answer("100 Trying"),
    _answer("699 The last\tof\x0ball"),
    _answer("423 Interval Too Brief", "Min-Expires: 00000000000000000000120"),
    _answer("503 Service Unavailable", 'Retry-After: 18000 (maintenance, "late") ;duration=3600'),
    _answer("302 Moved", "Contact: <tel:+1;ext=2>, <http://x/?a=b;c>, <sip:>"),
    _answer(
        "401 Unauthorized",
        'WWW-Authenticate: Digest realm="a, \\"b", nonce="=", qop="auth,auth-int"',
    ),
    _answer(
        "407 Proxy Authentication Required",
        "Proxy-Authenticate: Basic realm=x",
        'Proxy-Authenticate: Digest realm=r,nonce=n,algorithm=SHA-512-256,opaque=""',
        'Proxy-Authenticate: Digest nonce=n, realm="r", algorithm=MD5-sess, stale=TRUE',
    ),
    _answer(
        "200 OK", 'Authentication-Info: nextnonce="n2", qop=auth, rspauth="", cnonce="c", nc=1'
    ),
    # What nobody reads may be as long, as large and as open as it likes.
    _request("OPTIONS", f"Max-Forwards: {'9' * 300}", f"Expires: {'9' * 300}"),
    _request("OPTIONS", 'X: "\\'),
    _request("OPTIONS", "X: " + "a" * 60_000),
)
"""Allowed, however strange."""

INVALID = (
    # Numbers beyond every type.
    _message("OPTIONS sip:a@h SIP/2.0", *_headers("OPTIONS"), "Content-Length: -999"),
    _message("OPTIONS sip:a@h SIP/2.0", *_headers("OPTIONS"), f"Content-Length: {2**70}", body="x"),
    _message("SIP/2.0 4294967301 better not break the receiver", *_headers()),
    _message("SIP/2.0 \N{SUPERSCRIPT TWO}00 OK", *_headers()),
    # A method in CSeq that is not the request's; two of what there may be one of.
    _message("OPTIONS sip:a@h SIP/2.0", *_headers("INVITE")),
    _request("OPTIONS", "To: <sip:b@h>", "From: <sip:c@h>;tag=2", "Call-ID: 2", "CSeq: 8 OPTIONS"),
    # What must be there is not.
    b"OPTIONS sip:a@h SIP/2.0\r\n\r\n",
    b"SIP/2.0 200 OK\r\n\r\n",
    # Quotes, brackets and escapes that do not end.
    _answer("200 OK", 'Contact: "never ends <sip:4101@h>;expires=60', "Contact: <sip:4101@h"),
    _answer("401 No", 'WWW-Authenticate: Digest realm="\\', 'WWW-Authenticate: Digest ,,,=,"="'),
    # Another protocol, another version, blanks in the wrong places.
    b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    _message("OPTIONS sip:a@h SIP/7.0", *_headers("OPTIONS")),
    _message("OPTIONS  sip:a@h;  lr  SIP/2.0 ", *_headers("OPTIONS")),
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
    b"\r\n" * 2000,
    b" " * 5000,
    # More lines than are read.
    _request("OPTIONS", *["v: SIP/2.0/UDP a"] * 250),
    _request("OPTIONS", "X: a" + "\r\n b" * 15_000),
    # Bytes of no encoding, NUL, a lone CR that would be a header of its own.
    _answer("200 OK").replace(b"night", b"\xff\xfe\xc0\x80"),
    _request("OPTIONS", "X: a\x00b"),
    _request("OPTIONS", "X: a\rVia: SIP/2.0/UDP evil"),
    _request("OPTIONS").replace(b"night-shift", b"\xff" * 20_000),
)
"""Wrong in at least one respect."""

MESSAGES = VALID + INVALID
