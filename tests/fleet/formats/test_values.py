"""Single values: what is kept, what is refused."""

import pytest

from fleet.formats import values


@pytest.mark.parametrize(
    "given", ["00907A000001", "00:90:7a:00:00:01", "00-90-7A-00-00-01", " 0090.7a00.0001 "]
)
def test_a_mac_is_kept_without_separators_in_lower_case(given: str) -> None:
    assert values.mac(given) == "00907a000001"


@pytest.mark.parametrize(
    "given", ["", "00907a00000", "00907a00000g", "0" * 12, "f" * 12, "０0907a00001"]
)
def test_what_is_no_mac_is_refused(given: str) -> None:
    with pytest.raises(ValueError):
        values.mac(given)


@pytest.mark.parametrize("given", ["pbx.example", "PBX.example.", "pbx1", "_sip.pbx.example"])
def test_a_server_may_be_a_name(given: str) -> None:
    assert values.address(given) == given.lower().removesuffix(".")
    assert values.default_port(values.address(given), "tls") == 0, "DNS says it"


def test_a_literal_address_has_its_transports_port() -> None:
    assert values.default_port("127.0.0.2", "dns_naptr") == 5060
    assert values.default_port("::1", "tls") == 5061


@pytest.mark.parametrize(
    "given",
    [
        "",
        "1.2.3",
        "1.2.3.256",
        "0.0.0.0",
        "224.0.0.1",
        "::",
        "fe80::1%eth0",
        "01.2.3.4",
        "pbx example",
    ],
)
def test_what_is_no_servers_address_is_refused(given: str) -> None:
    with pytest.raises(ValueError):
        values.address(given)


def test_addresses_are_kept_in_their_shortest_form() -> None:
    assert values.address(" 127.0.0.2 ") == "127.0.0.2"
    assert values.address("[2001:DB8:0::1]") == "2001:db8::1"


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("UDPonly", "udp"),
        ("TCPOnly", "tcp"),
        ("TLS", "tls"),
        ("TCPpreferred", "tcp_preferred"),
        ("DNSnaptr", "dns_naptr"),
        ("dns_naptr", "dns_naptr"),
    ],
)
def test_a_transport_may_be_written_in_the_guides_words(given: str, stored: str) -> None:
    assert values.transport(given) == stored


def test_what_is_no_transport_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="udp, tcp, tls, tcp_preferred or dns_naptr"):
        values.transport("smoke")


@pytest.mark.parametrize("given", ["41 01", "4101@pbx", "<4101>", 'a"b', "", "4\r\n101"])
def test_an_extension_cannot_break_out_of_its_address(given: str) -> None:
    with pytest.raises(ValueError):
        values.extension(given)


@pytest.mark.parametrize(
    "given", ["pbx.example", "registrar1", "192.0.2.1", "[2001:db8::1]", "a_b.example"]
)
def test_a_domain_is_a_host_name_or_an_address(given: str) -> None:
    assert values.domain(given) == given


@pytest.mark.parametrize(
    "given", ["", "pbx example", "pbx..example", "-pbx", "sip:pbx", "pbx:5060"]
)
def test_what_is_no_domain_is_refused(given: str) -> None:
    with pytest.raises(ValueError):
        values.domain(given)


def test_a_password_keeps_its_blanks_and_has_no_line_breaks() -> None:
    assert values.password(" a b ") == " a b "
    with pytest.raises(ValueError):
        values.password("a\nb")


@pytest.mark.parametrize("given", ["0", "100", "-1", "+1", "1.0", "1_0", "٣", ""])
def test_what_is_no_line_is_refused(given: str) -> None:
    with pytest.raises(ValueError):
        values.line(given)
