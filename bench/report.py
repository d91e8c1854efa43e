"""Tables and sentences from what was measured, for the terminal and for docs/benchmarks.md."""

import dataclasses
import datetime
import os
import pathlib
import platform
import re
import statistics
import subprocess

BEGIN = "<!-- figures: begin (written by bench/run.py) -->"
END = "<!-- figures: end -->"
EVEN = 0.02  # what a quiet machine cannot tell apart


@dataclasses.dataclass
class Row:
    """One server under one load; each list has one value a round, and None stands for a mode that was not run."""

    title: str
    role: str
    cpu: list[float] | None = None  # microseconds of the server for a message
    rate: list[float] | None = None  # messages a second
    p50: list[float] | None = None
    p99: list[float] | None = None
    memory: list[float] | None = None  # bytes
    connections: int = 0


@dataclasses.dataclass
class Table:
    title: str
    explanation: str
    unit: str  # "message", "messages"
    units: str
    rows: list[Row]

    @property
    def limit(self) -> Row | None:
        return next((row for row in self.rows if row.role == "limit"), None)


def median(values: list[float]) -> float:
    return statistics.median(values)


def number(value: float) -> str:
    """Three significant digits, thousands apart."""
    if abs(value) >= 1000:
        digits = 3 - len(str(int(abs(value))))
        return f"{round(value, digits):,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def spread(values: list[float] | None) -> str:
    if not values:
        return ""
    return f"{number(median(values))} ({number(min(values))}–{number(max(values))})"


def ratios(values: list[float] | None, others: list[float] | None) -> list[float]:
    """Round by round: what disturbs a round disturbs both sides of it."""
    return [value / other for value, other in zip(values or [], others or [])]


def ratio(values: list[float] | None, limit: list[float] | None) -> float | None:
    found = ratios(values, limit)
    return median(found) if found else None


def clear(values: list[float]) -> float | None:
    """The median of ratios when they say the same in all rounds but perhaps one in five, and it is not close to one."""
    agree = sum(value > 1 for value in values) >= 0.8 * len(values)
    return median(values) if values and agree and median(values) > 1 + EVEN else None


def cells(table: Table) -> list[list[str]]:
    """The heading and the rows; columns that nobody has are left out."""
    limit = table.limit or Row("", "limit")
    heading = ["server", "connections", f"server CPU per {table.unit}, µs", "of the limit",
               f"{table.units} per second", "of the limit", "p50, µs", "p99, µs", "bytes per idle connection"]
    lines = [heading]
    for row in table.rows:
        cpu, rate = ratio(row.cpu, limit.cpu), ratio(row.rate, limit.rate)
        title = f"**{row.title}**" if row.role == "ours" else row.title
        lines.append([title, f"{row.connections:,}" if row.connections else "", spread(row.cpu),
                      "" if cpu is None else f"{cpu:.2f}", spread(row.rate), "" if rate is None else f"{rate:.2f}",
                      number(median(row.p50)) if row.p50 else "", number(median(row.p99)) if row.p99 else "",
                      spread(row.memory)])
    used = [any(line[column] for line in lines[1:]) for column in range(len(heading))]
    return [[cell for cell, use in zip(line, used) if use] for line in lines]


def markdown(table: Table) -> str:
    heading, *lines = cells(table)
    rule = ["---"] + ["---:"] * (len(heading) - 1)
    rows = "\n".join("| " + " | ".join(line) + " |" for line in [heading, rule, *lines])
    return f"### {table.title}\n\n{table.explanation}\n\n{rows}\n"


