"""The page of the matrix: a table of what works, and the reason for each cell where something does not."""

from importlib.metadata import version
from typing import Any

_COLUMNS = (
    *("masks", "magnitude", "SNIP", "load", "build", "train", "compact"),
    *("keras", "saved-model", "onnx", "litert", "safetensors", "tfmot"),
)
_INTRO = """# Models

What works with which model: every family of `keras.applications`, and tasks and backbones of keras-hub. The models are
made small from their configs, have random weights, and train for one step. This page is written by `make models`.

The columns: masks on a live model (`sparsify`); pruning by magnitude and by SNIP; saving and loading the ticket;
building the net from the ticket alone, with the outputs of the original bit for bit; training the ticket; pruning half
of the channels and compacting, with equal outputs (the number is the share of weights that is left); and each exporter,
read back by another process. A number in brackets leads to the reason.
"""


def page(found: list[dict[str, Any]]) -> str:
    """The page as Markdown.

    Args:
        found: the rows with their `name`, `source`, `cells` and `seconds`.
    """
    reasons: dict[str, int] = {}
    lines = [_INTRO]
    shipped = [row for row in found if row["source"] == "trained"]
    for source in dict.fromkeys(row["source"] for row in found if row not in shipped):
        package = source.replace("-", "_")
        lines.append(f"\n## {source} {version(package)}\n")
        lines.append("| model | " + " | ".join(_COLUMNS) + " |")
        lines.append("| --- |" + " --- |" * len(_COLUMNS))
        for row in (row for row in found if row["source"] == source):
            cells = [_cell(row["cells"].get(column, "not tried"), reasons) for column in _COLUMNS]
            lines.append(f"| {row['name']} | " + " | ".join(cells) + " |")
    if shipped:
        lines += _trained(shipped, reasons)
    lines.append("\n## Reasons\n")
    lines += [f"{number}. {_plain(reason)}" for reason, number in reasons.items()]
    seconds = sum(row["seconds"] for row in found)
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("keras", "tensorflow", "onnx", "ai-edge-litert")
    )
    lines.append(f"\nMade with {versions}, on the CPU, in {seconds / 60:.0f} minutes.")
    return "\n".join(lines) + "\n"


def _trained(found: list[dict[str, Any]], reasons: dict[str, int]) -> list[str]:
    columns = ("keras", "saved-model", "onnx", "litert", "safetensors")
    lines = [
        "\n## Trained models that ship in packages\n",
        "In each layer, the weights of least magnitude are pruned, without training. The change is the mean difference "
        "of the outputs from the dense net's, relative to their mean size; of several outputs the largest, on 40 "
        "random examples. The columns of the exporters hold the largest difference of an export, computed by another "
        "process, from the pruned net.\n",
        "| model | sparsity | kept | change | " + " | ".join(columns) + " |",
        "| --- |" + " ---: |" * (3 + len(columns)),
    ]
    for model in found:
        rows = model["cells"] if isinstance(model["cells"], list) else []
        if not rows:
            cells = ["", "", "", *[_cell(model["cells"]["masks"], reasons)] * len(columns)]
            lines.append(f"| {model['name']} | " + " | ".join(cells) + " |")
        for row in rows:
            cells = [row["cells"][column] for column in columns]
            cells = [cell if cell[:1].isdigit() else _cell(cell, reasons) for cell in cells]
            kept = f"{row['kept']:,} of {row['total']:,}"
            start = f"| {model['name']} | {row['sparsity']:.0%} | {kept} | {row['change']:.2%} | "
            lines.append(start + " | ".join(cells) + " |")
    return lines


def _cell(text: str, reasons: dict[str, int]) -> str:
    if text == "yes" or text.endswith("%"):
        return text
    return f"[{reasons.setdefault(text, len(reasons) + 1)}]"


def _plain(reason: str) -> str:
    return reason.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")
