"""What `inspect` finds out about a model."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class WeightFinding:
    """One variable of a model.

    Args:
        key: its key.
        shape: its shape.
        count: the number of its entries.
        zeros: how many of them are exactly zero.
        pruned: whether `prune` and `sparsify` prune it by default.
        masked: whether it has a mask.
        why: why, or why not.
        units: how many output channels pruning by channel may remove; None if it leaves this weight alone.
    """

    key: str
    shape: tuple[int, ...]
    count: int
    zeros: int
    pruned: bool
    masked: bool
    why: str
    units: int | None = None


@dataclass(frozen=True)
class ExportFinding:
    """One export format.

    Args:
        format: the registered name of the exporter.
        works: whether the export was written, read back and equal; None if that was not tried.
        why: why it does not work, or was not tried; empty if it works.
    """

    format: str
    works: bool | None
    why: str = ""


@dataclass(frozen=True)
class Inspection:
    """What `inspect` found out.

    Args:
        model: the model's name or spec.
        kind: the name of the model's class.
        rebuilds: whether a ticket alone can build the model again, to the same outputs.
        rebuilds_why: why not; empty if it can.
        needs_function: whether the model comes from a function, which later commands can call again (`--model`).
        custom: the classes of the model that Keras does not define, as `module:name`. Files and tickets need them.
        weights: every variable of the model, in the model's order.
        units_why: why pruning by channel cannot tell the model's units; empty if it can.
        data: the name of the data set; None if none was given.
        fits: whether inputs, labels and loss fit the model; None if there is no data set.
        fits_why: why not.
        loss: the loss of training, as JSON; None if neither the model nor the data set has one.
        xla: whether XLA compiles the training with `jit=auto`.
        xla_why: why not.
        first_step: measured numbers of training: `examples`, `compile_seconds`, `step_seconds`, and `memory_bytes`,
            by which the process grew (None where the system does not say); None if it was not measured.
        first_step_why: why it was not measured.
        exports: each export format.
    """

    model: str
    kind: str
    rebuilds: bool
    rebuilds_why: str
    needs_function: bool
    custom: tuple[str, ...]
    weights: tuple[WeightFinding, ...]
    units_why: str
    data: str | None
    fits: bool | None
    fits_why: str
    loss: Any
    xla: bool
    xla_why: str
    first_step: Mapping[str, Any] | None
    first_step_why: str
    exports: tuple[ExportFinding, ...]

    @property
    def prunable(self) -> int:
        """The number of weights that are pruned by default."""
        return sum(weight.count for weight in self.weights if weight.pruned)

    @property
    def unmasked_zeros(self) -> int:
        """How many prunable weights are zero without a mask, as after a plain save of a pruned model.

        Training fills them, unless `sparsify(model, "zeros")` makes masks of them. Weights that are zero everywhere do
        not count.
        """
        own = (weight for weight in self.weights if weight.pruned and not weight.masked)
        return sum(weight.zeros for weight in own if weight.zeros < weight.count)

    @property
    def accepted(self) -> bool:
        """Whether `prune` accepts the model, and the data set if there is one."""
        builds = self.rebuilds or self.needs_function
        return builds and self.fits is not False and self.prunable > 0 and not self._fails

    @property
    def _fails(self) -> bool:
        """Whether a first step was tried on the data set, and failed."""
        return self.data is not None and self.first_step is None

    def facts(self) -> dict[str, Any]:
        """Everything as JSON, with `accepted`, and the counts `prunable`, `total` and `unmasked_zeros`."""
        told = asdict(self)
        for weight in told["weights"]:
            weight["shape"] = list(weight["shape"])
        told |= {name: list(told[name]) for name in ("custom", "weights", "exports")}
        total = sum(weight.count for weight in self.weights)
        counts = {"prunable": self.prunable, "total": total, "unmasked_zeros": self.unmasked_zeros}
        return {"accepted": self.accepted, **counts} | told
