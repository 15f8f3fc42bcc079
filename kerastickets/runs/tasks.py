"""Store the tasks of a run's data set beside its tickets, so that a report needs no access to the data."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kerastickets.data.dataset import Data, Task
from kerastickets.errors import RecipeError
from kerastickets.foundations.files import write_text
from kerastickets.foundations.strangers import is_count, read_json
from kerastickets.runs.folder import RunFolder


@dataclass(frozen=True)
class RunTasks:
    """The facts about a data set that `separation` needs.

    Args:
        name: name of the data set.
        tasks: by task name, the inputs and outputs that belong to the task.
        input_shape: shape of one example.
        outputs: number of outputs of the model's last layer.
    """

    name: str
    tasks: Mapping[str, Task]
    input_shape: tuple[int, ...]
    outputs: int

    @classmethod
    def read(cls, folder: RunFolder) -> "RunTasks | None":
        """Read the tasks of a run; None if its data set has a single task, or the file is invalid."""
        try:
            facts = read_json(folder.tasks_file, "`kt prune`")
            tasks = {name: _task(task) for name, task in facts["tasks"].items()}
            shape = _counts(facts["input_shape"])
            found = cls(str(facts["name"]), tasks, shape, _counts([facts["outputs"]])[0])
        except (RecipeError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return found if found._fits() else None

    def _fits(self) -> bool:
        """Whether every task names inputs and outputs that the data set has."""
        inputs = math.prod(self.input_shape)
        return all(
            all(one < inputs for one in task.inputs) and all(one < self.outputs for one in task.outputs)
            for task in self.tasks.values()
        )


def keep_tasks(folder: RunFolder, data: Data) -> None:
    """Write the tasks of a data set to the folder of a run, if there are several and the file does not exist.

    Raises:
        RecipeError: the folder cannot be written.
    """
    if not data.tasks or folder.tasks_file.exists():
        return
    tasks = {
        name: {"inputs": list(task.inputs), "outputs": list(task.outputs), "loss": task.loss}
        for name, task in data.tasks.items()
    }
    facts = {
        "name": data.name,
        "input_shape": list(data.input_shape),
        "outputs": data.outputs,
        "tasks": tasks,
    }
    write_text(folder.tasks_file, json.dumps(facts, default=dict), folder.check_held)


def _task(facts: Mapping[str, Any]) -> Task:
    loss = facts["loss"]
    if not isinstance(loss, str | dict):
        raise ValueError("a loss of another kind")
    return Task(_counts(facts["inputs"]), _counts(facts["outputs"]), loss)


def _counts(values: Any) -> tuple[int, ...]:
    if not isinstance(values, list) or not all(map(is_count, values)):
        raise ValueError("no list of counts")
    return tuple(values)
