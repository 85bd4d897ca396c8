"""Where vitals stand in Redis."""

PROCESSES = "rollcall:processes"
"""A hash: of each process what it said last, when, and how long that is worth keeping."""

LEFT = "rollcall:left"
"""A hash: of each kind of process when the last one took its leave (Unix seconds)."""

COUNTS = "rollcall:counts"
"""A hash: sums since this Redis began; and with `:m` or `:h` behind it, those of a minute or hour
of the Unix clock."""

SENT = "rollcall:counted:"
"""Before a process's boot id: the number of the last counts taken from it."""

BETWEEN = "|"
"""Between the parts of a count's key, and of a process's."""
