"""How Rollcall itself is doing: what its processes count, and what each says of itself.

To count something, add its line to `counters` and call `add` or `observe` on it where it happens;
`/metrics` then has it. Counts are sums over all processes and outlive them: they are kept in Redis.
"""

from registrations.vitals import counters
from registrations.vitals.reading import Process, Unavailable, Vitals, heard, read
from registrations.vitals.sending import farewell, stop, tell

__all__ = [
    "Process",
    "Unavailable",
    "Vitals",
    "counters",
    "farewell",
    "heard",
    "read",
    "stop",
    "tell",
]
