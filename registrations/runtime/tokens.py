"""Tokens nobody can guess, for branches, tags, Call-IDs and cnonces: five for each registration."""

import os
import secrets

DIGITS = 24
AT_ONCE = 256
_spare: list[str] = []
os.register_at_fork(after_in_child=_spare.clear)


def fresh_token() -> str:
    """Return 24 hex digits of chance; the system is asked for many at a time."""
    if not _spare:
        digits = secrets.token_hex(DIGITS // 2 * AT_ONCE)
        _spare.extend([digits[at : at + DIGITS] for at in range(0, len(digits), DIGITS)])
    return _spare.pop()
