"""How a REGISTER ended, in the few words by which it is counted."""

from registrations.vitals import counters

TIMEOUT, NETWORK, CHALLENGE, OTHER = "timeout", "network", "challenge", "other"


def class_of(data: bytes) -> str:
    """Return the class of an answer by its status line: 2xx, challenge (401, 407), 4xx, ..."""
    code = data[8:11]
    if code in (b"401", b"407"):
        return CHALLENGE
    return f"{code[:1].decode()}xx" if code[:1] in b"123456" and code.isdigit() else OTHER


def count_end(server_id: int, said: str, seconds: float) -> None:
    """Count the end of a REGISTER; only an answer says how long the way there and back is."""
    counters.ANSWERS.add(server_id, said)
    if said not in (TIMEOUT, NETWORK):
        counters.ROUND_TRIP.observe(seconds, server_id)
