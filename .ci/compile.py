"""Compiles what every REGISTER passes through to machine code, in place (`make compile`).

Takes a C compiler and Python's headers; without it all works the same, and slower. What was
compiled before is thrown away first: `.ci/compile.py --undo` does only that.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from spelled import spelled

ROOT = Path(__file__).resolve().parent.parent
ROOMS = (
    *("values", "intervals", "binding", "keeping", "plan", "course", "errands", "agent"),
    *("judging", "resuming", "redundancy", "report", "trace/masking", "trace/record"),
)
LOOP = ("runner", "switchboard", "pacer", "telling", "tokens", "clock", "transport", "udp")
"""Of registrations/runtime: what every REGISTER passes on the worker's loop."""
BY_LETTER = ("__init__.py", "errors.py", "probe.py")
"""Of registrations/sip: exceptions cannot be compiled, and probes are no hot path."""
PACKAGES = ("fleet", "registrations")
COMPILED = "*.cpython-*.so"
FLAGS = "-fvisibility=hidden -fno-plt"
"""What is compiled in one go calls its own directly: of what others could replace as it is loaded
neither is known, and each call takes a detour."""

MANIFEST = ROOT / "registrations" / "compiled.json"
"""Of which bytes each was compiled: `fleet.compiled` runs no others."""


def sources() -> list[str]:
    sip = sorted((ROOT / "registrations" / "sip").glob("*.py"))
    rooms = [f"registrations/{room}.py" for room in ROOMS]
    rooms += [f"registrations/runtime/{part}.py" for part in LOOP]
    return rooms + [f"registrations/sip/{path.name}" for path in sip if path.name not in BY_LETTER]


def undo() -> None:
    for folder in (
        ROOT,
        *(ROOT / "registrations" / room for room in ("", "sip", "trace", "runtime")),
    ):
        for path in folder.glob(COMPILED):
            path.unlink()
    MANIFEST.unlink(missing_ok=True)


def compile_rooms() -> None:
    """Compile all in one go, so that they call each other directly."""
    digests = {name: hashlib.sha256((ROOT / name).read_bytes()).hexdigest() for name in sources()}
    mypyc = Path(sys.executable).parent / "mypyc"
    env = os.environ | {"CFLAGS": f"{os.environ.get('CFLAGS', '')} {FLAGS}"}
    options = ["--config-file=", "--strict", "--follow-imports=silent", "--ignore-missing-imports"]
    with tempfile.TemporaryDirectory(prefix="rollcall-compile-") as made:
        copy = Path(made)
        for room in PACKAGES:
            shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
        for name in sources():
            (copy / name).write_text(spelled((ROOT / name).read_text()))
        ran = subprocess.run(
            [mypyc, *options, *sources()],
            cwd=copy,
            env=env,
            check=False,
            capture_output=True,
            text=True,
        )
        if ran.returncode:
            sys.stderr.write((ran.stdout + ran.stderr)[-3000:])
            sys.exit(
                "The rooms could not be compiled. This needs a C compiler and Python's headers "
                "(Debian: apt-get install gcc libc6-dev python3-dev); Rollcall runs without it too."
            )
        for path in copy.rglob(COMPILED):
            if "build" not in path.parts:
                shutil.copy2(path, ROOT / path.relative_to(copy))
    MANIFEST.write_text(json.dumps(digests))


if __name__ == "__main__":
    undo()
    if "--undo" not in sys.argv[1:]:
        compile_rooms()
        print(f"{len(sources())} rooms are compiled; `make interpreted` undoes it.")
