"""The picture of docs/benchmarks.md: each load on a line, as a multiple of the limit. Plain SVG, light and dark."""

import dataclasses
import math
from html import escape

import report
from report import METRICS, Row, Table

LOW, HIGH = 0.2, 200.0  # of the axis, which is logarithmic; what is beyond stands at its end
TICKS = (0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200)
LEFT, RIGHT, WIDTH = 410, 770, 1000
TOP, LINE = 84, 38

STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 17px; font-weight: 600 }
  .small { font-size: 11px; fill: #59636e }
  .strong { font-weight: 700 }
  .paper { fill: #ffffff }
  .band { fill: #f6f8fa }
  .grid { stroke: #d1d9e0 }
  .limit { stroke: #1f2328; stroke-width: 2 }
  .span { stroke: #afb8c1; stroke-width: 2 }
  .ours { fill: #0969da }
  .best { fill: #57606a }
  .peer { fill: none; stroke: #818b98; stroke-width: 1.5 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .small { fill: #9198a1 }
    .paper { fill: #0d1117 }
    .band { fill: #151b23 }
    .grid { stroke: #3d444d }
    .limit { stroke: #f0f6fc }
    .span { stroke: #656c76 }
    .ours { fill: #4493f8 }
    .best { fill: #b7bdc8 }
    .peer { stroke: #9198a1 }
  }
"""


@dataclasses.dataclass
class Line:
    """One server of Coax under one load."""

    title: str
    what: str
    ours: float
    peers: dict[str, float]  # multiples of the same


def lines_of(tables: list[Table]) -> list[Line]:
    found = []
    for table in tables:
        metric = table.compared[0]
        base = table.best("limit", metric) or table.best("peer", metric)
        if base is None:
            continue
        peers = {row.title: multiple(row, base, metric) for row in table.rows if row.role == "peer" and not row.failed}
        for row in table.rows:
            if row.role == "ours" and row.values.get(metric):
                name = METRICS[metric].name
                of = f", of {base.title}" if base.role == "peer" else ""
                found.append(Line(table.title, f"{name}{of} · {row.title}", multiple(row, base, metric),
                                  {title: value for title, value in peers.items() if value}))
    return found


def multiple(row: Row, base: Row, metric: str) -> float:
    """By which factor it is worse."""
    value = report.ratio(row, base, metric) or 0.0
    return 1 / value if value and METRICS[metric].more_is_better else value


def place(value: float) -> float:
    part = math.log(min(max(value, LOW), HIGH) / LOW) / math.log(HIGH / LOW)
    return LEFT + part * (RIGHT - LEFT)


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    kind = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}"{kind}>{escape(words)}</text>'


def circle(value: float, y: float, radius: float, kind: str, words: str) -> str:
    return (f'<circle cx="{place(value):.1f}" cy="{y}" r="{radius}" class="{kind}">'
            f"<title>{escape(words)}: {report.times(value)}</title></circle>")


def legend() -> list[str]:
    marks = ((22, 6, "ours", "Coax"), (82, 5, "best", "the best peer"), (184, 4, "peer", "other peers; less is better, "
             "and the axis is logarithmic. The figures are in the tables."))
    parts = []
    for x, radius, kind, words in marks:
        parts += [f'<circle cx="{x}" cy="47" r="{radius}" class="{kind}"/>', text(x + 12, 51, words, "small")]
    return parts


def grid(bottom: float) -> list[str]:
    parts = []
    for tick in TICKS:
        x = place(tick)
        kind = "limit" if tick == 1 else "grid"
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{bottom}" class="{kind}"/>')
        parts.append(text(x, TOP - 14, "limit" if tick == 1 else f"{tick:g}×", "small", "middle"))
    return parts


def drawn(line: Line, y: float) -> list[str]:
    best = min(line.peers, key=line.peers.get, default="")
    values = [line.ours, *line.peers.values()]
    parts = [text(16, y - 2, line.title), text(16, y + 13, line.what, "small"),
             f'<line x1="{place(min(values)):.1f}" x2="{place(max(values)):.1f}" y1="{y}" y2="{y}" class="span"/>']
    parts += [circle(value, y, 4, "peer", title) for title, value in line.peers.items() if title != best]
    if best:
        parts.append(circle(line.peers[best], y, 5, "best", best))
        parts.append(text(872, y - 2, f"{report.times(line.peers[best])}×"))
        parts.append(text(872, y + 13, best, "small"))
    parts.append(circle(line.ours, y, 6, "ours", "Coax"))
    parts.append(text(850, y + 4, f"{report.times(line.ours)}×", "strong", "end"))
    return parts


def picture(tables: list[Table]) -> str:
    lines = lines_of(tables)
    bottom = TOP + LINE * len(lines)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 20}" role="img" '
             'aria-label="Each load as a multiple of the limit; the figures are in the tables">',
             f"<style>{STYLE}</style>", f'<rect width="{WIDTH}" height="{bottom + 20}" class="paper"/>',
             text(16, 30, "What each load costs, as a multiple of the limit", "title"),
             *legend(),
             text(850, TOP - 14, "Coax", "small", "end"), text(872, TOP - 14, "best peer", "small")]
    for index in range(0, len(lines), 2):
        parts.append(f'<rect x="0" y="{TOP + index * LINE}" width="{WIDTH}" height="{LINE}" class="band"/>')
    parts += grid(bottom)
    for index, line in enumerate(lines):
        parts += drawn(line, TOP + index * LINE + LINE / 2)
    return "\n".join(parts) + "\n</svg>\n"
