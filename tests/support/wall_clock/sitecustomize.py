"""Lets a test set the wall clock of a real process: Python imports this first, by PYTHONPATH.

The file WALL_CLOCK says by how many seconds this process's clock is off. All that Python reads of
the time of day follows it, from C too, while the monotonic clocks go on: as where a machine's clock
is set. (libfaketime would do it for any program, but breaks Python's own sleep.)
"""

import os
import threading
import time
from pathlib import Path

FILE = Path(os.environ["WALL_CLOCK"])


def _follow() -> None:
    import time_machine

    traveller, off = None, 0.0
    while True:
        time.sleep(0.05)
        text = FILE.read_text().strip()
        if text and float(text) != off:
            step, off = float(text) - off, float(text)
            if traveller is None:
                travel = time_machine.travel(time.time() + step, tick=True)
                traveller = travel.start()
            else:
                traveller.shift(step)


threading.Thread(target=_follow, name="wall-clock", daemon=True).start()
