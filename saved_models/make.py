"""Make the examples of this folder again: find each ticket, export it, and write down what came out.

    python saved_models/make.py [NAME...]

Runs are kept in `runs/saved_models/`, so that a second call only exports. Each example gets a `card.json`: the
commands, what `kt export` measured, and the versions. Bits of a SavedModel differ from one export to the next (it has
made-up numbers inside); what it computes does not.
"""

import json
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RUNS = "runs/saved_models"
#: What a card keeps of a report: what depends on the machine (times, memory) is for the benchmarks.
KEPT = (
    *("format", "bytes", "bytes_dense", "bytes_gzip", "bytes_limit", "max_abs_difference"),
    *("accuracy_before", "accuracy_after", "multiply_adds", "runtime", "examples"),
)

ABOUT = """\
# Saved models

This folder has small exports that are ready to run. This page lists the commands that made each export, and the
accuracy of the exported file on the test images of scikit-learn's digits. `1` is a SavedModel in the folder layout of
TensorFlow Serving. Its signature `classify` takes raw 8x8 images of bytes from 0 to 16. `make saved-models` rebuilds
the exports. [docs/serving.md](../docs/serving.md) says how to run them. Nothing here is part of the installed
package.

Without `--out`, `kt export` writes to `saved_models/` in the working folder.
"""


@dataclass(frozen=True)
class Example:
    """One folder.

    Args:
        name: of the folder.
        about: what it is.
        prune: what `kt prune` is told.
        level: which of the run's tickets is exported.
        exports: what `kt export` is told, by the name of what it makes; `1` is the version that TensorFlow Serving
            looks for.
    """

    name: str
    about: str
    prune: str
    level: int
    exports: dict[str, str]

    def commands(self) -> list[str]:
        """The command that finds the ticket, and one for each export."""
        run = f"{RUNS}/{self.name}"
        ticket = f"{run}/level-{self.level:02d}.safetensors"
        made = [
            f"kt export {ticket} {told} --no-latency --force --out saved_models/{self.name}/{file}"
            for file, told in self.exports.items()
        ]
        return [f"kt prune --dataset digits {self.prune} --seed 0 --out {run}", *made]


EXAMPLES = (
    Example(
        "digits-lenet-snip-90",
        "LeNet-300-100 on digits, a tenth of its weights, chosen by SNIP before training",
        "--model lenet-300-100 --criterion snip --sparsity 0.9 --train 40ep",
        1,
        {"1": "--format saved-model --raw"},
    ),
    Example(
        "digits-lenet-imp-95-compacted",
        "LeNet-300-100 on digits, a twentieth of its weights, found by iterative magnitude pruning, compacted",
        "--model lenet-300-100 --levels 12 --sparsity 0.95 --scope global --l1 0.0003 --train 40ep",
        12,
        {
            "1": "--format saved-model --raw --compact",
            "model.tflite": "--format litert --sparse --raw --compact",
            "model.onnx": "--format onnx --compact",
            "model.safetensors": "--format safetensors --compact",
        },
    ),
    Example(
        "digits-conv-2-compacted",
        "Conv-2 on digits without 70 % of the channels of every layer, compacted",
        "--model conv-2 --granularity channel --scope layer --levels 4 --sparsity 0.7 --train 20ep",
        4,
        {"1": "--format saved-model --raw --compact"},
    ),
)


def make(example: Example) -> dict[str, Any]:
    """Run the commands of one example; its card."""
    shutil.rmtree(HERE / example.name, ignore_errors=True)
    find, *exports = example.commands()
    told(find)
    ticket = json.loads(told(f"kt show {exports[0].split()[2]} --json"))
    reports = {
        file: json.loads(told(f"{command} --json"))
        for file, command in zip(example.exports, exports, strict=True)
    }
    return {
        "about": example.about,
        "commands": [find, *exports],
        "ticket": {name: ticket[name] for name in ("digest", "criterion", "density", "kept", "total")},
        "versions": ticket["provenance"]["versions"],
        "exports": {file: {name: report[name] for name in KEPT} for file, report in reports.items()},
    }


def told(command: str) -> str:
    """What a command prints; its own error where it fails."""
    print(f"$ {command}", file=sys.stderr)
    kt = [str(Path(sys.executable).with_name("kt")), *shlex.split(command)[1:]]
    return subprocess.run(kt, check=True, stdout=subprocess.PIPE, text=True, cwd=HERE.parent).stdout


def page() -> str:
    """The README of this folder, from the cards."""
    cards = {one.name: json.loads((HERE / one.name / "card.json").read_text("utf-8")) for one in EXAMPLES}
    return f"{ABOUT}{''.join(part(name, card) for name, card in cards.items())}"


def part(name: str, card: dict[str, Any]) -> str:
    """One example as text: what it is, how it was made, and what was measured."""
    rows = [
        f"| `{file}` | {one['format']} | {one['bytes']:,} | {one['bytes_dense']:,} | {one['accuracy_after']:.2%} | "
        f"{one['multiply_adds']['executed']:,} of {one['multiply_adds']['dense']:,} |"
        for file, one in card["exports"].items()
    ]
    ticket, versions = card["ticket"], card["versions"]
    kept = f"{ticket['kept']:,} of {ticket['total']:,} weights kept"
    made = ", ".join(f"{package} {version}" for package, version in versions.items())
    commands = "\n".join(f"$ {command}" for command in card["commands"])
    return (
        f"\n## {name}\n\n{card['about']}: {kept}.\n\n"
        "| file | format | bytes | bytes of the dense model, exported in the same way "
        "| accuracy on 300 test images | multiply-adds |\n"
        "|---|---|---|---|---|---|\n" + "\n".join(rows) + f"\n\n```console\n{commands}\n```\n\n"
        f"Seed 0; {made}.\n"
    )


def main(names: list[str]) -> None:
    """Make the examples named, or all, and then the page about them."""
    for example in EXAMPLES:
        if not names or example.name in names:
            text = json.dumps(make(example), indent=2)
            (HERE / example.name / "card.json").write_text(f"{text}\n", encoding="utf-8")
    (HERE / "README.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
