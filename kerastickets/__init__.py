"""kerastickets: find, combine, transfer, analyse and ship lottery tickets with Keras 3 and TensorFlow.

Importing it imports nothing heavy; names load on first use, and those that work on tickets alone never
import TensorFlow.
"""

from typing import TYPE_CHECKING

from kerastickets.foundations.lazy import offered

if TYPE_CHECKING:
    from kerastickets import (
        callbacks as callbacks,
        layers as layers,
        registry as registry,
        testing as testing,
    )
    from kerastickets.compaction.compact_model import compact as compact
    from kerastickets.cutting.cut_scores import (
        compare as compare,
        cut as cut,
    )
    from kerastickets.data.dataset import (
        CROSS_ENTROPY as CROSS_ENTROPY,
        Data as Data,
        Task as Task,
        task_cross_entropy as task_cross_entropy,
    )
    from kerastickets.data.joined import join_data as join_data
    from kerastickets.data.own_arrays import data_from as data_from
    from kerastickets.errors import (
        AlignError as AlignError,
        DataError as DataError,
        ExportError as ExportError,
        KerasTicketsError as KerasTicketsError,
        LayerCollapseError as LayerCollapseError,
        PluginError as PluginError,
        RecipeError as RecipeError,
        TicketError as TicketError,
    )
    from kerastickets.exporting.write import export as export
    from kerastickets.foundations.duration import Duration as Duration
    from kerastickets.foundations.tree import Tree as Tree
    from kerastickets.inspection.findings import Inspection as Inspection
    from kerastickets.inspection.inspect_model import inspect as inspect
    from kerastickets.models.alignment import align as align
    from kerastickets.models.masking import (
        guard as guard,
        masks_of as masks_of,
        sparsify as sparsify,
        strip as strip,
    )
    from kerastickets.models.quantised_zeros import lost_zeros as lost_zeros
    from kerastickets.pruning.one_cut import cut_model as cut_model
    from kerastickets.pruning.one_shot import winning_ticket as winning_ticket
    from kerastickets.pruning.prune_model import prune as prune
    from kerastickets.pruning.schedule import (
        Schedule as Schedule,
        plan as plan,
    )
    from kerastickets.pruning.scoring import Scoring as Scoring
    from kerastickets.pruning.widening import extend_network as extend_network
    from kerastickets.runs.run import (
        Level as Level,
        Run as Run,
    )
    from kerastickets.shrinking.shrink_model import shrink as shrink
    from kerastickets.statistics.curve_fitting import fit_learning_curve as fit_learning_curve
    from kerastickets.structure.analysis import analyze as analyze
    from kerastickets.structure.networkx_graph import (
        save_graphml as save_graphml,
        to_networkx as to_networkx,
    )
    from kerastickets.tickets.ticket import Ticket as Ticket
    from kerastickets.tickets.winning import is_winning as is_winning
    from kerastickets.training.checkpoint import Checkpoint as Checkpoint
    from kerastickets.training.evaluate_ticket import evaluate as evaluate
    from kerastickets.training.train_ticket import train as train
    from kerastickets.training.train_tickets import train_many as train_many
    from kerastickets.training.trainer_cache import TrainerCache as TrainerCache
    from kerastickets.transferring.transfer_ticket import transfer as transfer

__getattr__, __dir__, __all__ = offered(__name__)
__path__.append(f"{__path__[0]}/old_paths")  # see `kerastickets.old_paths`
