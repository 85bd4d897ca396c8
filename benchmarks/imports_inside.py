"""What `benchmarks.imports` measures, inside Django: one figure a line as JSON."""

import json
import sys
from dataclasses import asdict
from time import perf_counter, process_time

import django

django.setup()

from django.core.management import call_command  # noqa: E402 - after Django's set-up, as all below
from django.db import connection  # noqa: E402

from benchmarks.figure import Figure  # noqa: E402
from fleet import services  # noqa: E402
from fleet.formats.handset_csv import COLUMNS  # noqa: E402
from tests.support import trees  # noqa: E402

FLEET = b"""
sites: [{name: main}]
groups: [{name: Ward, mode: failover, servers: [{address: 192.0.2.10}, {address: 192.0.2.11}]}]
"""
PROMISED = 10_000
AT_MOST = {"a table": 5.0, "configuration files": 20.0}
"""Seconds, for as many as promised."""


def table(handsets: int) -> bytes:
    rows = (
        f"00907b{n:06x},1,Handset {n},{n},pbx.example,{n},pw-{n},Ward,main,8440,register,icu"
        for n in range(1, handsets + 1)
    )
    return "\n".join([",".join(COLUMNS), *rows]).encode()


def tell(what: str, handsets: int, files: trees.Files) -> None:
    began, cpu = perf_counter(), process_time()
    services.import_files(files, by="benchmark", site="main")
    took, cpu = perf_counter() - began, process_time() - cpu
    name = f"handsets from {what}, {connection.vendor}"
    most = AT_MOST[what] if handsets == PROMISED else None
    for figure in (
        Figure(name, took, "s", at_most=most, size=handsets),
        Figure(f"{name}: CPU of the importer", cpu, "s", size=handsets),
    ):
        sys.stdout.write(json.dumps(asdict(figure)) + "\n")


def main() -> None:
    call_command("migrate", verbosity=0)
    services.import_files([("fleet.yaml", FLEET)], by="benchmark")
    handsets = int(sys.argv[1])
    tell("a table", handsets, [("handsets.csv", table(handsets))])
    tell("configuration files", handsets, trees.ward(handsets))


if __name__ == "__main__":
    main()
