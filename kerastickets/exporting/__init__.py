"""Export a trained ticket to a format that other programs run, and verify the export in a separate process."""

from typing import TYPE_CHECKING

from kerastickets.foundations.lazy import offered

if TYPE_CHECKING:
    from kerastickets.exporting.protocol import Exporter as Exporter
    from kerastickets.exporting.report import Exported as Exported
    from kerastickets.exporting.write import export as export

__getattr__, __dir__, __all__ = offered(__name__)
