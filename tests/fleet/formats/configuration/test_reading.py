"""What trees say of groups and handsets, in both dialects, odd ones included."""

import pytest

from fleet.formats.configuration import reading
from fleet.formats.dns_cache import DnsRow
from fleet.formats.rows import GroupRow, HandsetRow, Read
from tests.support import trees
from tests.support.trees import DESK, ICU, WARD, Files, line, master, parameters

MASTER = ("000000000000.cfg", master("[PHONE_MAC_ADDRESS]-ext.cfg, site.cfg"))


def tree(site: dict[str, str], **handsets: dict[str, str]) -> Files:
    """An 84-Series tree: what site.cfg says, and what each handset's own file does."""
    own = [(f"{mac[1:]}-ext.cfg", parameters(given)) for mac, given in handsets.items()]
    return [MASTER, ("site.cfg", parameters(site)), *own]


def one(site: dict[str, str], own: dict[str, str] | None = None) -> Read:
    return reading.read(tree(site, **{f"_{WARD}": line("4101") if own is None else own}))


def group(read: Read) -> GroupRow:
    assert read.faults == []
    [found] = read.rows.groups
    return found


def handset(read: Read) -> HandsetRow:
    assert read.faults == []
    [found] = read.rows.handsets
    return found


def told(read: Read) -> list[tuple[str, str]]:
    return [(note.file, note.field) for note in read.notes]


def servers(read: Read) -> list[tuple[str, int, str]]:
    return [(s.address, s.port, s.transport) for s in group(read).servers or ()]


def test_the_example_of_the_84_series_reads_as_it_behaves() -> None:
    read = reading.read(trees.spectralink())
    row = handset(read)
    assert (row.mac, row.line, row.extension, row.domain) == (
        *(WARD, 1, "4101"),
        "pbx.hospital.example",
    )
    assert (row.name, row.auth_user, row.auth_password) == ("Ward 4 nurse", "4101", "pw-4101")
    assert (row.group, row.supervision, row.is_live) == ("pbx.hospital.example", None, True)
    found = group(read)
    assert (found.name, found.mode) == ("pbx.hospital.example", "fallback")
    assert servers(read) == [
        ("pbx.hospital.example", 0, "dns_naptr"),
        ("192.0.2.20", 5060, "udp"),
    ]
    assert (found.policy["fail_back_mode"], found.policy["fail_back_timeout"]) == ("duration", 120)
    assert (found.policy["expires"], found.policy["retry_timeout"]) == (600, 500)
    assert found.dns_cache == (DnsRow("A", "pbx.hospital.example", 300, "192.0.2.10"),)
    # A fallback group has nothing to register again for.
    assert found.policy["re_register_on"] is False
    assert told(read) == [("site.cfg", "voIpProt.server.1.failOver.reRegisterOn")]


def test_the_example_of_polycom_reads_as_it_behaves() -> None:
    read = reading.read(trees.polycom())
    row = handset(read)
    assert (row.mac, row.extension, row.domain) == (DESK, "5001", "voice.example")
    assert (row.auth_user, row.name) == ("u5001", "Desk")
    assert servers(read) == [("192.0.2.10", 5060, "tcp")]
    # UCS has another default than the 84-Series, and 503 is switched off here.
    found = group(read)
    assert (found.mode, found.policy["fail_back_mode"]) == ("failover", "new_requests")
    assert found.policy["failover_on_503"] is False
    [note] = read.notes
    assert "1 parameter says nothing" in note.message
    assert "tone.dtmf.level" in note.message


def test_the_file_further_left_wins() -> None:
    own = line("4101") | {"voIpProt.server.1.expires": "900"}
    assert group(one(trees.SERVERS, own)).policy["expires"] == 900


def test_what_is_left_empty_further_left_is_not_set() -> None:
    own = line("4101") | {"voIpProt.server.1.expires": ""}
    assert group(one(trees.SERVERS, own)).policy["expires"] == 600


