"""Runs every benchmark and prints one line for each."""

import sys

from benchmarks import sip


def main() -> None:
    for name, per_second in sip.measure():
        sys.stdout.write(f"{name:<58}{per_second:>10,.0f} /s\n")


if __name__ == "__main__":
    main()
