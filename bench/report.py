"""Tables and sentences from the measurements, for the terminal and for docs/benchmarks.md."""

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
BUSY = 0.9  # of a core: a side that waits for nothing but its core


@dataclasses.dataclass(frozen=True)
class Metric:
    heading: str  # {unit} and {units} are the table's
    name: str = ""  # in sentences
    more_is_better: bool = False

    def best(self, rows: list["Row"], metric: str) -> "Row | None":
        found = [row for row in rows if row.values.get(metric)]
        choose = max if self.more_is_better else min
        return choose(found, key=lambda row: median(row.values[metric]), default=None)


METRICS = {
    "cpu": Metric("server CPU per {unit}, µs", "CPU"),
    "rate": Metric("{units} per second", "rate", more_is_better=True),
    "p50": Metric("p50, µs", "median latency"),
    "p99": Metric("p99, µs", "p99 latency"),
    "max": Metric("max, µs", "highest latency"),
    "memory": Metric("bytes per idle connection", "memory"),
    "start": Metric("start, ns", "starting"),
    "stop": Metric("stop, ns", "stopping"),
    "fire": Metric("fire, ns", "firing"),
    "one": Metric("{units} per second, one"),
    "two": Metric("{units} per second, two"),
    "gain": Metric("two against one", "gain", more_is_better=True),
    "cpu_one": Metric("server CPU per {unit}, µs, one"),
    "cpu_two": Metric("the same, two"),
    "client_one": Metric("the client's share of the cores, one"),
    "client_two": Metric("the same, two"),
}


@dataclasses.dataclass
class Row:
    """One server under one load; each metric has one value a round."""

    title: str
    role: str
    values: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    connections: int = 0
    failed: str = ""  # why it is out

    def add(self, **values: float) -> None:
        for name, value in values.items():
            self.values.setdefault(name, []).append(value)


@dataclasses.dataclass
class Table:
    title: str
    explanation: str
    unit: str  # "message", "messages"
    units: str
    rows: list[Row]
    columns: tuple[str, ...]  # metrics, or "busy"
    compared: tuple[str, ...]

    def best(self, role: str, metric: str) -> Row | None:
        return METRICS[metric].best([row for row in self.rows if row.role == role and not row.failed], metric)


def median(values: list[float]) -> float:
    return statistics.median(values)


def number(value: float) -> str:
    """Three significant digits, with thousands separators."""
    if abs(value) >= 1000:
        digits = 3 - len(str(int(abs(value))))
        return f"{round(value, digits):,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def times(value: float) -> str:
    return f"{value:.2f}" if value < 10 else number(value)


def spread(values: list[float] | None) -> str:
    if not values:
        return ""
    return f"{number(median(values))} ({number(min(values))}–{number(max(values))})"


def ratios(values: list[float] | None, others: list[float] | None) -> list[float]:
    """Round by round: a disturbance of a round affects both sides of the ratio."""
    return [value / other for value, other in zip(values or [], others or []) if other]


def ratio(row: Row, other: Row | None, metric: str) -> float | None:
    found = ratios(row.values.get(metric), other.values.get(metric) if other else None)
    return median(found) if found else None


def clear(values: list[float]) -> float | None:
    """The median of ratios that agree in four rounds of five, when it is not close to one."""
    agree = sum(value > 1 for value in values) >= 0.8 * len(values)
    return median(values) if values and agree and median(values) > 1 + EVEN else None


# --- tables ---


def limited_by(row: Row) -> str:
    """The bottleneck: the side whose core was fully used."""
    if not row.values.get("server_busy"):
        return ""
    server, client = (min(1.0, median(row.values[name])) for name in ("server_busy", "client_busy"))
    names = [name for name, busy in (("server", server), ("client", client)) if busy >= BUSY]
    who = " and ".join(names) or "neither"
    return f"{who} ({server:.0%}, {client:.0%})"


def columns(table: Table) -> list[tuple[str, list[str]]]:
    """Headings with their cells; columns without a value are left out."""
    rows = table.rows
    found = [("server", [f"**{row.title}**" if row.role == "ours" else row.title for row in rows]),
             ("connections", [f"{row.connections:,}" if row.connections else "" for row in rows])]
    for name in table.columns:
        if name == "busy":
            found.append(("limited by (its core: server, client)", [limited_by(row) for row in rows]))
            continue
        exact = name not in ("p50", "p99", "max") or name in table.compared
        metric = METRICS[name]
        values = [row.values.get(name) for row in rows]
        found.append((metric.heading.format(unit=table.unit, units=table.units),
                      [spread(each) if exact else number(median(each)) if each else "" for each in values]))
        if name in table.compared:
            for role, heading in (("limit", "to the limit"), ("peer", "to the best peer")):
                best = table.best(role, name)
                cells = [ratio(row, best, name) for row in rows]
                found.append((heading, ["" if cell is None else times(cell) for cell in cells]))
    return [(heading, cells) for heading, cells in found if any(cells)]


