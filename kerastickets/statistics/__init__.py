"""Statistics that compare runs: paired tests, adjusted p values, mask overlap by chance, learning speed.

All functions here are pure functions of plain numbers.
"""

from typing import TYPE_CHECKING

from kerastickets.foundations.lazy import offered

if TYPE_CHECKING:
    from kerastickets.statistics.curve_fitting import (
        LearningCurve as LearningCurve,
        fit_learning_curve as fit_learning_curve,
        learning_curve as learning_curve,
    )
    from kerastickets.statistics.mask_overlap import (
        RandomOverlap as RandomOverlap,
        random_intersection as random_intersection,
        random_overlap as random_overlap,
    )
    from kerastickets.statistics.paired_tests import (
        PairedTest as PairedTest,
        Summary as Summary,
        holm as holm,
        paired as paired,
        summary as summary,
    )

__getattr__, __dir__, __all__ = offered(__name__)
