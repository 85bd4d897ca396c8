"""How often a worker or a web process looks for garbage: agents and sockets leave hardly any."""

import gc

THRESHOLDS = (100_000, 20, 20)
"""Python's own (700, 10, 10) walk all agents in flight again and again: a third of a worker's
time in a storm, and nothing was found. With 20,000 it was still a tenth. In a web process each look
through all that was loaded stopped its sockets for a fifth of a second."""


def settle() -> None:
    """Let what is loaded by now stay for good, and look for garbage more rarely."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
