"""The live room: workers tell what changed, one hub per web process tells the browsers.

Messages carry ids, never states: the hub reads the database, which is the truth, so that two
workers' messages crossing on the way cannot show an old state.
"""

from registrations.live.hub import Hub, ask, join
from registrations.live.publisher import NO_USER, access_changed, beat, leave, publish, ticked
from registrations.live.sockets import Socket, Watch, WatchError

__all__ = [
    "NO_USER",
    "Hub",
    "Socket",
    "Watch",
    "WatchError",
    "access_changed",
    "ask",
    "beat",
    "join",
    "leave",
    "publish",
    "ticked",
]
