"""How often a worker looks for garbage: its agents leave none that would wait for it."""

import gc

THRESHOLDS = (100_000, 20, 20)
"""Python's own (700, 10, 10) walk all agents in flight again and again: a third of a worker's
time in a storm, and nothing was found. With 20,000 it was still a tenth."""


def settle() -> None:
    """Let what is loaded by now stay for good, and look for garbage more rarely."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
