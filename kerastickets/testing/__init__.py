"""Check that a plugin keeps the contract of its kind.

The library checks every plugin it registers in this way.

Use the same functions in the tests of your own plugins. Each `check_*` function returns None, or raises an
AssertionError that says what was expected and what was received.
"""

from typing import TYPE_CHECKING

from kerastickets.foundations.lazy import offered

if TYPE_CHECKING:
    from kerastickets.testing.analyzers import check_analyzer as check_analyzer
    from kerastickets.testing.criteria_and_operations import (
        check_criterion as check_criterion,
        check_operation as check_operation,
        check_transfer as check_transfer,
    )
    from kerastickets.testing.datasets_and_models import (
        check_dataset as check_dataset,
        check_model as check_model,
    )
    from kerastickets.testing.exporters import check_exporter as check_exporter
    from kerastickets.testing.studies import check_study as check_study
    from kerastickets.testing.toys import (
        toy_data as toy_data,
        toy_scoring as toy_scoring,
        toy_tasks as toy_tasks,
        toy_ticket as toy_ticket,
    )

__getattr__, __dir__, __all__ = offered(__name__)