def left_out(table: Table) -> str:
    return "".join(f" Left out: {row.title}, which failed ({row.failed.splitlines()[-1][:200]})."
                   for row in table.rows if row.failed)


def markdown(table: Table) -> str:
    found = columns(table)
    lines = [[heading for heading, _ in found], ["---"] + ["---:"] * (len(found) - 1)]
    lines += [[cells[index] for _, cells in found] for index in range(len(table.rows))]
    rows = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"### {table.title}\n\n{table.explanation}{left_out(table)}\n\n{rows}\n"


def plain(table: Table) -> str:
    found = columns(table)
    lines = [[heading for heading, _ in found]]
    lines += [[cells[index].replace("**", "") for _, cells in found] for index in range(len(table.rows))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = [table.title + left_out(table)]
    for line in lines:
        text.append("  " + "  ".join(cell.ljust(width) if column == 0 else cell.rjust(width)
                                     for column, (cell, width) in enumerate(zip(line, widths))))
    return "\n".join(text) + "\n"


# --- where we lose ---


@dataclasses.dataclass
class Loss:
    """One server of Coax beside the best of the others; a factor above one means a higher cost, or a lower rate."""

    table: str
    ours: str
    role: str  # of the others: "limit" or "peer"
    factors: dict[str, tuple[float, str]]  # by the metric's name: how much, and than whom

    def __str__(self) -> str:
        parts = [f"{factor:.2f} times the {name} of {other}" for name, (factor, other) in self.factors.items()]
        return f"{self.table}: {self.ours}: " + ", ".join(parts)


def factor(row: Row, other: Row, metric: str) -> float | None:
    """The factor by which this one is behind the other, when it clearly is."""
    pair = (row.values.get(metric), other.values.get(metric))
    return clear(ratios(*(reversed(pair) if METRICS[metric].more_is_better else pair)))


def losses(tables: list[Table], role: str) -> list[Loss]:
    """Each case where the best of that role is better than a server of Coax by more than the noise of a quiet machine;
    the worst first. For a rate the factor says how many times lower it is."""
    found = []
    for table in tables:
        for ours in (row for row in table.rows if row.role == "ours"):
            factors = {}
            for name in table.compared:
                best = table.best(role, name)
                if best and (behind := factor(ours, best, name)):
                    metric = METRICS[name]
                    factors[f"lower {metric.name}" if metric.more_is_better else metric.name] = behind, best.title
            if factors:
                found.append(Loss(table.title, ours.title, role, factors))
    return sorted(found, key=lambda loss: -max(behind for behind, _ in loss.factors.values()))


def lost(tables: list[Table]) -> str:
    """The peers that are better, and the distance to the limit: first, since readers need it most."""
    text = ["## Where Coax loses", "", "By more than 2 %, in four rounds of five. Of what is better when it is more, "
            "such as a rate, the factor says how many times lower ours is.", ""]
    for role, title, none in (("peer", "the best peer", "Behind no peer."), ("limit", "the limit", "")):
        found = losses(tables, role)
        if not found:
            text += [none, ""]
            continue
        text += [f"Behind {title}:", "", "| load | server | behind | in | factor |", "|---|---|---|---|---:|"]
        for loss in found:
            text += [f"| {loss.table} | {loss.ours} | {other} | {name} | {behind:.2f} |"
                     for name, (behind, other) in loss.factors.items()]
        text.append("")
    return "\n".join(text)


# --- the document ---


def machine(root: pathlib.Path, network: str, others: float) -> list[tuple[str, str]]:
    """The machine and the versions that the figures depend on."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    virtual = "hypervisor" in pathlib.Path("/proc/cpuinfo").read_text()
    revision = subprocess.run(["git", "-C", str(root), "rev-parse", "--short", "HEAD"], capture_output=True, text=True,
                              check=False)
    return [
        ("processor", (cpu[1] if cpu else platform.machine()) + (" (virtual machine)" if virtual else "")),
        ("cores", str(len(os.sched_getaffinity(0)))),
        ("kernel", platform.system() + " " + platform.release()),
        ("TCP congestion control", f"{network}; the same for all"),
        ("revision", revision.stdout.strip() or "unknown"),
        ("date", datetime.date.today().isoformat()),
        ("processor time that others took during the run", f"{others:.0%}"),
    ]


def versions(python: str) -> str:
    """The versions of the peers, by package."""
    packages = ["libboost1.81-dev", "libuv1-dev", "libevent-dev", "nginx-light", "h2o", "nodejs", "node-ws", "libssl3",
                "python3", "python3-uvloop", "python3-tornado", "python3-websockets"]
    query = ["dpkg-query", "-W", "-f", "${Package} ${Version}, ", *packages]
    try:
        found = subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip(", ")
    except OSError:
        found = ""
    return found or python


def document(tables: list[Table], facts: list[tuple[str, str]], picture: str, again: str) -> str:
    """The text between the markers."""
    text = [lost(tables), f"{picture}\n", "## Figures\n", f"{again}\n"]
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
