"""Store the tasks of a run's data set beside its tickets, so that a report needs no access to the data."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kerastickets.data.dataset import Data, Task
from kerastickets.foundations.files import write_text
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
            facts = json.loads(folder.tasks_file.read_text(encoding="utf-8"))
            tasks = {name: _task(task) for name, task in facts["tasks"].items()}
            return cls(
                str(facts["name"]), tasks, tuple(map(int, facts["input_shape"])), int(facts["outputs"])
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None


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
    write_text(folder.tasks_file, json.dumps(facts, default=dict))


def _task(facts: Mapping[str, Any]) -> Task:
    return Task(tuple(map(int, facts["inputs"])), tuple(map(int, facts["outputs"])), facts["loss"])
