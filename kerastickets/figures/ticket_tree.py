"""Place the boxes of a graph, and draw it as SVG: parents at the left, children at the right."""

from html import escape

from kerastickets.figures.chart import Graph

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _EDGE = 112, 44, 28, 14, 2


def places(graph: Graph) -> dict[str, tuple[int, int]]:
    """The `(column, row)` of each node, both from 0.

    A node stands to the right of all its parents. Its row is the first free one from the mean row of its
    parents downwards.

    Example:
        >>> from kerastickets.figures.chart import Node
        >>> nodes = tuple(Node(key, key) for key in "abm")
        >>> places(Graph("g", "Merged", nodes, (("a", "m"), ("b", "m")), "a and b make m."))
        {'a': (0, 0), 'b': (0, 1), 'm': (1, 0)}
    """
    parents: dict[str, list[str]] = {node.key: [] for node in graph.nodes}
    for parent, child in graph.edges:
        parents[child].append(parent)
    where: dict[str, tuple[int, int]] = {}
    for key in graph.ordered():
        column = max((where[parent][0] + 1 for parent in parents[key]), default=0)
        rows = [where[parent][1] for parent in parents[key]]
        row = sum(rows) // len(rows) if rows else 0
        taken = set(where.values())
        while (column, row) in taken:
            row += 1
        where[key] = (column, row)
    return where


def svg(graph: Graph) -> str:
    """The graph as one `<svg>` element. It takes its colours from the page's CSS, and all text is escaped."""
    where = places(graph)
    columns = max((column for column, _ in where.values()), default=0) + 1
    rows = max((row for _, row in where.values()), default=0) + 1
    width = columns * (_WIDTH + _GAP_X) - _GAP_X + 2 * _EDGE
    height = rows * (_HEIGHT + _GAP_Y) - _GAP_Y + 2 * _EDGE
    lines = [_line(where[parent], where[child]) for parent, child in graph.edges]
    boxes = [_box(node.label, node.detail, where[node.key]) for node in graph.nodes]
    head = f'<svg class="graph" width="{width}" height="{height}" viewBox="0 0 {width} {height}" aria-hidden="true">'
    return "\n".join([head, *lines, *boxes, "</svg>"])


def _corner(place: tuple[int, int]) -> tuple[int, int]:
    column, row = place
    return _EDGE + column * (_WIDTH + _GAP_X), _EDGE + row * (_HEIGHT + _GAP_Y)


def _line(parent: tuple[int, int], child: tuple[int, int]) -> str:
    (left, above), (right, below) = _corner(parent), _corner(child)
    x, y, to_x, to_y = left + _WIDTH, above + _HEIGHT // 2, right, below + _HEIGHT // 2
    middle = (x + to_x) // 2
    return f'<path class="edge" d="M{x} {y}C{middle} {y} {middle} {to_y} {to_x} {to_y}"/>'


def _box(label: str, detail: str, place: tuple[int, int]) -> str:
    x, y = _corner(place)
    middle = x + _WIDTH // 2
    title = f"<title>{escape(label)} {escape(detail)}</title>"
    first = y + (18 if detail else 27)
    texts = f'<text x="{middle}" y="{first}">{escape(_short(label))}</text>'
    if detail:
        texts += f'<text class="detail" x="{middle}" y="{y + 34}">{escape(_short(detail))}</text>'
    return f'<g>{title}<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="4"/>{texts}</g>'


def _short(text: str, most: int = 18) -> str:
    return text if len(text) <= most else text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"
