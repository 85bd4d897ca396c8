"""The fleet file: what it says, and every fault with its row."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.formats import fleet_file, tree
from fleet.formats.faults import Fault

WHOLE = """\
sites:
  - {name: main, time_zone: America/Denver}
groups:
  - name: ward
    mode: failover
    servers:
      - {address: 127.0.0.2, port: 5060, transport: udp}
      - address: 127.0.0.3
        lost_features: [voicemail, presence]
    policy:
      expires: 20
      re_register_on: true
    supervision: register
handsets:
  - {mac: 00907a000001, name: Ward 4 nurse, extension: 0101, domain: pbx.example,
     auth_user: "4101", auth_password: "p: #w", group: ward, site: main, model: 8440, tags: [icu]}
"""


def read(text: str) -> tuple[fleet_file.FleetRows, list[Fault]]:
    return fleet_file.read("f.yaml", text.encode())


def faults(text: str) -> list[tuple[int | None, str]]:
    return [(fault.row, fault.field) for fault in read(text)[1]]


def test_a_whole_file_is_read_as_it_was_written() -> None:
    rows, wrong = read(WHOLE)
    assert wrong == []
    [site], [group], [handset] = rows.sites, rows.groups, rows.handsets
    assert (site.name, site.time_zone) == ("main", "America/Denver")
    assert (group.name, group.mode, group.supervision) == ("ward", "failover", "register")
    assert [(s.address, s.port) for s in group.servers or ()] == [
        ("127.0.0.2", 5060),
        ("127.0.0.3", 5060),
    ]
    assert dict(group.policy) == {"expires": 20, "re_register_on": True}
    # A leading zero belongs to an extension; YAML would have made it a number.
    assert handset.extension == "0101"
    assert (handset.mac, handset.line, handset.model) == ("00907a000001", 1, "8440")
    assert handset.auth_password == "p: #w"
    assert handset.supervision is None
    assert handset.tags == ("icu",)
    assert handset.place.row == 15


def test_a_password_is_not_in_what_is_printed_of_a_row() -> None:
    rows, _ = read(WHOLE)
    assert "p: #w" not in repr(rows)


def test_every_fault_is_told_with_its_row_and_field() -> None:
    text = """\
sites:
  - {name: "main site"}
groups:
  - name: ward
    mode: both
    colour: red
    servers:
      - {address: pbx example, port: 70000}
      - {address: 127.0.0.2}
      - {address: 127.0.0.2, transport: smoke}
    policy: {expires: 3, expirse: 4}
handsets:
  - mac: 00907a
    line: none
    extension: "a b"
    supervision: sometimes
"""
    assert sorted(faults(text), key=str) == sorted(
        [
            (2, "sites[1].name"),
            (5, "groups[1].mode"),
            (6, "groups[1].colour"),
            (8, "groups[1].servers[1].address"),
            (8, "groups[1].servers[1].port"),
            (10, "groups[1].servers[3].transport"),
            (10, "groups[1].servers[3].address"),
            (11, "groups[1].policy.expires"),
            (11, "groups[1].policy.expirse"),
            (13, "handsets[1].mac"),
            (14, "handsets[1].line"),
            (15, "handsets[1].extension"),
            (16, "handsets[1].supervision"),
        ],
        key=str,
    )


def test_a_doubled_key_is_a_fault_where_it_stands_again() -> None:
    assert faults("sites:\n  - name: a\n    name: b\n") == [(3, "sites[1].name")]


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("", None),
        ("# nothing\n", None),
        ("sites: [\n", 2),
        ("a: 1\n---\nb: 2\n", None),
        ("sites: &x []\ngroups: *x\n", 2),
        ("sites: !!python/object:os.system {}\n", 1),
        ("? [a]\n: b\n", 1),
        ("x: " + "[" * 10_000 + "]" * 10_000, 1),
        ("[]", 1),
        ("sites: []\n", None),
    ],
)
def test_what_cannot_be_read_is_one_fault(text: str, row: int | None) -> None:
    [fault] = read(text)[1]
    assert fault.row == row or row is None
    assert fault.message.endswith(".")


def test_a_file_in_another_encoding_is_told_where_it_breaks() -> None:
    _, [fault] = fleet_file.read("f.yaml", b"sites:\n  - {name: caf\xe9}\n")
    assert (fault.row, "UTF-8" in fault.message) == (2, True)
    _, [fault] = fleet_file.read("f.yaml", "sites: []".encode("utf-16"))
    assert "UTF-16" in fault.message


def test_a_bomb_of_aliases_does_not_go_off_and_one_of_values_is_not_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    laughs = "a: &a [x]\n" + "".join(f"{c}: &{c} [*{p}, *{p}]\n" for p, c in pairwise("abcdefgh"))
    assert "Aliases" in read(laughs)[1][0].message
    monkeypatch.setattr(tree, "MAX_NODES", 1000)
    [fault] = read("sites: [" + "x," * 100_000 + "]")[1]
    assert fault.message == "The file has more than 1000 fields and values."


@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_raise(data: bytes) -> None:
    fleet_file.read("f.yaml", data)


@given(st.text(alphabet="sitegroupshandsets:-[]{}\n ,&*!?|>\"'#%@0", max_size=200))
def test_no_yaml_makes_the_reader_raise(text: str) -> None:
    fleet_file.read("f.yaml", text.encode())
