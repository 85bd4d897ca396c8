"""What is encrypted: many texts are read as one is, and nothing that was altered."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import pytest
from cryptography.fernet import Fernet, InvalidToken

from fleet.fields import decrypt, decrypt_all, encrypt

TEXTS = ["", "x", "fifteen letters", "sixteen letters!", "Wörter 병원", "long " * 60]


def test_many_texts_are_read_as_each_of_them_is(settings: Any) -> None:
    older, newer = Fernet.generate_key(), Fernet.generate_key()
    settings.CREDENTIALS_KEYS = [older]
    stored = [encrypt(text) for text in TEXTS]
    settings.CREDENTIALS_KEYS = [newer, older]
    stored += [encrypt(text) for text in TEXTS]
    mixed = [*stored[::2], *stored[1::2]]
    assert decrypt_all(mixed) == [decrypt(each) for each in mixed]
    assert decrypt_all(stored) == TEXTS * 2
    assert decrypt_all([]) == []


@pytest.mark.parametrize("place", [0, 8, 9, 24, 25, 40, -33, -32, -1])
def test_a_text_that_was_altered_anywhere_is_not_read(place: int, settings: Any) -> None:
    settings.CREDENTIALS_KEYS = [Fernet.generate_key()]
    data = bytearray(urlsafe_b64decode(encrypt("4711 calls home")))
    data[place] ^= 1
    with pytest.raises(InvalidToken):
        decrypt_all([encrypt("before"), urlsafe_b64encode(bytes(data)).decode(), encrypt("after")])


@pytest.mark.parametrize("text", ["plain", "ä", "gAAAAA==", "gAAAAA"])
def test_what_is_no_token_is_not_read(text: str) -> None:
    with pytest.raises(InvalidToken):
        decrypt_all([text])


def test_what_is_under_a_key_that_is_gone_is_not_read(settings: Any) -> None:
    settings.CREDENTIALS_KEYS = [Fernet.generate_key()]
    stored = encrypt("secret")
    settings.CREDENTIALS_KEYS = [Fernet.generate_key()]
    with pytest.raises(InvalidToken):
        decrypt_all([stored])
