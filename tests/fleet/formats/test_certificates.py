"""Certificates an admin pastes into a group, and the names they must bear."""

import pytest

from fleet.formats import certificates, values
from fleet.formats.fleet_file import read
from tests.support.certificates import Authority

ONE, TWO = Authority().certificate, Authority().certificate


def test_a_pasted_certificate_is_kept_without_what_stands_around_it() -> None:
    assert certificates.authority(f"\n  Bag attributes\n{ONE}\n\n") == ONE
    assert certificates.certificate(ONE) == ONE
    assert certificates.authority(" ") == certificates.certificate("") == ""


def test_a_group_may_trust_several_authorities_but_pin_one_certificate() -> None:
    assert certificates.authority(ONE + TWO) == ONE + TWO
    with pytest.raises(ValueError, match="tls_certificate must be one certificate .* are 2"):
        certificates.certificate(ONE + TWO)


@pytest.mark.parametrize("given", ["pbx.pem", ONE[:-40], ONE.replace("M", "-"), "ü"])
def test_what_is_no_certificate_is_refused_by_name(given: str) -> None:
    with pytest.raises(ValueError, match="tls_ca must be certificates in PEM"):
        certificates.authority(given)


def test_a_private_key_is_refused_and_not_repeated() -> None:
    secret = Authority().issue("a").key
    with pytest.raises(ValueError, match="private key") as caught:
        certificates.authority(ONE + secret)
    assert secret.splitlines()[1] not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "stored"),
    [(" PBX.Example. ", "pbx.example"), ("[2001:db8::1]", "2001:db8::1"), ("", "")],
)
def test_a_tls_name_is_a_name_or_an_address_or_nothing(given: str, stored: str) -> None:
    assert values.tls_name(given) == stored


@pytest.mark.parametrize("given", ["a b", "sip:pbx.example", "*.example", "x" * 300])
def test_anything_else_is_no_tls_name(given: str) -> None:
    with pytest.raises(ValueError, match=r"tls_name|At most"):
        values.tls_name(given)


def test_a_fleet_file_says_what_servers_must_prove() -> None:
    block = "".join(f"      {line}\n" for line in ONE.splitlines())
    text = (
        "groups:\n  - name: ward\n    mode: failover\n    servers:\n"
        "      - {address: 192.0.2.1, transport: TLS, tls_name: pbx.example}\n"
        f"    tls_ca: |\n{block}"
    )
    rows, faults = read("fleet.yaml", text.encode())
    assert faults == []
    (group,) = rows.groups
    assert (group.tls_ca, group.tls_certificate) == (ONE, None)
    assert group.servers is not None
    assert (group.servers[0].transport, group.servers[0].tls_name) == ("tls", "pbx.example")
    assert group.servers[0].port == 5061


def test_a_fleet_files_fault_names_its_row() -> None:
    text = "groups:\n  - name: ward\n    tls_certificate: pbx.pem\n"
    _, faults = read("fleet.yaml", text.encode())
    assert [(fault.row, fault.field) for fault in faults if "tls" in fault.field] == [
        (3, "groups[1].tls_certificate")
    ]
