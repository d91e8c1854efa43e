#!/usr/bin/env python3
# The benchmarks: the servers of Coax, the raw limit, and peers, in turns on the same machine, so that ratios are
# comparable even where figures are not. docs/benchmarks.md explains what is measured and has the last figures.
"""Usage: bench/run.py [echo|udp|latency|broadcast|http|idle|timers|threads|tls|all]... [--short] [--write]"""

import argparse
import os
import pathlib
import signal
import sys
import time

import measure
import network
import plot
import report
from loads import GROUPS, Loads
from measure import Failure

DOCUMENT = measure.ROOT / "docs" / "benchmarks.md"
PICTURE = measure.ROOT / "docs" / "images" / "benchmarks.svg"


class Others:
    """CPU time of other processes, and of the host of a virtual machine: it disturbs the figures."""

    def __init__(self) -> None:
        self.before = self.reading()

    @staticmethod
    def reading() -> tuple[float, float]:
        """Seconds of all processors together, and the part of them that others used."""
        line = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0]
        seconds = [int(word) / os.sysconf("SC_CLK_TCK") for word in line.split()[1:9]]
        own = sum(os.times()[:4])  # with the children that have ended
        return sum(seconds), sum(seconds) - seconds[3] - seconds[4] - own

    def share(self) -> float:
        whole, others = (now - before for now, before in zip(self.reading(), self.before))
        return max(0.0, others / whole) if whole else 0.0


def warn(share: float) -> None:
    if share > 0.03:
        print(f"Others take {share:.0%} of this machine: the figures are noise.")


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run.py", description="Our servers beside the raw limit and peers.")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"{', '.join(GROUPS)} or all (the default)")
    parser.add_argument("--short", action="store_true", help="2 rounds instead of 5, and short ones: a first look")
    parser.add_argument("--write", action="store_true", help="write the figures into docs/benchmarks.md")
    parser.add_argument("--congestion", default="reno", metavar="NAME",
                        help="TCP congestion control for all sockets (reno, which every kernel permits; on loopback, "
                             "where nothing is lost, it neither paces nor waits)")
    parser.add_argument("--build", type=pathlib.Path, default=measure.ROOT / "build" / "release", metavar="FOLDER",
                        help="where the programs are (build/release)")
    options = parser.parse_args(arguments)
    if unknown := set(options.groups) - {*GROUPS, "all"}:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)} and all")
    if not options.groups or "all" in options.groups:
        options.groups = GROUPS
    if options.write and set(options.groups) != set(GROUPS):
        parser.error("--write replaces all figures, which belong to one run: it takes no group")
    return options


def write(tables: list[report.Table], loads: Loads, facts: list[tuple[str, str]], short: bool) -> None:
    PICTURE.write_text(plot.picture(tables))
    picture = f"![Each load, as a multiple of the limit]({PICTURE.relative_to(DOCUMENT.parent)})"
    again = (f"Median (lowest–highest) of {loads.rounds} rounds of {loads.seconds:g} s each, in turns. Again: "
             f"`./dev bench all --write{' --short' if short else ''}`.")
    report.write(DOCUMENT, report.document(tables, facts, picture, again))
    print(f"written: {DOCUMENT.relative_to(measure.ROOT)}, {PICTURE.relative_to(measure.ROOT)}")


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as an exception, so that what was started is ended
    loads = Loads(options.build, options.short)
    congestion = network.enter(options.congestion)
    others, begin = Others(), time.monotonic()
    time.sleep(1)
    print(f"TCP congestion control: {congestion}; {loads.rounds} rounds of {loads.seconds:g} s")
    warn(others.share())
    print(flush=True)
    try:
        tables = [table for group in options.groups for table in getattr(loads, group)()]
    except Failure as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    share = others.share()
    warn(share)
    for loss in [*report.losses(tables, "peer"), *report.losses(tables, "limit")]:
        print(f"behind: {loss}")
    if loads.servers.left_out:
        print(f"not there, and so left out: {'; '.join(loads.servers.left_out)}")
    if options.write:
        facts = [*report.machine(measure.ROOT, congestion, share), ("peers", report.versions(sys.version.split()[0]))]
        if loads.servers.left_out:
            facts.append(("peers that were not there", "; ".join(loads.servers.left_out)))
        write(tables, loads, facts, options.short)
    print(f"took {(time.monotonic() - begin) / 60:.1f} minutes")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
