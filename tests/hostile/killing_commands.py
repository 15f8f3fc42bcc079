"""The commands that `tests.hostile.kills` kills, and what of their results must not depend on it."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RECIPE = ["--dataset", "digits", "--batch-size", "50", "--jit", "off", "--quiet"]
#: Short enough that most trainings are stopped between two checkpoints.
OFTEN = ["--checkpoint-every", "0.002"]


@dataclass(frozen=True)
class Command:
    """A command that writes.

    Args:
        name: its name here.
        arguments: its words; `{}` stands for the folder.
        out: the file or folder that it writes, relative to the folder.
        weight: its share of the kills.
        replaces: a path at which something must be at every moment.
    """

    name: str
    arguments: tuple[str, ...]
    out: str
    weight: float = 1.0
    replaces: str = ""

    def words(self, folder: Path) -> list[str]:
        """The words of the command, for a folder."""
        return [word.replace("{}", str(folder)) for word in self.arguments]

    def result(self, folder: Path) -> dict[str, Any]:
        """The content of every file that the command left, by name. Times and places are taken out."""
        out = folder / self.out
        files = [path for path in out.rglob("*") if path.is_file()] if out.is_dir() else [out]
        beside = [path for path in folder.iterdir() if path.suffix in (".part", ".old", ".checkpoint")]
        skipped = ("run.lock", "job.lock", "fingerprint.pb")
        return {
            str(path.relative_to(folder)): _content(path, folder)
            for path in [*files, *beside]
            if path.exists() and path.name not in skipped
        }


def _content(path: Path, folder: Path) -> Any:
    """What a file says, without durations."""
    if path.suffix == ".jsonl":
        return [_timeless(json.loads(line)) for line in path.read_text().splitlines()]
    if path.name == "study.json":
        return sorted(json.loads(path.read_text()))
    if path.name == "variables.index":
        return _variables(path.with_suffix(""))
    # TensorFlow writes a SavedModel's graph in an order of its own each time; a study's page tells how long it took.
    if path.suffix == ".pb" or path.name in ("report.html", "variables.data-00000-of-00001"):
        return path.stat().st_size > 1000
    return path.read_bytes().replace(str(folder).encode(), b"")


def _variables(prefix: Path) -> dict[str, bytes]:
    """The values in a SavedModel."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(prefix))
    names = [name for name in reader.get_variable_to_shape_map() if not name.startswith("_")]
    return {name: reader.get_tensor(name).tobytes() for name in names}


def _timeless(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if "seconds" not in name}


def source(folder: Path, run: Callable[[list[str], Path], int | None]) -> Path:
    """Make what the commands start from: two runs of three levels, and exports to replace."""
    folder.mkdir()
    for seed in ("0", "1"):
        words = [
            "prune",
            "--model",
            "mlp:8-8-8",
            *RECIPE,
            "--train",
            "30it",
            "--levels",
            "2",
            "--rate",
            "0.5",
        ]
        log = folder / "log"
        code = run([*words, "--seed", seed, "--out", str(folder / f"run-{seed}")], log)
        assert code == 0, log.read_text()
    for name, kind in (("old.safetensors", "safetensors"), ("old-model", "saved-model")):
        words = ["export", str(folder / "run-0" / "level-02.safetensors"), "--format", kind]
        code = run([*words, "--out", str(folder / name), "--quiet"], folder / "log")
        assert code == 0, (folder / "log").read_text()
    shutil.copytree(folder / "run-0", folder / "finished")
    (folder / "log").unlink()
    return folder


_TICKET = "{}/run-0/level-01.safetensors"
_TRAINED = "{}/run-0/level-02.safetensors"

COMMANDS = (
    Command(
        "prune",
        ("prune", "--model", "mlp:8-8-8", *RECIPE, "--train", "900it", "--eval-every", "100it", "--levels", "3",
         "--rate", "0.5", *OFTEN, "--out", "{}/made"),
        "made",
        weight=4,
    ),
    Command(
        "prune-seeds",
        ("prune", "--model", "mlp:8", *RECIPE, "--train", "200it", "--levels", "2", "--rate", "0.5", "--seeds", "0-2",
         "--out", "{}/made"),
        "made",
        weight=2,
    ),
    Command("extend", ("prune", "--model", "mlp:8-8-8", *RECIPE, "--train", "30it", "--levels", "5", "--rate", "0.5",
                       "--out", "{}/run-0"), "run-0", weight=1.5),
    Command(
        "train",
        ("train", _TICKET, *RECIPE, "--train", "1500it", "--eval-every", "300it", *OFTEN, "--out",
         "{}/made.safetensors"),
        "made.safetensors",
        weight=3,
    ),
    Command(
        "transfer",
        ("transfer", "frozen-then-all", _TICKET, *RECIPE, "--train", "900it", *OFTEN, "--out", "{}/made"),
        "made",
        weight=3,
    ),
    Command("merge", ("merge", _TICKET, "{}/run-1/level-01.safetensors", "--method", "atm", "--out",
                      "{}/made.safetensors"), "made.safetensors"),
    Command("flip", ("flip", _TICKET, "--out", "{}/made.safetensors"), "made.safetensors"),
    Command("rewind", ("rewind", _TICKET, "--to", "init", "--out", "{}/made.safetensors"), "made.safetensors"),
    Command("report", ("report", "{}/finished", "--out", "{}/made.html"), "made.html"),
    Command("analyze", ("analyze", "structure", _TICKET, "--plot", "{}/made.html"), "made.html"),
    Command(
        "export",
        ("export", _TRAINED, "--format", "safetensors", "--force", "--quiet", "--out", "{}/old.safetensors"),
        "old.safetensors",
        weight=1.5,
        replaces="old.safetensors",
    ),
    Command(
        "export-folder",
        ("export", _TRAINED, "--format", "saved-model", "--force", "--quiet", "--out", "{}/old-model"),
        "old-model",
        weight=1.5,
        replaces="old-model",
    ),
    Command(
        "reproduce",
        ("reproduce", "transfer", "--budget", "smoke", "--jobs", "1", "--quiet", "--cache", "{}/cache", "--out",
         "{}/made"),
        "made",
        weight=1,
    ),
)  # fmt: skip
