"""The separation study's dials, and what its budgets set them to."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

PARTS = ("extension", "size", "rate", "mnist-fashion", "maps")
#: By number of hidden layers: the base net's widths, and its levels of extension that the thesis leaves out.
BASES: Mapping[int, tuple[tuple[int, ...], int]] = MappingProxyType(
    {1: ((20,), 0), 2: ((8, 8), 0), 3: ((4, 4, 4), 2)}
)


@dataclass(frozen=True)
class Budget:
    """The study's dials; `extensions` and `seeds` have an entry a depth.

    Args:
        parts: `extension` (sections 4.2.1, 4.2.2, 4.2.4 to 4.2.6), `size` and `rate` (4.2.3), `mnist-fashion`
            (4.3.1), `maps` (4.3.2).
        layers: hidden layers of the nets that are extended: 1, 2, 3.
        extensions: the highest level of extension.
        seeds: how many seeds; they train together.
        every: levels of extension from one net to the next: 2 leaves every second out.
        widths: hidden widths of the part `size`; the part `rate` has the width 48.
        prunings: in the parts `size` and `rate`, at most so many, and as few as none.
        repeats: how many seeds these two parts have.
        train: the longest training on moons-circles.
        patience: epochs there without a lower validation loss before a training stops.
        criterion: what scores the weights; `magnitude` is the thesis's.
        rewind_to: the moment that weights go back to after a pruning.
        l1: adds so many times the sum of all |w| to the loss.
        images: how many seeds the part `mnist-fashion` has.
        images_train: the longest training on images.
        images_patience: epochs without a lower validation loss there.
        maps_patience: the same of the part `maps`.
        maps_batch: examples a step of the part `maps`.
        joined: train figure 4.26's own net; else its maps are those of the part `mnist-fashion`.
    """

    parts: tuple[str, ...] = PARTS
    layers: tuple[int, ...] = (2, 1, 3)
    extensions: tuple[int, ...] = (25, 16, 16)
    seeds: tuple[int, ...] = (4, 5, 5)
    every: int = 1
    widths: tuple[int, ...] = (31, 38, 48, 57)
    prunings: int = 10
    repeats: int = 4
    train: str = "3000ep"
    patience: int = 30
    criterion: str = "magnitude"
    rewind_to: str = "0it"
    l1: float = 0.0
    images: int = 3
    images_train: str = "1000ep"
    images_patience: int = 10
    maps_patience: int = 10
    maps_batch: int = 128
    joined: bool = True

    def __post_init__(self) -> None:
        for name in ("extensions", "seeds"):
            if len(getattr(self, name)) != len(self.layers):
                raise ValueError(f"`{name}` must have one entry a depth. Received: {getattr(self, name)}")
        for name, allowed in (("parts", PARTS), ("layers", tuple(BASES))):
            unknown = [value for value in getattr(self, name) if value not in allowed]
            if unknown or not getattr(self, name):
                said = ", ".join(map(str, allowed))
                raise ValueError(f"`{name}` must be among {said}. Received: {getattr(self, name)}")
        counts = (*self.seeds, self.every, self.repeats, self.images, *self.widths)
        if min(counts) < 1 or min(*self.extensions, self.prunings) < 0:
            raise ValueError("Seeds, widths and `every` must be at least 1, and levels at least 0.")


BUDGETS: Mapping[str, Budget] = MappingProxyType(
    {
        "smoke": Budget(
            parts=("extension", "size", "rate"),
            layers=(2, 1),
            extensions=(8, 0),
            seeds=(2, 2),
            every=8,
            widths=(48,),
            prunings=1,
            repeats=2,
            train="30ep",
        ),
        "cpu": Budget(
            extensions=(14, 12, 12),
            seeds=(4, 3, 3),
            images=1,
            maps_patience=5,
            maps_batch=512,
            joined=False,
        ),
        "paper": Budget(),
    }
)
