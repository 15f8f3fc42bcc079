"""The pruning loop (train, score, cut, rewind), its settings, and `prune`, `cut_model` and `winning_ticket`."""

from typing import TYPE_CHECKING

from kerastickets.foundations.lazy import offered

if TYPE_CHECKING:
    from kerastickets.pruning.method import Method as Method
    from kerastickets.pruning.one_cut import cut_model as cut_model
    from kerastickets.pruning.one_shot import winning_ticket as winning_ticket
    from kerastickets.pruning.prune_model import prune as prune
    from kerastickets.pruning.schedule import (
        Schedule as Schedule,
        plan as plan,
    )
    from kerastickets.pruning.scoring import (
        Criterion as Criterion,
        Scores as Scores,
        Scoring as Scoring,
    )
    from kerastickets.pruning.stop_rules import StopRule as StopRule
    from kerastickets.pruning.widening import extend_network as extend_network

__getattr__, __dir__, __all__ = offered(__name__)
