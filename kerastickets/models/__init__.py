"""Work with one live Keras model: name its variables, mask it, rebuild it and draw its initial weights."""

from typing import TYPE_CHECKING

from kerastickets.foundations.lazy import offered

if TYPE_CHECKING:
    from kerastickets.models.alignment import align as align
    from kerastickets.models.masking import (
        masks_of as masks_of,
        sparsify as sparsify,
        strip as strip,
    )
    from kerastickets.models.normalization import LocalResponseNormalization as LocalResponseNormalization

__getattr__, __dir__, __all__ = offered(__name__)
