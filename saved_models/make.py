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
        find: the commands that find the ticket; `RUN` stands for a folder of the example's own.
        ticket: the file that is exported, in that folder.
        exports: what `kt export` is told, by the name of what it makes; `1` is the version that TensorFlow Serving
            looks for.
    """

    name: str
    about: str
    find: tuple[str, ...]
    ticket: str
    exports: dict[str, str]

    def commands(self) -> tuple[list[str], list[str]]:
        """The commands that find the ticket, and one for each export."""
        run = f"{RUNS}/{self.name}"
        made = [
            f"kt export {run}/{self.ticket} {told} --no-latency --force --out saved_models/{self.name}/{file}"
            for file, told in self.exports.items()
        ]
        return [command.replace("RUN", run) for command in self.find], made


def pruned(settings: str) -> tuple[str, ...]:
    """One call of `kt prune`."""
    return (f"kt prune --dataset digits {settings} --seed 0 --out RUN",)


EXAMPLES = (
    Example(
        "digits-lenet-snip-90",
        "LeNet-300-100 on digits, a tenth of its weights, chosen by SNIP before training",
        pruned("--model lenet-300-100 --criterion snip --sparsity 0.9 --train 40ep"),
        "level-01.safetensors",
        {"1": "--format saved-model --raw"},
    ),
    Example(
        "digits-lenet-imp-95-compacted",
        "LeNet-300-100 on digits, a twentieth of its weights, found by iterative magnitude pruning, compacted",
        pruned("--model lenet-300-100 --levels 12 --sparsity 0.95 --scope global --l1 0.0003 --train 40ep"),
        "level-12.safetensors",
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
        pruned("--model conv-2 --granularity channel --scope layer --levels 4 --sparsity 0.7 --train 20ep"),
        "level-04.safetensors",
        {"1": "--format saved-model --raw --compact"},
    ),
    Example(
        "digits-lenet-merged",
        "LeNet-300-100 on digits, three tickets of three seeds averaged (ATM) and trained again",
        (
            "kt prune --dataset digits --model lenet-300-100 --levels 4 --rate 0.4 --train 20ep --seeds 0-2 --out RUN",
            "kt merge --method atm RUN/seed-0/level-04.safetensors RUN/seed-1/level-04.safetensors "
            "RUN/seed-2/level-04.safetensors --force --out RUN/merged.safetensors",
            "kt train RUN/merged.safetensors --dataset digits --seed 0 --force --out RUN/trained.safetensors",
        ),
        "trained.safetensors",
        {"model.tflite": "--format litert --sparse --raw"},
    ),
    Example(
        "digits-lenet-transferred",
        "LeNet-300-100, a tenth of its weights, found on the digits 0 to 4 and trained on the digits 5 to 9",
        (
            "kt prune --dataset 'digits[0,1,2,3,4]' --model lenet-300-100 --levels 8 --sparsity 0.9 --train 20ep "
            "--seed 0 --out RUN/low",
            "kt transfer ticket RUN/low/level-08.safetensors --dataset 'digits[5,6,7,8,9]' --train 20ep --seed 0 "
            "--force --out RUN/high",
        ),
        "high/ticket.safetensors",
        {"model.tflite": "--format litert --sparse --raw"},
    ),
    Example(
        "digits-lenet-within-4-points",
        "LeNet-300-100 on digits, the smallest ticket whose accuracy drops by at most four points with 95 % confidence",
        (
            "kt prune --dataset digits --model lenet-300-100 --levels 1 --train 20ep --seed 0 --out RUN/dense",
            "kt shrink RUN/dense/level-00.safetensors --dataset digits --max-drop 4 --seed 0 --out RUN/shrunk",
        ),
        "shrunk/ticket.safetensors",
        {"model.tflite": "--format litert --sparse --raw"},
    ),
)


def make(example: Example) -> dict[str, Any]:
    """Run the commands of one example; its card."""
    shutil.rmtree(HERE / example.name, ignore_errors=True)
    find, exports = example.commands()
    for command in find:
        told(command)
    ticket = json.loads(told(f"kt show {exports[0].split()[2]} --json"))
    reports = {
        file: json.loads(told(f"{command} --json"))
        for file, command in zip(example.exports, exports, strict=True)
    }
    return {
        "about": example.about,
        "commands": [*find, *exports],
        "dataset": ticket["provenance"]["dataset"],
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
        "| accuracy on the test images | multiply-adds |\n"
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