def test_what_was_changed_at_the_handset_wins_over_all_files() -> None:
    files = [*trees.spectralink(), (f"overrides/{WARD}-phone.cfg", parameters(line("4777")))]
    row = handset(reading.read(files))
    assert (row.extension, row.place.file) == ("4777", f"overrides/{WARD}-phone.cfg")


def test_a_table_of_the_line_overrules_the_shared_one_whole_where_it_has_an_address() -> None:
    own = line("4101", server_1_address="192.0.2.77") | {"reg.1.server.2.expires": "111"}
    read = one(trees.SERVERS, own)
    assert servers(read) == [("192.0.2.77", 5060, "udp"), ("192.0.2.20", 5060, "udp")]
    # Never a mix: the shared table's rules of server 1 do not hold for the line's own.
    assert group(read).policy["expires"] == 3600
    assert group(read).policy["fail_back_mode"] == "registration"


def test_a_server_without_an_address_is_inert() -> None:
    site = {"voIpProt.server.1.address": "192.0.2.10", "voIpProt.server.2.port": "5060"}
    found = group(one(site))
    assert found.mode == "failover"
    assert len(found.servers or ()) == 1


@pytest.mark.parametrize(
    ("address", "user", "domain"),
    [
        ("4101", "4101", "192.0.2.10"),
        ("4101@voice.example", "4101", "voice.example"),
        ("sip:4101@voice.example:5080", "4101", "voice.example"),
        (" 4101@192.0.2.4 ", "4101", "192.0.2.4"),
    ],
)
def test_an_address_is_a_user_or_a_user_at_a_host(address: str, user: str, domain: str) -> None:
    row = handset(one({"voIpProt.server.1.address": "192.0.2.10"}, line(address)))
    assert (row.extension, row.domain) == (user, domain)


@pytest.mark.parametrize(
    ("server", "place"),
    [
        ({"transport": "UDPonly"}, ("a.example", 0, "udp")),
        ({"transport": "tls"}, ("a.example", 0, "tls")),
        ({"transport": "TCPpreferred", "port": "5070"}, ("a.example", 5070, "tcp_preferred")),
        ({"address": "192.0.2.1", "transport": "TLS"}, ("192.0.2.1", 5061, "tls")),
        ({"address": "192.0.2.1", "port": "0"}, ("192.0.2.1", 5060, "udp")),
        ({}, ("a.example", 0, "dns_naptr")),
    ],
)
def test_port_and_transport_are_the_handsets_own(
    server: dict[str, str], place: tuple[str, int, str]
) -> None:
    given = {"address": "a.example"} | server
    site = {f"voIpProt.server.1.{name}": value for name, value in given.items()}
    assert servers(one(site)) == [place]


def test_a_number_out_of_range_is_told_and_the_default_taken() -> None:
    site = trees.SERVERS | {
        "voIpProt.server.1.expires": "4",
        "voIpProt.server.1.transport": "pigeon",
        "voIpProt.server.1.port": "99999",
        "voIpProt.server.1.failOver.reRegisterOn": "",
    }
    read = one(site)
    assert group(read).policy["expires"] == 3600
    assert servers(read)[0] == ("pbx.hospital.example", 0, "dns_naptr")
    assert {field for _, field in told(read)} == {
        "voIpProt.server.1.expires",
        "voIpProt.server.1.transport",
        "voIpProt.server.1.port",
    }
    assert all("Taken as the handset takes it" in note.message for note in read.notes)


def test_register_on_is_taken_for_re_register_on() -> None:
    site = {"voIpProt.server.1.address": "a.example", "voIpProt.server.1.failOver.RegisterOn": "1"}
    assert group(one(site)).policy["re_register_on"] is True


