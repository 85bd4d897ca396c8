"""`make simulate`: a fleet of 100,000 handsets through a hard day, in virtual time.

The real agents (SIP messages and all) and the real pacer against scripted servers that die,
return, refuse and forget. Prints the REGISTERs each server was sent over time, the longest time
any handset was on no server although one would have taken it, and the rules that were broken.
Exit code 1 if there were any.
"""

import argparse
import gc
import os
import random
import sys
from dataclasses import replace
from multiprocessing import Pool
from time import perf_counter

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fleet.config.settings")
django.setup()

from benchmarks.simulation.hospital import Hospital  # noqa: E402 - needs the settings
from benchmarks.simulation.referee import Findings  # noqa: E402
from benchmarks.simulation.script import Site, episodes, sites  # noqa: E402

STAGGER_S = 1200.0
"""The sites' bad hours are not the same."""


def planned(handsets: int, hours: float, seed: int) -> list[Site]:
    """Return the sites with their handsets and their scripts."""
    draw = random.Random(seed)  # noqa: S311 - repeatable, nothing secret
    kinds = sites()
    shares = sum(site.share for site in kinds)
    left, made = handsets, []
    for place, site in enumerate(kinds, 1):
        mine = left if place == len(kinds) else round(handsets * site.share / shares)
        left -= mine
        site = replace(site, handsets=mine, hours=hours, seed=seed * 100 + place)
        made.append(replace(site, episodes=episodes(site, draw.uniform(0, STAGGER_S * hours / 24))))
    return made


def live(site: Site) -> Findings:
    """Run one site; the sites share no server, so each has its own process."""
    gc.set_threshold(200_000, 50, 100)
    return Hospital(site).live()


def main() -> int:
    asked = _arguments()
    began = perf_counter()
    plan = planned(asked.handsets, asked.hours, asked.seed)
    _say(
        f"{asked.handsets:,} handsets at {len(plan)} sites, {asked.hours:g} h, seed {asked.seed},"
        f" {asked.processes} processes\n"
    )
    found: list[Findings] = []
    with Pool(asked.processes) as pool:
        for each in pool.imap(live, plan):
            _say_site(each)
            found.append(each)
    return _say_all(found, perf_counter() - began)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="simulate", description=__doc__)
    parser.add_argument("--handsets", type=int, default=100_000)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


def _say_site(found: Findings) -> None:
    off = f"{found.longest_off:.0f} s of {found.bound_off:.0f} s allowed"
    _say(
        f"\n{found.site}: {found.claims:,} claims in {found.seconds:.0f} s; on no server "
        f"{found.off:,} times, although one would have taken it at most {off}; "
        f"first arrival after {found.longest_start:.0f} s at most\n"
    )
    for server, hourly in found.hourly.items():
        rates = " ".join(
            f"{hourly[hour] / 3600:5.1f}" for hour in range(max(hourly, default=0) + 1)
        )
        peak = found.peak[server]
        _say(f"  server {server + 1}: at most {peak:3d} in a second; a second by hour: {rates}\n")


def _say_all(found: list[Findings], seconds: float) -> int:
    broken = sum(sum(each.violations.values()) for each in found)
    longest = max(found, key=lambda each: each.longest_off)
    total = sum(
        count for each in found for hours in each.hourly.values() for count in hours.values()
    )
    _say(
        f"\nREGISTERs sent: {total:,}. Longest on no server although one would have taken it: "
        f"{longest.longest_off:.0f} s (site {longest.site}).\nRules broken: {broken}. "
        f"Took {seconds:.0f} s.\n"
    )
    for each in found:
        for rule, times in each.violations.items():
            _say(f"  {each.site}: {rule}: {times:,} times\n")
        for example in each.examples:
            _say(f"    e.g. {example}\n")
    return 1 if broken else 0


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
