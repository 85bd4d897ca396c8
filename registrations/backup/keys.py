"""The file of keys: what opens the archive's SIP passwords."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from registrations.backup.archive import Refused


@dataclass(frozen=True, slots=True)
class Keys:
    """What is kept apart from the archive."""

    credentials_keys: tuple[str, ...] = ()
    tokens: tuple[tuple[str, int, str], ...] = ()
    """API tokens of an older version, which kept them as they are: key, user, since when."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises Refused."""
        try:
            given = json.loads(path.read_bytes())
            found = cls(
                tuple(given["credentials_keys"]),
                tuple(
                    (str(key), int(user), str(since))
                    for key, user, since in given.get("tokens", ())
                ),
            )
            for key in found.credentials_keys:
                Fernet(key)
        except OSError as error:
            raise Refused(f"{path} cannot be read: {error.strerror}.") from error
        except (ValueError, KeyError, TypeError) as error:
            raise Refused(f"{path} is no file of Rollcall's keys, or it is damaged.") from error
        return found

    def written(self) -> bytes:
        given = {"credentials_keys": self.credentials_keys}
        return json.dumps(given, indent=1).encode() + b"\n"


def opener(keys: Keys) -> Callable[[str], str]:
    """Return what makes of a password in the archive one that this installation opens.

    It raises Refused where neither its own CREDENTIALS_KEY nor `keys` open it.
    """
    ours = MultiFernet([Fernet(key) for key in settings.CREDENTIALS_KEYS])
    theirs = [Fernet(key) for key in keys.credentials_keys]

    def opened(stored: str) -> str:
        if not stored:
            return stored
        try:
            ours.decrypt(stored.encode())
            return stored
        except InvalidToken:
            pass
        try:
            if theirs:
                return ours.encrypt(MultiFernet(theirs).decrypt(stored.encode())).decode()
        except InvalidToken:
            pass
        raise Refused(
            "The SIP passwords of the archive do not open: give the file of keys that was made "
            "with it (--keys FILE), or set CREDENTIALS_KEY to the key it was made under."
        )

    return opened
