"""What handsets report: read in all ways it is written in, and nothing that could do harm."""

from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.formats.configuration.writing import notifications_cfg
from fleet.formats.decoding import Unreadable
from fleet.formats.notifications import MAX_BYTES, Event, Kind, read

MAC = "00907a13b900"
AT = datetime(2015, 7, 14, 19, 16, 28, tzinfo=UTC)
REGISTERED = Event(Kind.REGISTERED, MAC, 1, AT)


def event(
    name: str = "LineRegistrationEvent", mac: str = MAC, at: str = "2015-07-14T13:16:28-0600"
) -> str:
    return (
        f"<{name}>\n<PhoneIP>172.29.101.24</PhoneIP>\n<MACAddress>{mac}</MACAddress>\n"
        f"<LineNumber>1</LineNumber>\n<TimeStamp>{at}</TimeStamp>\n</{name}>\n"
    )


@pytest.mark.parametrize(
    "body",
    [
        event(),
        event(mac="00907A13B900"),
        event(at="2015-07-14T11:16:28-08:00"),
        f"<PolycomIPPhone>{event()}</PolycomIPPhone>",
        f"<SpectralinkIPPhone>\n{event()}</SpectralinkIPPhone >",
        f'\ufeff <?xml version="1.0" encoding="utf-8"?>\n{event()}',
        event("lineregistrationevent"),
        event().replace("<LineNumber>", "<CellularIP> </CellularIP><LineNumber>"),
    ],
)
def test_an_event_is_read_however_it_is_written(body: str) -> None:
    assert read(body.encode()) == (REGISTERED,)


def test_several_events_of_one_body_come_in_their_order() -> None:
    names = ("LineUnregistrationEvent", "NetworkUpEvent", "AppInitializationEvent")
    wrapped = f"<PolycomIPPhone>{event()}{event(names[0])}</PolycomIPPhone>"
    bare = event(names[1]) + event("OnHookEvent") + event(names[2])
    kinds = [Kind.REGISTERED, Kind.UNREGISTERED, Kind.NETWORK_UP, Kind.STARTED]
    assert [each.kind for each in read((wrapped + bare).encode())] == kinds


def test_what_is_not_for_us_is_read_over() -> None:
    call = '<CallStateChangeEvent CallReference="2"><CallLineInfo><LineNumber>1</LineNumber>'
    assert read(f"{call}</CallLineInfo></CallStateChangeEvent>".encode()) == ()
    assert read(b"") == ()


@pytest.mark.parametrize("at", ["", "yesterday", "2015-07-14T13:16:28", "9999-12-31T23:59:59-0600"])
def test_a_time_that_means_none_is_none(at: str) -> None:
    assert read(event(at=at).encode()) == (Event(Kind.REGISTERED, MAC, 1, None),)


@pytest.mark.parametrize("number", ["", "0", "-1", "one", "1" * 50])
def test_a_line_that_is_none_is_none(number: str) -> None:
    body = event().replace("<LineNumber>1<", f"<LineNumber>{number}<")
    assert read(body.encode())[0].line is None


@pytest.mark.parametrize(
    "body",
    [
        b"<LineRegistrationEvent>",
        b"not xml",
        b"\xff\xfe<",
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>',
        b'<?xml version="1.0"?><!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>',
        b"<x>&unknown;</x>",
        b"</body><LineRegistrationEvent/><body>",
        b"<a>" * 9 + b"</a>" * 9,
        b"<a/>" * 501,
        b" " * (MAX_BYTES + 1),
        event(mac="00907a").encode(),
    ],
)
def test_what_cannot_be_read_or_could_grow_is_refused(body: bytes) -> None:
    with pytest.raises(Unreadable) as refused:
        read(body)
    assert str(refused.value).endswith(".")


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode()))
def test_no_bytes_do_anything_but_be_read_or_refused(body: bytes) -> None:
    try:
        read(body)
        read(
            b"<LineRegistrationEvent><MACAddress>" + body + b"</MACAddress></LineRegistrationEvent>"
        )
    except Unreadable:
        pass


def test_the_file_has_the_guides_parameters() -> None:
    url = 'https://rollcall.example/notify/a&b"c/'
    [given_] = ElementTree.fromstring(notifications_cfg(url))
    assert given_.attrib == {
        "apps.telNotification.URL": url,
        "apps.telNotification.lineRegistrationEvent": "1",
        "apps.telNotification.networkUpEvent": "1",
        "apps.telNotification.appInitializationEvent": "1",
    }
