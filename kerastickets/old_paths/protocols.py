"""Moved to `kerastickets.plugin`."""

from kerastickets.exporting.protocol import Exporter as Exporter
from kerastickets.old_paths import moved
from kerastickets.pruning.scoring import Criterion as Criterion
from kerastickets.structure.analysis import Analyzer as Analyzer
from kerastickets.tickets.operation import Operation as Operation
from kerastickets.transferring.protocol import Phase as Phase, Transfer as Transfer

moved(__name__, "kerastickets.plugin")
