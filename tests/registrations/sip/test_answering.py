"""What our Contacts answer: always something, never a call."""

import pytest

from registrations.sip.answering import ALLOW, answer, respond
from registrations.sip.message import Request, Response
from tests.registrations.sip.wire import request_of, response_of

SOURCE = ("192.0.2.7", 40_000)
SECRET = b"the same in all processes"


def request(method: str = "OPTIONS", **instead: str) -> Request:
    headers = {
        "via": "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKa;rport",
        "from": "<sip:pbx>;tag=1",
        "to": "<sip:4101@pbx>",
        "call-id": "call",
        "cseq": f"1 {method}",
    } | {name.replace("_", "-"): value for name, value in instead.items()}
    lines = [f"{name}: {value}" for name, value in headers.items() if value != "-"]
    return request_of("\r\n".join([f"{method} sip:4101@h SIP/2.0", *lines, "", ""]).encode())


def answered(asked: Request, *, secret: bytes = SECRET) -> Response:
    data = answer(asked, SOURCE, secret=secret)
    assert data is not None
    return response_of(data)


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("OPTIONS", 200),
        ("INVITE", 480),
        ("NOTIFY", 481),
        ("MESSAGE", 405),
        ("BYE", 405),
        ("CANCEL", 405),
        ("NONSENSE", 405),
    ],
)
def test_every_method_has_its_answer(method: str, code: int) -> None:
    response = answered(request(method))
    assert response.code == code
    assert response.first("cseq") == f"1 {method}"
    assert response.first("call-id") == "call"
    assert response.first("from") == "<sip:pbx>;tag=1"
    assert response.first("content-length") == "0"


@pytest.mark.parametrize(("method", "shown"), [("OPTIONS", True), ("BYE", True), ("INVITE", False)])
def test_allow_goes_with_200_and_405(method: str, shown: bool) -> None:
    assert answered(request(method)).headers.get("allow") == ([ALLOW] if shown else None)


def test_an_ack_is_never_answered() -> None:
    assert answer(request("ACK"), SOURCE, secret=SECRET) is None


def test_the_to_tag_is_the_same_per_call_and_secret_without_memory() -> None:
    tag = answered(request()).first("to")
    assert tag == answered(request("INVITE")).first("to")
    assert tag != answered(request(call_id="another")).first("to")
    assert tag != answered(request(), secret=b"another").first("to")
    assert tag is not None
    assert tag.startswith("<sip:4101@pbx>;tag=")


@pytest.mark.parametrize(
    "to", ["<sip:4101@pbx>;tag=theirs", "sip:4101@pbx;tag=theirs", '"a>b" <sip:x>;x;TAG=theirs']
)
def test_a_to_tag_that_is_there_stays(to: str) -> None:
    assert answered(request(to=to)).first("to") == to


def test_the_top_via_says_where_the_request_came_from() -> None:
    via = "SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bKa;received=6.6.6.6, SIP/2.0/UDP b;branch=c"
    assert answered(request(via=via)).headers["via"] == [
        "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa;received=192.0.2.7;rport=40000, "
        "SIP/2.0/UDP b;branch=c"
    ]


def test_rport_is_filled_only_where_it_was_asked_for() -> None:
    via = "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa"
    assert answered(request(via=via)).headers["via"] == [f"{via};received=192.0.2.7"]


def test_all_vias_are_repeated_in_order() -> None:
    asked = request()
    asked.headers["via"].append("SIP/2.0/UDP second;branch=z9hG4bKb")
    assert answered(asked).headers["via"][1:] == ["SIP/2.0/UDP second;branch=z9hG4bKb"]


@pytest.mark.parametrize(
    "broken",
    [
        *({"via": "-"}, {"from": "-"}, {"to": "-"}, {"call_id": "-"}, {"cseq": "-"}),
        *({"to": ""}, {"cseq": "1 INVITE"}, {"cseq": "one OPTIONS"}, {"to": '<sip:x>;a="b'}),
        *({"via": 'SIP/2.0/UDP h;a="b'}, {"t": "<sip:doubled>"}),
    ],
)
def test_a_request_too_broken_to_answer_gets_none(broken: dict[str, str]) -> None:
    assert answer(request(**broken), SOURCE, secret=SECRET) is None


def test_any_status_can_be_given_with_headers_of_its_own() -> None:
    data = respond(request(), SOURCE, "503 Busy", ["Retry-After: 7"], secret=SECRET)
    assert data is not None
    response = response_of(data)
    assert (response.code, response.reason, response.first("retry-after")) == (503, "Busy", "7")
