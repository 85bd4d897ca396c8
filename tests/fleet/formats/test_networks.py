"""Which addresses may be asked, as anybody could write them."""

import pytest

from fleet.formats import networks
from fleet.formats.networks import AllowRule

USUAL = AllowRule()


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "172.16.0.9", "192.168.1.1", "192.0.2.10", "fd00::7", "2001:db8::1"]
)
def test_a_hospitals_addresses_may_be_asked(address: str) -> None:
    assert USUAL.refusal(address) == ""


@pytest.mark.parametrize(
    ("address", "word"),
    [
        *(("127.0.0.1", "loopback"), ("127.255.0.9", "loopback"), ("::1", "loopback")),
        *(("::ffff:127.0.0.1", "loopback"), ("64:ff9b::7f00:1", "loopback")),
        *(("2002:7f00:1::", "loopback"), ("::ffff:a9fe:a9fe", "metadata")),
        *(("169.254.169.254", "metadata"), ("fd00:ec2::254", "metadata")),
        *(("169.254.1.1", "link-local"), ("fe80::1", "link-local"), ("224.0.1.75", "multicast")),
        *(("ff02::1", "multicast"), ("0.0.0.0", "no single"), ("::", "no single")),
        *(("255.255.255.255", "no single"), ("0.1.2.3", "no single")),
    ],
)
def test_what_no_registrar_has_may_not_be_asked_however_it_is_written(
    address: str, word: str
) -> None:
    said = USUAL.refusal(address)
    assert said.startswith(f"{address} is ") and word in said
    assert networks.VARIABLE in said


def test_loopback_alone_may_be_allowed() -> None:
    rule = AllowRule(loopback=True)
    assert rule.refusal("127.0.0.2") == rule.refusal("::ffff:127.0.0.2") == ""
    assert "metadata" in rule.refusal("169.254.169.254")


def test_networks_that_are_named_are_all_there_is() -> None:
    rule = networks.read(["10.0.0.0/8", "127.0.0.2", "2001:db8::/32"], loopback=True)
    for address in ("10.9.9.9", "127.0.0.2", "::ffff:10.0.0.1", "2001:db8::1"):
        assert rule.refusal(address) == "", address
    for address in ("192.0.2.1", "127.0.0.1", "2001:db9::1", "::1"):
        assert (
            rule.refusal(address) == f"{address} is in none of the networks of {networks.VARIABLE}."
        )


def test_a_name_is_judged_by_what_it_resolves_to() -> None:
    assert USUAL.refusal("localhost") == USUAL.refusal("pbx.example") == ""


@pytest.mark.parametrize("word", ["10.0.0.1/8", "10.0.0.0/40", "everywhere", "10.0.0.0-10.0.0.9"])
def test_what_is_no_network_is_refused_by_its_word(word: str) -> None:
    with pytest.raises(ValueError, match=word):
        networks.read(["10.0.0.0/8", word], loopback=False)
