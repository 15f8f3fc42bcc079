"""Data sets: arrays with their loss, metrics and tasks, and the specs that name them."""

from typing import TYPE_CHECKING

from kerastickets.foundations.lazy import offered

if TYPE_CHECKING:
    from kerastickets.data.arrays import moments as moments, shuffled as shuffled, standardise as standardise
    from kerastickets.data.dataset import (
        BINARY_CROSS_ENTROPY as BINARY_CROSS_ENTROPY,
        CROSS_ENTROPY as CROSS_ENTROPY,
        Data as Data,
        Split as Split,
        Task as Task,
        task_cross_entropy as task_cross_entropy,
    )
    from kerastickets.data.joined import join_data as join_data
    from kerastickets.data.own_arrays import data_from as data_from
    from kerastickets.data.parts import (
        class_splits as class_splits,
        of_classes as of_classes,
        tenths as tenths,
        train_part as train_part,
    )
    from kerastickets.data.spec import (
        data_of as data_of,
        find_data as find_data,
    )

__getattr__, __dir__, __all__ = offered(__name__)
