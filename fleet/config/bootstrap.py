"""Makes `.venv` and installs the pinned requirements when they changed (`make run`, `make test`).

Standard library only, and written so that every Python 3 can read it: an old one must get far
enough to say that it is too old. Whatever goes wrong is one sentence on stderr and exit code 1.
"""

import errno
import hashlib
import importlib.util
import os
import subprocess
import sys

OLDEST = (3, 11)
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RUNTIME = "requirements.txt"
DEVELOPMENT = "requirements-dev.txt"

_UNREACHABLE = (
    "Retrying (",
    "NewConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "Temporary failure in name resolution",
    "Name or service not known",
    "ProxyError",
    "SSLError",
)
"""What pip writes when it is the network that fails, not a package."""


class BootstrapError(Exception):
    """Its one sentence says what is wrong and what to do about it."""


def check_python(version: "tuple[int, ...]") -> None:
    """Raises BootstrapError for a Python below 3.11."""
    if tuple(version[:2]) < OLDEST:
        raise BootstrapError(
            "Rollcall needs Python {}.{} or newer, and this is Python {}: install a newer one, "
            "or name it with PYTHON=/path/to/python3.11.".format(
                OLDEST[0], OLDEST[1], ".".join(str(part) for part in version[:3])
            )
        )


def check_venv_module() -> None:
    """Raises BootstrapError where Python came without venv (Debian splits it off)."""
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        raise BootstrapError(
            "This Python has no venv module: install it (Debian and Ubuntu: "
            "apt-get install python3-venv) and try again."
        )


def fingerprint(root: str, name: str) -> str:
    """A hash of a requirements file with the files it includes, and of the Python that reads it."""
    digest = hashlib.sha256(repr(sys.version_info[:3]).encode())
    names = [name] if name == RUNTIME else [RUNTIME, name]
    for one in names:
        with open(os.path.join(root, one), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def _stamp(venv: str, name: str) -> str:
    return os.path.join(venv, "installed-" + name)


def is_installed(root: str, name: str) -> bool:
    """Whether exactly these requirements were once installed to the end."""
    try:
        with open(_stamp(os.path.join(root, ".venv"), name)) as file:
            return file.read() == fingerprint(root, name)
    except OSError:
        return False


def works(python: str) -> bool:
    """Whether a virtual environment's Python still starts and is of the Python that asks."""
    question = "import sys; print(sys.version_info[:3])"
    try:
        said = subprocess.check_output([python, "-I", "-c", question], stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return False
    return said.decode().strip() == repr(sys.version_info[:3])


def make_venv(root: str) -> str:
    """The path of `.venv`'s Python; makes it where it is missing or broken."""
    venv = os.path.join(root, ".venv")
    python = os.path.join(venv, "bin", "python")
    if works(python):
        return python
    print("Rollcall: making its virtual environment in " + venv, flush=True)
    try:
        os.makedirs(venv, exist_ok=True)
    except OSError as error:
        raise unwritable(root, error) from error
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", venv],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if made.returncode:
        said = made.stdout.decode("utf-8", "replace").strip().splitlines()
        raise BootstrapError(
            "The virtual environment {} cannot be made: {}.".format(
                venv, said[-1].rstrip(".") if said else "python -m venv failed"
            )
        )
    return python


def unwritable(root: str, error: OSError) -> BootstrapError:
    """The sentence for a folder that cannot be written."""
    return BootstrapError(
        "Rollcall cannot write in {} ({}): put it in a folder that this user may write.".format(
            root, error.strerror or errno.errorcode.get(error.errno or 0, "no reason given")
        )
    )


def install(root: str, python: str, name: str) -> None:
    """Install a requirements file; its whole output goes to `.venv/install.log`."""
    venv = os.path.join(root, ".venv")
    log = os.path.join(venv, "install.log")
    print("Rollcall: installing " + name + " (once, and again when it changes)", flush=True)
    command = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    command += ["--retries", "2", "--timeout", "20", "-r", os.path.join(root, name)]
    try:
        if os.path.exists(_stamp(venv, name)):
            os.remove(_stamp(venv, name))
        with open(log, "wb") as output:
            code = subprocess.call(command, stdout=output, stderr=subprocess.STDOUT, cwd=root)
    except OSError as error:
        raise unwritable(venv, error) from error
    if code:
        with open(log, encoding="utf-8", errors="replace") as output:
            raise BootstrapError(why(output.read(), name, log))
    for done in {RUNTIME, name}:
        with open(_stamp(venv, done), "w") as file:
            file.write(fingerprint(root, done))


def why(said: str, name: str, log: str) -> str:
    """One sentence for a pip that failed, out of what it said."""
    if any(sign in said for sign in _UNREACHABLE):
        return (
            "The Python package registry is out of reach, so {} cannot be installed: check the "
            "network or the proxy, or name a mirror with PIP_INDEX_URL (details in {}).".format(
                name, log
            )
        )
    errors = [line[len("ERROR: ") :] for line in said.splitlines() if line.startswith("ERROR: ")]
    reason = errors[-1].rstrip(".") if errors else "pip failed"
    return "Installing {} failed: {} (details in {}).".format(name, reason, log)


def prepare(root: str, development: bool) -> None:
    """Bring `root/.venv` up to the pinned requirements. Raises BootstrapError."""
    check_python(tuple(sys.version_info[:3]))
    name = DEVELOPMENT if development else RUNTIME
    if is_installed(root, name) and works(os.path.join(root, ".venv", "bin", "python")):
        return
    check_venv_module()
    install(root, make_venv(root), name)


def main() -> int:
    """The exit code."""
    try:
        prepare(ROOT, "--dev" in sys.argv[1:])
    except BootstrapError as error:
        sys.stderr.write("Rollcall: {}\n".format(error))
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Rollcall: stopped while setting up; the next try begins again.\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
