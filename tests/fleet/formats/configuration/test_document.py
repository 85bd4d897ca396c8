"""One configuration file: every dotted attribute, and what is refused with a sentence."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.formats.configuration import document
from fleet.formats.decoding import MAX_BYTES, Unreadable
from tests.support import trees


def read(text: str | bytes) -> document.Document:
    return document.read("a.cfg", text.encode() if isinstance(text, str) else text)


def refused(text: str | bytes) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        read(text)
    return caught.value


def test_every_dotted_attribute_of_every_element_is_read_with_its_place() -> None:
    found = read(
        '<handsetConfig>\n<x reg.1.address="4101"><y z="1"\nreg.1.label="a"/></x>\n</handsetConfig>'
    )
    assert {name: (v.text, v.place.row) for name, v in found.values.items()} == {
        "reg.1.address": ("4101", 2),
        "reg.1.label": ("a", 2),
    }
    assert not found.is_master


def test_names_match_in_any_spelling_and_keep_their_own() -> None:
    [value] = read('<a reg.1.auth.userID="4101"/>').values.items()
    assert (value[0], value[1].name) == ("reg.1.auth.userid", "reg.1.auth.userID")


def test_an_empty_value_is_not_set() -> None:
    assert read('<a reg.1.address="" reg.2.address=" "/>').values == {}


def test_a_device_value_without_its_set_is_inert_and_set_is_no_parameter() -> None:
    found = read(
        '<a device.set="1" device.a="1" device.b="2" device.b.set="1" device.c="3" '
        'device.c.set="0"/>'
    )
    assert sorted(found.values) == ["device.b"]


@pytest.mark.parametrize("root", ["MASTER_CONFIG", "APPLICATION", "application"])
def test_a_master_file_is_known_by_its_root(root: str) -> None:
    found = read(f'<{root} CONFIG_FILES="a.cfg"><b OVERRIDES_DIRECTORY="o"/></{root}>')
    assert found.is_master
    assert found.names["CONFIG_FILES"] == "a.cfg"
    assert found.names["OVERRIDES_DIRECTORY"] == "o"


def test_a_parameter_that_stands_twice_counts_the_last_time_and_is_told() -> None:
    found = read('<a>\n<b x.y="1"/>\n<b x.y="2"/>\n<b x.y="2"/></a>')
    assert found.values["x.y"].text == "2"
    assert [(note.row, note.field) for note in found.notes] == [(3, "x.y")]


def test_a_password_is_kept_as_it_is_and_never_shown() -> None:
    value = read('<a reg.1.auth.password=" pw "/>').values["reg.1.auth.password"]
    assert value.text == " pw "
    assert "pw" not in repr(value).replace("password", "")


BOMB = """<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<a x.y="&b;"/>"""


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        '<!DOCTYPE a SYSTEM "http://192.0.2.1/a.dtd"><a/>',
        '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a x.y="1">&e;</a>',
    ],
)
def test_a_dtd_and_its_entities_are_refused(text: str) -> None:
    assert "DTD" in str(refused(text))


@pytest.mark.parametrize(
    ("text", "sentence", "row"),
    [
        ("", "The file is empty.", None),
        ("not xml", "This is not XML: syntax error.", 1),
        ("<a>\n<b></a>", "This is not XML: mismatched tag.", 2),
        ('<a x.y="&unknown;"/>', "This is not XML: undefined entity.", 1),
        (b'<a x.y="\xfc"/>', "The file is not in the encoding it names", 1),
        ('<?xml version="1.0" encoding="klingon"?><a/>', "an encoding nobody reads", None),
        ('<?xml version="1.0" encoding="utf-16"?><a/>', "This is not XML", 1),
        ("<a>" * 40, "This is nested too deep.", 1),
        (b"<a>\x00</a>", "This is not XML", 1),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(
    text: str | bytes, sentence: str, row: int | None
) -> None:
    error = refused(text)
    assert sentence in str(error)
    assert row is None or error.row == row


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
def test_encodings_that_a_file_names_or_marks_are_read(encoding: str) -> None:
    named = "utf-8" if encoding == "utf-8-sig" else encoding
    text = f'<?xml version="1.0" encoding="{named}"?><a reg.1.label="Zürich"/>'
    assert read(text.encode(encoding)).values["reg.1.label"].text == "Zürich"


def test_a_file_of_a_hundred_megabytes_is_refused_before_it_is_parsed() -> None:
    data = b'<a x.y="' + b"a" * 100_000_000 + b'"/>'
    tracemalloc.start()
    try:
        assert f"larger than {MAX_BYTES // 1024 // 1024} MiB" in str(refused(data))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_file_of_countless_parameters_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MOST_VALUES", 10)
    inner = "".join(f'<b p.n{n}="1"/>' for n in range(11))
    assert "more than 10 parameters" in str(refused(f"<a>{inner}</a>"))


def test_a_file_that_contradicts_itself_without_end_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(document, "MOST_VALUES", 10)
    said = refused("<a>" + "".join(f'<b x.y="{n}"/>' for n in range(100)) + "</a>")
    assert "more than 10 parameters" in str(said)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_do_anything_but_read_or_be_refused(data: bytes) -> None:
    for content in (data, b"<a " + data + b"/>", trees.master("a.cfg")[:-20] + data):
        try:
            document.read("a.cfg", content)
        except Unreadable as error:
            assert str(error).endswith(".")
