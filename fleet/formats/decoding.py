"""Bytes of a file to its text: size, encoding and emptiness, each refused with a sentence.

And what every file of an import is bounded by: somebody wrote it, or made it to do harm.
"""

MAX_BYTES = 32 * 1024 * 1024
"""Of one file."""
MAX_TOGETHER = 4 * MAX_BYTES
"""Of all files of one import."""
MAX_NODES = 3_000_000
"""Fields, values and lists of a YAML file; 50,000 handsets with all of theirs have 1,400,000."""
MAX_ROWS = 200_000
"""Of a table."""
MAX_FAULTS = 10_000
"""Told of one import; who has more looks at the first ones first."""


class Unreadable(ValueError):
    """The file as a whole cannot be read; `row` is where reading stopped, if that is known."""

    def __init__(self, sentence: str, row: int | None = None) -> None:
        super().__init__(sentence)
        self.row = row


def decode(data: bytes) -> str:
    """Return the text of a UTF-8 file, without its byte order mark. Raises Unreadable."""
    if len(data) > MAX_BYTES:
        raise Unreadable(f"The file is larger than {MAX_BYTES // 1024 // 1024} MiB.")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Unreadable("The file is UTF-16; save it as UTF-8.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        raise Unreadable("The file is not UTF-8; save it as UTF-8.", row) from error
    if "\x00" in text:
        row = text[: text.index("\x00")].count("\n") + 1
        raise Unreadable("The file has a NUL byte: it is not a text file.", row)
    if not text.strip():
        raise Unreadable("The file is empty.")
    return text