def plain(table: Table) -> str:
    lines = [[cell.replace("**", "") for cell in line] for line in cells(table)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = [table.title]
    for line in lines:
        text.append("  " + "  ".join(cell.ljust(width) if column == 0 else cell.rjust(width)
                                     for column, (cell, width) in enumerate(zip(line, widths))))
    return "\n".join(text) + "\n"


@dataclasses.dataclass
class Loss:
    """One server of ours beside one that did better; factors above one are what it cost more, or did less, by."""

    table: str
    ours: str
    other: Row
    factors: dict[str, float]

    def __str__(self) -> str:
        what = ", ".join(f"1/{factor:.2f} of the rate" if name == "rate" else f"{factor:.2f} times the {name}"
                         for name, factor in self.factors.items())
        return f"{self.table}: {self.ours} has {what} of {self.other.title}"


def losses(tables: list[Table]) -> list[Loss]:
    """Each case where another did better than one of ours, by more than a quiet machine's noise; the worst first."""
    found = []
    for table in tables:
        for ours in (row for row in table.rows if row.role == "ours"):
            for other in (row for row in table.rows if row.role != "ours"):
                compared = {"CPU": (ours.cpu, other.cpu), "rate": (other.rate, ours.rate),
                            "median latency": (ours.p50, other.p50), "memory": (ours.memory, other.memory)}
                factors = {name: factor for name, pair in compared.items() if (factor := clear(ratios(*pair)))}
                if factors:
                    found.append(Loss(table.title, ours.title, other, factors))
    return sorted(found, key=lambda loss: -max(loss.factors.values()))


def machine(root: pathlib.Path, others: float) -> list[tuple[str, str]]:
    """What the figures depend on."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    virtual = "hypervisor" in pathlib.Path("/proc/cpuinfo").read_text()
    revision = subprocess.run(["git", "-C", str(root), "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return [
        ("processor", (cpu[1] if cpu else platform.machine()) + (" (virtual machine)" if virtual else "")),
        ("cores", str(len(os.sched_getaffinity(0)))),
        ("kernel", platform.system() + " " + platform.release()),
        ("TCP congestion control", congestion_control() + ", the system's default, the same for all"),
        ("Python", platform.python_version()),
        ("revision", revision.stdout.strip() or "unknown"),
        ("date", datetime.date.today().isoformat()),
        ("processor time that others took during the run", f"{others:.0%}"),
    ]


def congestion_control() -> str:
    return pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()


def lost(tables: list[Table]) -> str:
    """To whom, and how far above the limit: first, because that is what a reader has to know."""
    found = losses(tables)
    text = ["## Where Coax loses", ""]
    text += [f"- {loss}." for loss in found if loss.other.role == "peer"] or ["Behind none of the peers below."]
    above = [loss for loss in found if loss.other.role == "limit"]
    if above:
        names = ["CPU", "rate", "median latency", "memory"]
        text += ["", "Behind the limit, by these factors (the rate: how many times lower):", "",
                 "| load | server | " + " | ".join(names) + " |", "|---|---|" + "---:|" * len(names)]
        for loss in above:
            factors = (f"{loss.factors[name]:.2f}" if name in loss.factors else "" for name in names)
            text.append(f"| {loss.table} | {loss.ours} | " + " | ".join(factors) + " |")
    return "\n".join(text) + "\n"


def document(tables: list[Table], facts: list[tuple[str, str]], command: str, rounds: int, seconds: float) -> str:
    """What stands between the markers."""
    text = [lost(tables), "## Figures\n",
            f"Median (lowest–highest) of {rounds} rounds of {seconds:g} s each, in turns. Again: `{command}`.\n"]
    text += [markdown(table) for table in tables]
    text += ["### The machine\n", "| | |", "|---|---|"]
    text += [f"| {name} | {value} |" for name, value in facts]
    return "\n".join(text) + "\n"


def write(path: pathlib.Path, figures: str) -> None:
    text = path.read_text()
    begin, end = text.find(BEGIN), text.find(END)
    if not 0 <= begin < end:
        raise ValueError(f"{path} has no markers to write between:\n{BEGIN}\n{END}")
    path.write_text(text[:begin + len(BEGIN)] + "\n" + figures + text[end:])
