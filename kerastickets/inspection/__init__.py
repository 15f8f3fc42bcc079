"""Look at a model before it is pruned: what will work, and what will not and why."""

from typing import TYPE_CHECKING

from kerastickets.foundations.lazy import offered

if TYPE_CHECKING:
    from kerastickets.inspection.findings import (
        ExportFinding as ExportFinding,
        Inspection as Inspection,
        WeightFinding as WeightFinding,
    )
    from kerastickets.inspection.inspect_model import inspect as inspect

__getattr__, __dir__, __all__ = offered(__name__)
