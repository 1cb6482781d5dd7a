"""The graph of a document as SVG: steps in a column as they are written, ways between neighbours straight, all others
in lanes beside it: forward on the right, back on the left.
"""

from __future__ import annotations

from collections import Counter
from html import escape
from typing import TYPE_CHECKING, Literal, NamedTuple

from reconciler.documents.graph import END, Vertex, shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reconciler.documents.graph import Graph, Way

Side = Literal["straight", "forward", "back"]

_WIDTH, _LEAST, _GAP, _INDENT = 280, 44, 34, 24  # of a box: width, least height; between boxes; of a loop's steps
_PORT, _LANE, _MARGIN = 18, 14, 16  # between ways that leave one box, between lanes, around the picture
_IN, _OUT = 7, 24  # below a box's top: where ways come in, and where the first one leaves
_LETTER = 6.3  # about the width of a label's letter
_LONGEST = 36  # letters of a name that a box has room for

_STYLE = """
  text { font: 12px ui-sans-serif, system-ui, sans-serif; fill: #1f2328; }
  .small { font-size: 11px; fill: #59636e; }
  .paper { fill: #fff; stroke: none; }
  rect { fill: #f6f8fa; stroke: #818b98; }
  .branch rect { fill: #fff8c5; } .loop rect { fill: #ddf4ff; } .end rect { fill: #dafbe1; }
  path { fill: none; stroke: #59636e; marker-end: url(#tip); }
  .failure path { stroke: #d1242f; stroke-dasharray: 5 3; }
  .cancel path { stroke: #bc4c00; stroke-dasharray: 2 3; }
  marker path { fill: #59636e; stroke: none; marker-end: none; }
"""


class _Line(NamedTuple):
    """A way between two rows. `port` counts the ways that leave its box on that side, `lane` from the column out."""

    way: Way
    start: int
    stop: int
    side: Side
    port: int = 0
    lane: int = 0


class _Box(NamedTuple):
    vertex: Vertex
    left: float
    top: float
    height: float

    @property
    def right(self) -> float:
        return self.left + _WIDTH

    @property
    def bottom(self) -> float:
        return self.top + self.height


def svg(drawn: Graph) -> str:
    """A picture that stands on its own."""
    vertices = (*drawn.vertices, Vertex(END, "end"))
    rows = {vertex.name: row for row, vertex in enumerate(vertices)}
    lines = _in_lanes([_line(way, rows) for way in drawn.ways])
    boxes = _boxes(vertices, lines, _MARGIN + _beside(lines, "back"))
    edge = max(box.right for box in boxes)
    width = edge + _beside(lines, "forward") + _MARGIN
    inner = {"forward": edge + _labels(lines, "forward"), "back": boxes[0].left - _labels(lines, "back")}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {boxes[-1].bottom + _MARGIN:.0f}"'
        f' width="{width:.0f}" height="{boxes[-1].bottom + _MARGIN:.0f}" role="img">',
        f"<title>{escape(drawn.title)}</title><style>{_STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0 8 4 0 8Z"/></marker></defs><rect class="paper" width="100%" height="100%"/>',
        *(_drawn_line(line, boxes, inner) for line in lines),
        *(_drawn_box(box) for box in boxes),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _line(way: Way, rows: Mapping[str, int]) -> _Line:
    start, stop = rows[way.source], rows[way.target]
    straight = stop == start + 1 and way.kind not in ("failure", "cancel")
    return _Line(way, start, stop, "straight" if straight else "back" if stop <= start else "forward")


def _in_lanes(lines: Sequence[_Line]) -> list[_Line]:
    """Each line with its port and the innermost lane that is free over its rows; short ones are placed first."""
    ports: Counter[tuple[int, Side]] = Counter()
    taken: dict[Side, list[list[range]]] = {"forward": [], "back": [], "straight": []}
    placed = []
    for line in sorted(lines, key=lambda line: abs(line.stop - line.start)):
        rows = range(min(line.start, line.stop), max(line.start, line.stop) + 1)
        lanes = taken[line.side]
        lane = next((at for at, lane in enumerate(lanes) if not any(_meet(rows, other) for other in lane)), len(lanes))
        lanes[lane:] = [[*(lanes[lane] if lane < len(lanes) else ()), rows], *lanes[lane + 1 :]]
        placed.append(line._replace(lane=lane, port=ports[line.start, line.side]))
        ports[line.start, line.side] += 1
    return placed


