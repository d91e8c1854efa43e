#!/usr/bin/env python3
# The picture of the layers, drawn by graphviz from the includes between the folders of coax/.
"""Usage: tools/layers.py [FILE]: draws it as SVG into FILE, docs/images/layers.svg unless given"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs/images/layers.svg"
INCLUDE = re.compile(r'^\s*#\s*include\s*"coax/(\w+)/', re.MULTILINE)
STYLE = """
  bgcolor="white"; rankdir=TB; nodesep=0.35; ranksep=0.45; margin=0.2;
  node [shape=box, style="rounded,filled", color="#96461b", fillcolor="#f6f3ee", fontname="Helvetica,Arial,sans-serif",
        fontsize=13, height=0.45, width=1.1];
  edge [color="#6b6b6b", arrowsize=0.7];
"""

Edges = set[tuple[str, str]]


def includes(root: pathlib.Path) -> Edges:
    """From a folder to each other folder that it includes."""
    edges = set()
    for path in sorted((root / "coax").rglob("*.[ch]pp")):
        layer = path.relative_to(root).parts[1]
        if path.parent != root / "coax":
            edges |= {(layer, other) for other in INCLUDE.findall(path.read_text()) if other != layer}
    return edges


def reachable(edges: Edges, start: str) -> set[str]:
    found: set[str] = set()
    pending = [start]
    while pending:
        layer = pending.pop()
        for before, after in edges:
            if before == layer and after not in found:
                found.add(after)
                pending.append(after)
    return found


def reduced(edges: Edges) -> Edges:
    """Without the edges that follow from others (the transitive reduction). Of a graph without circles."""
    return {(before, after) for before, after in edges
            if not any(middle != after and after in reachable(edges, middle)
                       for source, middle in edges if source == before)}


def dot(edges: Edges) -> str:
    arrows = "".join(f'  "{before}" -> "{after}";\n' for before, after in sorted(edges))
    return f"digraph layers {{{STYLE}{arrows}}}\n"


def drawn(svg: str) -> Edges:
    """The edges of a picture."""
    return set(re.findall(r"<title>(\w+)&#45;&gt;(\w+)</title>", svg))


def main(arguments: list[str]) -> int:
    picture = pathlib.Path(arguments[0]) if arguments else PICTURE
    edges = includes(ROOT)
    circles = sorted(layer for layer in {before for before, _ in edges} if layer in reachable(edges, layer))
    if circles:
        print(f"layers: these include each other in a circle: {', '.join(circles)}", file=sys.stderr)
        return 1
    svg = subprocess.run(["dot", "-Tsvg"], input=dot(reduced(edges)), capture_output=True, text=True, check=True).stdout
    picture.write_text(re.sub(r"<!--.*?-->\n?", "", svg, flags=re.DOTALL))
    print(f"layers: {len(edges)} includes between layers, {len(reduced(edges))} arrows: {picture}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
