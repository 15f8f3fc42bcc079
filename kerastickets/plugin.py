"""The one module that authors of plugins need to import.

It offers the types that a plugin receives and returns, and helpers that keep a plugin short. A plugin is a
frozen dataclass that is registered as an entry point. Its fields are its options. The Protocols `Criterion`,
`Operation`, `Transfer`, `Analyzer`, `Exporter` and `Study` say what each kind of plugin must do, and
`kerastickets.testing` checks it. Names here change under the same rule as the ticket file: only with a new
version, and after a warning.

Importing this module imports nothing heavy. Names load on first use.
"""

from typing import TYPE_CHECKING

from kerastickets.foundations.lazy import offered

if TYPE_CHECKING:
    from kerastickets.cutting.cut_scores import (
        Granularity as Granularity,
        apportion as apportion,
        compare as compare,
        cut as cut,
    )
    from kerastickets.cutting.groups import (
        Groups as Groups,
        families as families,
        last_axes as last_axes,
        spread_over_units as spread_over_units,
        unit_sums as unit_sums,
    )
    from kerastickets.data.arrays import (
        blocks as blocks,
        check_examples_fit as check_examples_fit,
        moments as moments,
        shuffled as shuffled,
        standardise as standardise,
    )
    from kerastickets.data.dataset import (
        BINARY_CROSS_ENTROPY as BINARY_CROSS_ENTROPY,
        CROSS_ENTROPY as CROSS_ENTROPY,
        Data as Data,
        Split as Split,
        Task as Task,
    )
    from kerastickets.data.joined import (
        data_of_tasks as data_of_tasks,
        side_by_side as side_by_side,
    )
    from kerastickets.data.metrics import (
        LogitAccuracy as LogitAccuracy,
    )
    from kerastickets.data.parts import (
        class_splits as class_splits,
        tenths as tenths,
    )
    from kerastickets.data.spec import data_of as data_of
    from kerastickets.data.streamed_array import (
        Stream as Stream,
        StreamedArray as StreamedArray,
        to_stream as to_stream,
    )
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
    from kerastickets.exporting.protocol import (
        Exporter as Exporter,
    )
    from kerastickets.exporting.tolerance import compute_dtypes as compute_dtypes
    from kerastickets.figures.chart import (
        Chart as Chart,
        Figure as Figure,
        Graph as Graph,
        Heatmap as Heatmap,
        Node as Node,
        Series as Series,
    )
    from kerastickets.figures.network import (
        Edge as Edge,
        Network as Network,
        Neuron as Neuron,
    )
    from kerastickets.figures.table import (
        Column as Column,
        Table as Table,
    )
    from kerastickets.foundations.duration import (
        Duration as Duration,
    )
    from kerastickets.foundations.memory import (
        check_memory as check_memory,
        fits_memory as fits_memory,
    )
    from kerastickets.foundations.reading import (
        is_regular as is_regular,
        open_regular as open_regular,
        reason as reason,
        shown_name as shown_name,
        user_path as user_path,
    )
    from kerastickets.foundations.rows import Row as Row
    from kerastickets.foundations.strangers import read_bytes as read_bytes
    from kerastickets.foundations.structure import (
        is_nested as is_nested,
        leaves as leaves,
        map_leaves as map_leaves,
    )
    from kerastickets.foundations.tree import (
        Tree as Tree,
        density as density,
        frozen as frozen,
        generator as generator,
        integer as integer,
        kept as kept,
        masked as masked,
        sealed as sealed,
        total as total,
    )
    from kerastickets.models.architecture import (
        architecture as architecture,
        rebuild as rebuild,
    )
    from kerastickets.models.initial_weights import (
        draw_weights as draw_weights,
    )
    from kerastickets.models.label_fit import (
        arranged as arranged,
        input_names as input_names,
        input_specs as input_specs,
    )
    from kerastickets.models.normalization import (
        LocalResponseNormalization as LocalResponseNormalization,
    )
    from kerastickets.models.objective import (
        gives_probabilities as gives_probabilities,
    )
    from kerastickets.models.prunable_weights import (
        matches as matches,
    )
    from kerastickets.models.trained_model import (
        trained_model as trained_model,
    )
    from kerastickets.models.variables import (
        assign as assign,
        snapshot as snapshot,
        variables as variables,
    )
    from kerastickets.pruning.prune_model import (
        prune as prune,
    )
    from kerastickets.pruning.scoring import (
        Batches as Batches,
        Criterion as Criterion,
        Scores as Scores,
        Scoring as Scoring,
    )
    from kerastickets.pruning.widening import (
        Extendable as Extendable,
        extend_network as extend_network,
    )
    from kerastickets.registry import (
        create as create,
    )
    from kerastickets.statistics import (
        paired as paired,
        summary as summary,
    )
    from kerastickets.statistics.curve_fitting import (
        fit_learning_curve as fit_learning_curve,
        learning_curve as learning_curve,
    )
    from kerastickets.statistics.mask_overlap import (
        random_intersection as random_intersection,
        random_overlap as random_overlap,
    )
    from kerastickets.structure.all_alive import (
        alive as alive,
    )
    from kerastickets.structure.analysis import (
        Analyzer as Analyzer,
        analyze as analyze,
    )
    from kerastickets.structure.networkx_graph import (
        Part as Part,
    )
    from kerastickets.structure.neuron_graph import (
        NeuronGraph as NeuronGraph,
    )
    from kerastickets.structure.node_link import (
        MOST_EDGES as MOST_EDGES,
        network_figure as network_figure,
        node_link as node_link,
    )
    from kerastickets.structure.reachability import (
        Structure as Structure,
    )
    from kerastickets.structure.task_separation import (
        Counts as Counts,
        separation as separation,
        separation_degree as separation_degree,
    )
    from kerastickets.structure.tracing import (
        trace as trace,
    )
    from kerastickets.studies.comparisons import (
        contrast as contrast,
        contrast_columns as contrast_columns,
        corrected as corrected,
        percent as percent,
    )
    from kerastickets.studies.study import (
        Input as Input,
        Job as Job,
        Results as Results,
        Study as Study,
        reduced as reduced,
    )
    from kerastickets.tickets.file_header import (
        canonical as canonical,
    )
    from kerastickets.tickets.operation import (
        Operation as Operation,
        Takes as Takes,
        check_count as check_count,
        check_tickets as check_tickets,
        coverage as coverage,
        derive as derive,
        plugin_name as plugin_name,
        untrained as untrained,
    )
    from kerastickets.tickets.ticket import (
        Ticket as Ticket,
    )
    from kerastickets.tickets.winning import (
        TOLERANCE as TOLERANCE,
        is_winning as is_winning,
    )
    from kerastickets.training.train_ticket import (
        control as control,
    )
    from kerastickets.transferring.output_layer import (
        Head as Head,
        HeadDensity as HeadDensity,
        carried as carried,
        head_keys as head_keys,
        new_head as new_head,
    )
    from kerastickets.transferring.protocol import (
        Phase as Phase,
        Transfer as Transfer,
    )
    from kerastickets.transferring.transfer_ticket import (
        main_duration as main_duration,
        needed_snapshot as needed_snapshot,
        phase_durations as phase_durations,
    )

__getattr__, __dir__, __all__ = offered(__name__)
