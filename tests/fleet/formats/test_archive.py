"""A zip: its files, and what is refused before it can do harm."""

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.formats import archive
from fleet.formats.decoding import Unreadable


def packed(*files: tuple[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as pack:
        for name, data in files:
            pack.writestr(name, data)
    return made.getvalue()


def read(data: bytes) -> list[tuple[str, bytes]]:
    return list(archive.read(data, lambda name: name.endswith(".cfg")))


def refused(data: bytes) -> str:
    with pytest.raises(Unreadable) as caught:
        read(data)
    return str(caught.value)


def test_the_files_that_are_wanted_are_unpacked() -> None:
    assert read(packed(("a/b.cfg", b"1"), ("a/sip.ld", b"2"), ("c.cfg", b""))) == [
        ("a/b.cfg", b"1"),
        ("c.cfg", b""),
    ]


@pytest.mark.parametrize(
    "name", ["../a.cfg", "/etc/a.cfg", "a/../../b.cfg", "C:/a.cfg", "a\\..\\b.cfg"]
)
def test_a_name_that_leads_out_of_the_archive_is_refused(name: str) -> None:
    assert "outside of itself" in refused(packed((name, b"1")))


def test_a_bomb_is_unpacked_no_further_than_is_permitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_BYTES", 1000)
    monkeypatch.setattr(archive, "MAX_TOGETHER", 2500)
    assert "is larger than" in refused(packed(("a.cfg", b"0" * 1_000_000)))
    small = [(f"{n}.cfg", b"0" * 1000) for n in range(3)]
    assert "unpacks to more than" in refused(packed(*small))
    assert len(read(packed(*small[:2]))) == 2


def test_a_size_that_the_directory_lies_about_helps_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_BYTES", 1000)
    data = bytearray(packed(("a.cfg", b"0" * 100_000)))
    where = data.rindex(b"PK\x01\x02") + 24
    data[where : where + 4] = (10).to_bytes(4, "little")
    # Either it is cut at what it claims and fails its checksum, or it is too large.
    assert refused(bytes(data)).endswith(".")


def test_countless_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_FILES", 2)
    assert "more than 2 files" in refused(packed(*((f"{n}.cfg", b"") for n in range(3))))


def test_what_is_no_archive_or_damaged_or_locked_is_refused() -> None:
    assert "not a zip archive" in refused(b"PK\x03\x04 not really")
    good = bytearray(packed(("a.cfg", b"some text " * 50)))
    good[40] ^= 0xFF
    assert "damaged" in refused(bytes(good))
    locked = bytearray(packed(("a.cfg", b"1")))
    locked[locked.rindex(b"PK\x01\x02") + 8] |= 1
    assert "password" in refused(bytes(locked))


@pytest.mark.parametrize("packing", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_packings_that_may_ask_for_any_memory_are_refused(packing: int) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", packing) as archive_file:
        archive_file.writestr("a.cfg", "x" * 1000)
    assert "nobody here unpacks" in refused(made.getvalue())


@given(st.binary(max_size=60), st.integers(0, 200))
def test_no_bytes_do_anything_but_read_or_be_refused(noise: bytes, at: int) -> None:
    data = packed(("a.cfg", b"some text " * 20), ("b.cfg", b"x"))
    for content in (noise, data[:at] + noise + data[at:], data[:at] + noise):
        try:
            read(content)
        except Unreadable as error:
            assert str(error)
