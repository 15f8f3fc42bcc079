"""Write reports of runs and studies as self-contained HTML pages that need no network."""

from typing import TYPE_CHECKING

from kerastickets.foundations.lazy import offered

if TYPE_CHECKING:
    from kerastickets.reports.html import (
        Section as Section,
        page as page,
    )
    from kerastickets.reports.write import report as report

__getattr__, __dir__, __all__ = offered(__name__)
