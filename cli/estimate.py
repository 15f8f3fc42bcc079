"""`kt prune --dry-run`: estimate the weights that a run would keep, and the time and memory that it would need."""

import math
import resource
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kerastickets_cli.output import emit, number, percent, say, table
from kerastickets_cli.runs import Batch, Facts

if TYPE_CHECKING:
    from kerastickets.pruning.prepared import PreparedRun

_STEPS = 50


def estimate(batch: Batch, jobs: int | None, as_json: bool) -> None:
    """Print the estimate for the runs of `batch`. Writes nothing."""
    import keras
    import tensorflow

    libraries = _resident()
    del keras, tensorflow
    prepared = batch.prepared(batch.seeds[0])
    levels = levels_of(prepared)
    times = _times(prepared, levels)
    runs, together = len(batch.seeds), min(jobs or 1, len(batch.seeds))
    memory = _memory(prepared, libraries)
    facts = {
        "run": str(
            batch.folder(batch.seeds[0], prepared).parent
            if batch.many
            else batch.folder(batch.seeds[0], prepared)
        ),
        "levels": levels,
        "steps": sum(level["steps"] for level in levels),
        "seconds": (times["compile_seconds"] + times["run_seconds"]) * math.ceil(runs / together),
        **times,
        "memory": memory | {"total": sum(memory.values()) * together},
        "criterion": prepared.method.name,
        "model": prepared.source.name,
        "dataset": prepared.data_name,
        "seeds": list(batch.seeds),
    }
    if as_json:
        emit(facts)
    else:
        _show(facts)


def levels_of(prepared: "PreparedRun") -> list[Facts]:
    """Weight counts and training steps per level.

    `layers` is None after a global cut, since only the scores decide how many weights each layer keeps.
    """
    from kerastickets.cutting.cut_scores import equal_densities, layers

    masks: Mapping[str, np.ndarray] = prepared.masks
    result = []
    for level, (count, steps) in enumerate(zip(prepared.schedule.counts, prepared.steps(), strict=True)):
        by_key: Mapping[str, int] | None = count if isinstance(count, Mapping) else None
        if by_key is None and level and prepared.schedule.scope == "layer":
            by_key = equal_densities(count, masks)  # type: ignore[arg-type]
        if by_key is not None:
            masks = {key: _first(mask.shape, by_key[key]) for key, mask in masks.items()}
        known = level == 0 or by_key is not None
        kept, total = prepared.schedule.totals[level], sum(mask.size for mask in masks.values())
        rows = (
            [{name: row[name] for name in ("key", "kept", "total")} for row in layers(masks)]
            if known
            else None
        )
        result.append(
            {
                "level": level,
                "kept": kept,
                "total": total,
                "density": kept / total,
                "steps": steps,
                "layers": rows,
            }
        )
    return result


def _first(shape: tuple[int, ...], count: int) -> np.ndarray:
    """A mask that keeps the first `count` weights. Which weights it keeps does not matter to a count."""
    return (np.arange(math.prod(shape)) < count).reshape(shape)


def _times(prepared: "PreparedRun", levels: list[Facts]) -> dict[str, float]:
    """Compile the trainer, and time some steps and evaluations on the real data."""
    trainer = prepared.trainer_of(prepared.levels)
    trainer.load(prepared.init, prepared.masks, seed=prepared.job.seed)
    first = _seconds(lambda: (trainer.engine.train(0, 0, _STEPS), trainer.engine.evaluate("validation")))
    step = _seconds(lambda: trainer.engine.train(0, 0, _STEPS)) / _STEPS
    validation = _seconds(lambda: trainer.engine.evaluate("validation"))
    test = validation * prepared.data.count("test") / prepared.data.count("validation")
    every = prepared.recipe.eval_every.iterations(trainer.per_epoch)
    evaluations = sum(math.ceil(level["steps"] / every) for level in levels)
    trained = sum(level["steps"] > 0 for level in levels)
    run = step * sum(level["steps"] for level in levels) + validation * evaluations + test * trained
    compiling = max(0.0, first - step * _STEPS - validation)
    return {"step_seconds": step, "compile_seconds": compiling, "run_seconds": run}


def _seconds(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _memory(prepared: "PreparedRun", libraries: int) -> dict[str, int]:
    """Bytes by purpose. Those of the libraries are measured, the others are computed."""
    from kerastickets.data.streamed_array import is_streamed
    from kerastickets.foundations.structure import leaves
    from kerastickets.training.windows import WINDOW

    model = prepared.trainer.model
    splits = (prepared.data.train, prepared.data.validation, prepared.data.test)
    arrays = [array for split in splits for array in leaves(split) if array is not None]
    weights = sum(array.nbytes for array in prepared.init.values())
    trained = sum(prepared.method.trains(level, prepared.levels) for level in range(prepared.levels + 1))
    return {
        "libraries": libraries,
        # Twice: the arrays themselves, and the tensors that stay on the device.
        "data": 2
        * sum(min(array.nbytes, WINDOW) if is_streamed(array) else array.nbytes for array in arrays),
        "weights": weights,
        "masks": sum(4 * mask.size for mask in prepared.masks.values()),
        "gradients": sum(_bytes(variable) for variable in model.trainable_variables),
        "optimizer": sum(_bytes(variable) for variable in model.optimizer.variables),
        # Initial weights, rewind points, the best weights so far, and the final weights of each trained level.
        "snapshots": weights
        * (2 + trained + len(prepared.method.snapshot_at) + bool(prepared.method.rewind_to.count)),
    }


def _bytes(variable: Any) -> int:
    return math.prod(variable.shape) * np.dtype(str(variable.value.dtype.as_numpy_dtype.__name__)).itemsize


def _resident() -> int:
    """The most memory this process has had, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _show(facts: Facts) -> None:
    levels = facts["levels"]
    rows = [(row["level"], row["kept"], percent(row["density"]), row["steps"] or None) for row in levels]
    say(table(("level", "kept", "density", "steps"), rows, left=0))
    say()
    known = [level for level in levels if level["layers"]]
    header = ["layer", "total", *(f"level {level['level']}" for level in known)]
    parts = zip(*(level["layers"] for level in known), strict=True)
    say(table(header, ([row[0]["key"], row[0]["total"], *(part["kept"] for part in row)] for row in parts)))
    if len(known) < len(levels):
        say("Scope global: how many weights each layer keeps after a cut depends on the scores.")
    say()
    runs = len(facts["seeds"])
    say(f"run      {facts['run']}" + (f" ({runs} seeds)" if runs > 1 else ""))
    say(f"steps    {facts['steps']}" + (f" per seed, {facts['steps'] * runs} in all" if runs > 1 else ""))
    say(
        f"time     about {duration(facts['seconds'])}, less where training stops early "
        f"({facts['step_seconds'] * 1000:.2f} ms per step, {number(facts['compile_seconds'])} s to compile)"
    )
    memory = facts["memory"]
    parts_of = ", ".join(f"{name} {size(value)}" for name, value in memory.items() if name != "total")
    say(f"memory   {size(memory['total'])} plus activations ({parts_of})")


def duration(seconds: float) -> str:
    """Seconds in units that people use.

    Example:
        >>> duration(75), duration(3720), duration(2.34)
        ('1 min 15 s', '1 h 2 min', '2.3 s')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def size(count: float) -> str:
    """Bytes in units that people use, in powers of 1024.

    Example:
        >>> size(512), size(2048), size(3 * 2**20)
        ('512 B', '2 KiB', '3 MiB')
    """
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