def _meet(one: range, other: range) -> bool:
    return one.start < other.stop and other.start < one.stop


def _beside(lines: Iterable[_Line], side: Side) -> float:
    """The room that a side needs for its labels and lanes."""
    lanes = max((line.lane + 1 for line in lines if line.side == side), default=0)
    return _labels(lines, side) + lanes * _LANE


def _labels(lines: Iterable[_Line], side: Side) -> float:
    """Those of straight ways begin at the middle of their boxes, and are on the right too."""
    longest = max((_length(line) for line in lines if line.side == side), default=0.0)
    if side == "forward":
        longest = max(
            longest, max((_length(line) for line in lines if line.side == "straight"), default=0) - _WIDTH / 2
        )
    return longest + _LANE if longest > 0 else 0


def _length(line: _Line) -> float:
    return len(shortened(line.way.label)) * _LETTER


def _boxes(vertices: Sequence[Vertex], lines: Iterable[_Line], left: float) -> list[_Box]:
    ports = Counter((line.start, line.side) for line in lines if line.side != "straight")
    boxes, top = [], float(_MARGIN)
    for row, vertex in enumerate(vertices):
        most = max(ports[row, "forward"], ports[row, "back"])
        height = max(_LEAST, _OUT + _PORT * (most - 1) + 8)
        boxes.append(_Box(vertex, left + vertex.depth * _INDENT, top, height))
        top += height + _GAP
    return boxes


def _drawn_line(line: _Line, boxes: Sequence[_Box], inner: Mapping[str, float]) -> str:
    """`inner` is where the lanes of each side begin."""
    source, target = boxes[line.start], boxes[line.stop]
    label = shortened(line.way.label)
    y = source.top + _OUT + _PORT * line.port
    lane = (line.lane + 1) * _LANE
    if line.side == "straight":
        x = max(source.left, target.left) + _WIDTH / 2
        path, words = f"M{x:.0f} {source.bottom:.0f}V{target.top:.0f}", _text(label, x + 6, source.bottom + 20)
    elif line.side == "forward":
        path = f"M{source.right:.0f} {y:.0f}H{inner['forward'] + lane:.0f}V{target.top + _IN:.0f}H{target.right:.0f}"
        words = _text(label, source.right + 6, y - 4)
    else:
        path = f"M{source.left:.0f} {y:.0f}H{inner['back'] - lane:.0f}V{target.top + _IN:.0f}H{target.left:.0f}"
        words = _text(label, source.left - 6, y - 4, anchor="end")
    told = f"<title>{escape(line.way.label)}</title>" if line.way.label else ""
    return f'<g class="{line.way.kind}">{told}<path d="{path}"/>{words}</g>'


def _text(text: str, x: float, y: float, *, anchor: str = "start") -> str:
    return f'<text class="small" x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(text)}</text>' if text else ""


def _drawn_box(box: _Box) -> str:
    name, action = box.vertex.name or "End", box.vertex.action
    sort = action.rpartition(":")[2]
    shown = name if len(name) <= _LONGEST else name[: _LONGEST - 3] + "..."
    middle = box.left + _WIDTH / 2
    y = box.top + (19 if box.vertex.name else 27)
    lines = [f'<text x="{middle:.0f}" y="{y:.0f}" text-anchor="middle">{escape(shown)}</text>']
    if box.vertex.name:
        lines.append(_text(action, middle, box.top + 35, anchor="middle"))
    frame = f'<rect x="{box.left:.0f}" y="{box.top:.0f}" width="{_WIDTH}" height="{box.height:.0f}" rx="6"/>'
    return f'<g class="{escape(sort)}"><title>{escape(name)}</title>{frame}{"".join(lines)}</g>'
