"""Folders that are not what they should be: files missing, swapped, or no files at all, and files of strangers."""

from collections.abc import Callable, Sequence
from random import Random

from tests.hostile import odd
from tests.hostile.nodes import File, Folder, Input, Link, Node, Pipe

#: A changed folder, and what was done in a few words.
Made = tuple[dict[str, Node], str]

#: What a link may point to. The last one can be opened, but not read, also by the administrator.
TARGETS = (
    *(
        "/dev/zero",
        "/dev/null",
        "/dev/tty",
        ".",
        "..",
        "missing",
        "/",
        "{precious}/file",
        "{precious}/folder",
    ),
    *("/proc/self/fd", "/proc/self/mem", "/proc/self/mem"),
)

#: Names of files that readers look for, and names that only look like them.
NAMES = (
    *(
        "level-00.safetensors",
        "level-03.safetensors",
        "level-3.safetensors",
        "level-99999999999999999999.safetensors",
    ),
    *(
        "level-\u0660\u0663.safetensors",
        "level-00\x1b[31m.safetensors",
        "level-0\n1.safetensors",
        "x.safetensors",
    ),
    *(
        ".safetensors",
        "level-00.safetensors.part",
        "a.part",
        "run.json",
        "metrics.jsonl",
        "tasks.json",
        "run.lock",
    ),
    *("study.json", "tables.json", "figures.json", "results.jsonl", "result.json", "report.html", "job.json"),
    *("seed-0", "seed-1", "seed-\u0660", "seed-99999999999999999999", "seed--1", "seed-00", "train", "test"),
    *(
        "validation",
        ".hidden",
        "\udcff.safetensors",
        "x" * 250,
        "\x1b]0;title\x07.safetensors",
        "a/b/c/d/e/f",
    ),
    *(
        "zebra/a.png",
        "zebra/b.png",
        "apple/a.png",
        "\x1b[31m/a.png",
        "\udcff/a.png",
        "x" * 250 + "/a.png",
        "a\nb/a.png",
    ),
    *(
        "train/a/a.png",
        "test/b/b.png",
        "-rf",
        "*",
        "{0}",
        "report.html/x",
        "figures",
        "job.lock",
        ".x.old/x",
        ".x.part/x",
    ),
)


def _missing(draw: Random, nodes: Input) -> Made:
    gone = draw.choice([*nodes])
    return {name: node for name, node in nodes.items() if name != gone}, f"{gone} is missing"


def _replaced(draw: Random, nodes: Input) -> Made:
    name = draw.choice([*nodes])
    target = draw.choice([*TARGETS, name.rpartition("/")[2]])  # the last one points to itself
    node: Node = draw.choice((Folder(), Pipe(), Link(target), Link(target), File(b"")))
    return {**nodes, name: node}, f"{name} is {node}"


def _swapped(draw: Random, nodes: Input) -> Made:
    one, other = draw.choice([*nodes]), draw.choice([*nodes])
    return {**nodes, one: nodes[other], other: nodes[one]}, f"{one} and {other} are swapped"


def _copied(draw: Random, nodes: Input) -> Made:
    source = draw.choice([*nodes])
    target = draw.choice([*nodes, *NAMES])
    return {**nodes, target: nodes[source]}, f"{target[:60]!r} is a copy of {source}"


def _renamed(draw: Random, nodes: Input) -> Made:
    source, target = draw.choice([*nodes]), draw.choice(NAMES)
    kept = {name: node for name, node in nodes.items() if name != source}
    return {**kept, target: nodes[source]}, f"{source} is called {target[:60]!r}"


def _strange(draw: Random, nodes: Input) -> Made:
    folders = sorted({name.rpartition("/")[0] for name in nodes})
    name = f"{draw.choice(folders)}/{draw.choice(NAMES)}".lstrip("/")
    content = draw.choice([*odd.BYTES, b"", b"{}", b"[]", b'{"a": "\\u001b[31m"}'])
    node: Node = draw.choice((File(content), File(content), Folder(), Pipe(), Link(draw.choice(TARGETS))))
    return {**nodes, name: node}, f"and {name[:60]!r}, {str(node)[:60]}"


def _inside(draw: Random, nodes: Input) -> Made:
    """All of it in a folder, or in several, as runs of several seeds are."""
    names = draw.sample(
        ["seed-0", "seed-1", "seed-7", "seed-99999999999999999999", "train", "\x1b[31m", "x"], 2
    )
    homes = names if draw.random() < 0.5 else names[:1]
    return {f"{home}/{name}": node for home in homes for name, node in nodes.items()}, f"all inside {homes}"


def _many(draw: Random, nodes: Input) -> Made:
    count, name = (
        draw.choice([30, 300]),
        draw.choice(["seed-{}", "{}.safetensors", "{}/a.png", "{}.part", "level-{}.x"]),
    )
    return {**nodes, **{name.format(n): File(b"") for n in range(count)}}, f"and {count} of {name}"


def _deep(draw: Random, nodes: Input) -> Made:
    return {**nodes, "/".join(["deep"] * 200) + "/x.safetensors": File(b"")}, "and a folder 200 deep"


_EDITS: Sequence[Callable[[Random, Input], Made]] = (
    *(_missing, _missing, _replaced, _replaced, _replaced, _swapped, _copied, _copied, _renamed, _renamed),
    *(_strange, _strange, _strange, _inside, _many, _deep),
)


def edit_folder(draw: Random, nodes: Input) -> Made:
    """Change which files a folder has, or what they are."""
    if not nodes:
        return {"x": File(b"")}, "a file in an empty folder"
    return draw.choice(_EDITS)(draw, nodes)


#: What an export to `x.safetensors` leaves behind when it is killed, and the export itself.
_REMAINS = (".x.safetensors.part", ".x.safetensors.old", "x.safetensors")


def leave_remains(draw: Random, nodes: Input) -> Made:
    """Remains of a killed export, or what only has their names: links to the files of others, above all."""
    name = draw.choice(_REMAINS)
    target = draw.choice(
        ("{precious}/folder", "{precious}/folder", "{precious}/file", "..", "missing", "x.safetensors")
    )
    node: Node = draw.choice((Link(target), Link(target), Link(target), File(b"remains"), Folder(), Pipe()))
    kept = {other: one for other, one in nodes.items() if other != name}
    inside: Input = {f"{name}/a": Link("{precious}/folder")} if isinstance(node, Folder) else {}
    return {**kept, name: node, **inside}, f"{name} is {node}"
