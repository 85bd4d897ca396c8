"""Cells of a CSV that no spreadsheet runs (OWASP, CSV injection), and back to what they say."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet run a cell."""


def escaped(text: str) -> str:
    """Return `text` behind an apostrophe where it would be run, or would look so escaped."""
    return f"'{text}" if text.lstrip("'").startswith(FORMULA_STARTS) else text


def unescaped(cell: str) -> str:
    """Return what `escaped` was given."""
    is_escaped = cell.startswith("'") and cell.lstrip("'").startswith(FORMULA_STARTS)
    return cell[1:] if is_escaped else cell
