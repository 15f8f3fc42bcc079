"""The transfer study's dials, and what its budgets set them to."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

#: `main` is the paper; the others are what it leaves open.
PARTS = ("main", "datasets", "classes", "late", "taylor", "small", "classical", "biases")

_DIGITS = tuple("0123456789")
#: The classes of the data sets that can be parted, as their publishers number them.
CLASSES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "cifar10": (
            *("airplane", "automobile", "bird", "cat", "deer"),
            *("dog", "frog", "horse", "ship", "truck"),
        ),
        "digits": _DIGITS,
    }
)


@dataclass(frozen=True)
class Budget:
    """The study's dials; `widths` and `splits` have an entry a net.

    Args:
        parts: `main` (tables II and III), `datasets` (from one data set to another and back), `classes` (targets of
            fewer classes), `late` (weights of a later step), `taylor` (that criterion), `small` (few training
            examples), `classical` (fine-tuning, frozen layers, small dense nets), `biases` (pruned, too).
        dataset: whose classes are parted: cifar10, digits.
        partition: `random` halves, another each time, or the first and the second half each time (`ordered`).
        widths: filters of both convolutions; the paper's net has 64.
        splits: how many partitions each such net is trained on.
        sparsities: shares of each layer that are pruned, in part `main`.
        asked: the same in the other parts, which have the first of `widths`.
        train: how long a net trains, on the source and on the target; the paper does not say.
        eval_every: iterations between evaluations.
        batch: examples a step.
        lr: the learning rate of plain SGD.
        late: the step on the source whose weights late resetting goes back to.
        few: classes of a target in part `classes`: the first of the other half.
        sizes: training examples of the target in part `small`.
        small_batch: examples a step there.
        images: the two data sets of part `datasets`.
        images_model: the net there.
        images_train: how long it trains.
        repeats: seeds there.
    """

    parts: tuple[str, ...] = PARTS
    dataset: str = "cifar10"
    partition: Literal["random", "ordered"] = "random"
    widths: tuple[int, ...] = (64,)
    splits: tuple[int, ...] = (10,)
    sparsities: tuple[float, ...] = (0.25, 0.5, 0.75, 0.9)
    asked: tuple[float, ...] = (0.25, 0.5, 0.75, 0.9)
    train: str = "10000it"
    eval_every: str = "500it"
    batch: int = 256
    lr: float = 0.01
    late: str = "500it"
    few: int = 3
    sizes: tuple[int, ...] = (100, 500, 2500)
    small_batch: int = 32
    images: tuple[str, ...] = ("mnist", "fashion-mnist")
    images_model: str = "lenet-300-100"
    images_train: str = "20ep"
    repeats: int = 10

    def __post_init__(self) -> None:
        unknown = [part for part in self.parts if part not in PARTS]
        if unknown or not self.parts:
            raise ValueError(f"`parts` must be among {', '.join(PARTS)}. Received: {self.parts}")
        if self.dataset not in CLASSES:
            raise ValueError(f"`dataset` must be one of {', '.join(CLASSES)}. Received: {self.dataset}")
        if not self.widths or len(self.widths) != len(self.splits):
            raise ValueError(f"`splits` must have one entry a width. Received: {self.splits}, {self.widths}")
        if len(self.images) != 2:
            raise ValueError(f"`images` must be two data sets. Received: {self.images}")
        shares = (*self.sparsities, *self.asked)
        if not self.sparsities or not self.asked or not all(0 < share < 1 for share in shares):
            raise ValueError(f"Sparsities must be in (0, 1). Received: {self.sparsities}, {self.asked}")
        if not 2 <= self.few < len(CLASSES[self.dataset]) // 2:
            raise ValueError(f"`few` must be at least 2, and less than half. Received: {self.few}")


BUDGETS: Mapping[str, Budget] = MappingProxyType(
    {
        "smoke": Budget(
            parts=("main", "late"),
            dataset="digits",
            partition="ordered",
            widths=(8,),
            splits=(3,),
            sparsities=(0.5, 0.9),
            asked=(0.5,),
            train="240it",
            eval_every="80it",
            batch=64,
            lr=0.1,
            late="20it",
            sizes=(50, 200),
            images=("digits[0,1,2]", "digits[3,4,5]"),
            images_model="mlp:16",
            images_train="5ep",
            repeats=3,
        ),
        "cpu": Budget(
            parts=("main", "datasets", "classes", "late", "taylor", "small", "classical"),
            widths=(16, 64),
            splits=(3, 1),
            sparsities=(0.5, 0.9),
            asked=(0.9,),
            train="1000it",
            eval_every="200it",
            late="100it",
            sizes=(100, 1000),
            images_train="5ep",
            repeats=3,
        ),
        "paper": Budget(),
    }
)
