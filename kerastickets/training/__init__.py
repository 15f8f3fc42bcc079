"""Train or measure one ticket: recipe, compiled trainer, and the functions `train`, `train_many` and `evaluate`."""

from typing import TYPE_CHECKING

from kerastickets.foundations.lazy import offered

if TYPE_CHECKING:
    from kerastickets.training.checkpoint import Checkpoint as Checkpoint
    from kerastickets.training.evaluate_ticket import evaluate as evaluate
    from kerastickets.training.recipe import Recipe as Recipe
    from kerastickets.training.train_ticket import (
        Trained as Trained,
        control as control,
        train as train,
    )
    from kerastickets.training.train_tickets import train_many as train_many
    from kerastickets.training.trainer import Trainer as Trainer
    from kerastickets.training.trainer_cache import TrainerCache as TrainerCache

__getattr__, __dir__, __all__ = offered(__name__)