def test_the_rules_of_an_outbound_proxy_win_and_the_proxy_is_told() -> None:
    site = trees.SERVERS | {
        "voIpProt.SIP.outboundProxy.address": "192.0.2.5",
        "voIpProt.SIP.outboundProxy.failOver.failBack.mode": "DNSTTL",
    }
    read = one(site)
    assert group(read).policy["fail_back_mode"] == "dns_ttl"
    assert ("site.cfg", "voIpProt.SIP.outboundProxy.address") in told(read)


def test_a_second_server_with_rules_of_its_own_is_told() -> None:
    site = trees.SERVERS | {
        "voIpProt.server.2.expires": "120",
        "voIpProt.server.2.retryMaxCount": "3",
    }
    assert ("site.cfg", "voIpProt.server.2.expires") in told(one(site))
    assert ("site.cfg", "voIpProt.server.2.retryMaxCount") not in told(one(site))


def test_a_server_that_is_only_called_keeps_register_off() -> None:
    site = trees.SERVERS | {"voIpProt.server.2.register": "0"}
    assert [s.register for s in group(one(site)).servers or ()] == [True, False]


def test_servers_none_of_which_takes_registrations_are_a_fault() -> None:
    site = {"voIpProt.server.1.address": "a.example", "voIpProt.server.1.register": "0"}
    [fault] = one(site).faults
    assert (fault.file, fault.field) == ("site.cfg", "voIpProt.server.1.register")


def test_only_the_records_that_the_servers_lead_to_are_kept() -> None:
    site = {
        "voIpProt.server.1.address": "pbx.example",
        "dns.cache.SRV.1.name": "_sip._udp.pbx.example",
        "dns.cache.SRV.1.port": "5060",
        "dns.cache.SRV.1.target": "a.example",
        "dns.cache.A.1.name": "a.example",
        "dns.cache.A.1.address": "192.0.2.10",
        "dns.cache.A.1.ttl": "5",
        "dns.cache.A.2.name": "ntp.example",
        "dns.cache.A.2.address": "192.0.2.11",
        "dns.cache.A.3.name": "pbx.example",
        "dns.cache.A.3.address": "not an address",
    }
    read = one(site)
    assert group(read).dns_cache == (
        DnsRow("A", "a.example", 300, "192.0.2.10"),
        DnsRow("SRV", "_sip._udp.pbx.example", port=5060, target="a.example"),
    )
    assert [field for _, field in told(read)] == ["dns.cache.A.1.ttl", "dns.cache.A.3.address"]


def test_equal_servers_and_rules_are_one_group_whoever_has_them() -> None:
    apart = line("4103", server_1_address="192.0.2.88")
    handsets = {"_00907a000001": line("4101"), "_00907a000002": line("4102"), f"_{ICU}": apart}
    read = reading.read(tree({"voIpProt.server.1.address": "192.0.2.10"}, **handsets))
    assert [g.name for g in read.rows.groups] == ["192.0.2.10", "192.0.2.88"]
    assert [(h.extension, h.group) for h in read.rows.handsets] == [
        ("4101", "192.0.2.10"),
        ("4102", "192.0.2.10"),
        ("4103", "192.0.2.88"),
    ]


def test_one_primary_under_two_policies_is_two_groups_the_larger_keeps_the_plain_name() -> None:
    own = line("4103") | {"voIpProt.server.1.expires": "1800"}
    handsets = {"_00907a000001": own, "_00907a000002": line("1"), "_00907a000003": line("2")}
    read = reading.read(tree({"voIpProt.server.1.address": "a.example"}, **handsets))
    assert [(g.name, g.policy["expires"]) for g in read.rows.groups] == [
        ("a.example", 3600),
        ("a.example 2", 1800),
    ]


def test_a_group_that_is_there_with_these_servers_keeps_its_name() -> None:
    places = (("a.example", 0, "dns_naptr"),)
    files = tree({"voIpProt.server.1.address": "a.example"}, **{f"_{WARD}": line("4101")})
    assert group(reading.read(files, known={"Ward": places})).name == "Ward"
    # The same name with the same primary is that group, with other servers since.
    grown = (*places, ("192.0.2.20", 5060, "udp"))
    assert group(reading.read(files, known={"a.example": grown})).name == "a.example"
    # The same name with another primary is somebody else's.
    other = (("192.0.2.20", 5060, "udp"),)
    assert group(reading.read(files, known={"a.example": other})).name == "a.example 2"


