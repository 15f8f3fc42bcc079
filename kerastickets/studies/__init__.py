"""Run studies: compute each job once, store its result under the job's hash, and make tables and figures."""

from typing import TYPE_CHECKING

from kerastickets.foundations.lazy import offered

if TYPE_CHECKING:
    from kerastickets.studies.reproduce import Reproduction as Reproduction
    from kerastickets.studies.study import (
        Cache as Cache,
        Input as Input,
        Job as Job,
        Results as Results,
        Study as Study,
    )

__getattr__, __dir__, __all__ = offered(__name__)
