"""How REGISTERs ended, in the few words by which they are counted, and the counts of this loop."""

from collections import defaultdict

from registrations.vitals import counters

TIMEOUT, NETWORK, CHALLENGE, OTHER = "timeout", "network", "challenge", "other"
_CLASSES = {b"%d" % code: f"{code // 100}xx" for code in range(100, 700)}
_CLASSES |= dict.fromkeys((b"401", b"407"), CHALLENGE)


def class_of(data: bytes) -> str:
    """Return the class of an answer by its status line: 2xx, challenge (401, 407), 4xx, ..."""
    return _CLASSES.get(data[8:11], OTHER)


class Tally:
    """What became of REGISTERs, summed on the loop's thread until `tell` hands it over.

    Each is counted thrice: a lock and a name put together for each would cost more than sending it.
    """

    def __init__(self) -> None:
        self._left: dict[int, int] = {}
        self._ended: dict[tuple[int, str], int] = {}
        self._took: defaultdict[int, list[float]] = defaultdict(list)

    def left(self, server_id: int) -> None:
        """Count a REGISTER that left."""
        self._left[server_id] = self._left.get(server_id, 0) + 1

    def ended(self, server_id: int, said: str, seconds: float) -> None:
        """Count the end of a REGISTER; only an answer says how long the way there and back is."""
        what = server_id, said
        self._ended[what] = self._ended.get(what, 0) + 1
        if said not in (TIMEOUT, NETWORK):
            self._took[server_id].append(seconds)

    def tell(self) -> None:
        """Hand over to `counters` what was counted since the last time; call it each second."""
        for server_id, n in self._left.items():
            counters.REGISTERS.add(server_id, n=n)
        for (server_id, said), n in self._ended.items():
            counters.ANSWERS.add(server_id, said, n=n)
        for server_id, seconds in self._took.items():
            counters.ROUND_TRIP.observe_all(seconds, server_id)
        self._left.clear()
        self._ended.clear()
        self._took.clear()
