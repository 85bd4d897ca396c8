"""An independent parser reads what we write, and we read what it writes."""

from sipmessage import Message
from sipmessage import Request as TheirRequest
from sipmessage import Response as TheirResponse

from registrations.sip.answering import answer
from registrations.sip.message import parse
from tests.registrations.sip.wire import CHALLENGE, CONTACT, INSTANCE, Line, request_of


def test_they_read_our_register() -> None:
    line = Line()
    line.begin()
    line.hear("401 Unauthorized", CHALLENGE)
    line.leave()
    theirs = Message.parse(line.data)
    assert isinstance(theirs, TheirRequest)
    assert (theirs.method, str(theirs.uri)) == ("REGISTER", "sip:pbx.example")
    assert (theirs.cseq.sequence, theirs.cseq.method) == (2, "REGISTER")
    assert theirs.via[0].parameters["branch"] == line.client.branch
    assert str(theirs.contact[0].uri) == CONTACT
    assert theirs.contact[0].parameters["+sip.instance"] == f'"<{INSTANCE}>"'
    assert theirs.authorization is not None
    shown = theirs.authorization.parameters
    assert shown is not None
    assert (shown["username"], shown["nc"]) == ("nurse", "00000001")


def test_they_read_our_answers() -> None:
    line = Line()
    line.begin()
    data = answer(request_of(line.data), ("127.0.0.1", 5062), secret=b"s")
    assert data is not None
    theirs = Message.parse(data)
    assert isinstance(theirs, TheirResponse)
    assert theirs.code == 405
    assert theirs.to_address.parameters["tag"]


def test_we_read_what_they_write_back_to_the_same_bytes() -> None:
    line = Line()
    line.begin()
    theirs = Message.parse(line.data)
    assert parse(bytes(theirs)) == parse(line.data)
