"""How big a part is: as usual, or as the environment says, so that it can be run small."""

import os


def size(name: str, usual: int) -> int:
    """Return `BENCH_NAME` of the environment, else what is usual."""
    return int(os.environ.get(f"BENCH_{name}", usual))