def test_several_lines_of_a_handset_are_lines() -> None:
    read = one({"voIpProt.server.1.address": "a.example"}, line("4101") | line("4201", 2))
    assert [(h.line, h.extension) for h in read.rows.handsets] == [(1, "4101"), (2, "4201")]


def test_a_line_with_other_servers_than_the_first_is_left_out_and_told() -> None:
    own = line("4101") | line("4201", 2, server_1_address="192.0.2.9")
    read = one({"voIpProt.server.1.address": "a.example"}, own)
    assert [h.line for h in read.rows.handsets] == [1]
    assert told(read) == [(f"{WARD}-ext.cfg", "reg.2.address")]


def test_a_handset_without_a_line_is_left_out_and_told() -> None:
    files = tree(
        trees.SERVERS | {"voIpProt.server.1.failOver.reRegisterOn": ""},
        **{f"_{WARD}": line("4101"), f"_{ICU}": {"reg.1.label": "nobody"}},
    )
    read = reading.read(files)
    assert [h.mac for h in read.rows.handsets] == [WARD]
    assert told(read) == [(f"{ICU}-ext.cfg", "reg.1.address")]


def test_a_handset_without_a_server_is_a_fault_that_names_its_files() -> None:
    [fault] = one({"tone.dtmf.level": "1"}).faults
    assert fault.file == f"{WARD}-ext.cfg"
    assert "site.cfg" in fault.message


@pytest.mark.parametrize(
    ("own", "field"),
    [
        ({"reg.1.address": "41 01"}, "reg.1.address"),
        ({"reg.1.address": "4101@-bad-"}, "reg.1.address"),
        ({"reg.1.displayName": "n" * 121}, "reg.1.displayName"),
        ({"reg.1.auth.password": "p" * 257}, "reg.1.auth.password"),
        ({"reg.1.server.1.address": "no host!"}, "reg.1.server.1.address"),
    ],
)
def test_a_value_that_cannot_be_is_a_fault_where_it_stands(own: dict[str, str], field: str) -> None:
    read = one({"voIpProt.server.1.address": "a.example"}, line("4101") | own)
    [fault] = read.faults
    assert (fault.file, fault.field) == (f"{WARD}-ext.cfg", field)
    assert fault.row
    assert "ppp" not in str(fault)


def test_every_file_that_cannot_be_read_is_a_fault_and_the_others_are_read() -> None:
    files = [*trees.spectralink(), (f"{ICU}-ext.cfg", b"<broken"), ("oai.cfg", b"\xff\xfe<")]
    read = reading.read(files)
    assert sorted(fault.file for fault in read.faults) == [f"{ICU}-ext.cfg", "oai.cfg"]
    assert [row.mac for row in read.rows.handsets] == [WARD]


def test_files_in_which_no_handset_is_are_a_fault() -> None:
    [fault] = reading.read([MASTER, ("site.cfg", parameters(trees.SERVERS))]).faults
    assert "No handset" in fault.message


def test_no_secret_is_told_anywhere() -> None:
    files = tree(trees.SERVERS, **{f"_{WARD}": line("4101") | {"reg.1.auth.password": "hush"}})
    read = reading.read(files)
    assert "hush" not in repr(read)
    assert handset(read).auth_password == "hush"


def test_progress_is_told_over_files_and_handsets() -> None:
    heard: list[tuple[int, int]] = []
    reading.read(trees.ward(450), tell=lambda done, total: heard.append((done, total)))
    assert heard == sorted(heard)
    assert heard[-1][0] > 452
    assert {total for _, total in heard} == {2 * 452}
