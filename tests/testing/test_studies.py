"""What the contract suite refuses of a study."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from kerastickets.studies.study import Job
from kerastickets.testing import check_study
from tests.helpers import tinystudy


def changed(**changes):
    own = {name: getattr(tinystudy, name) for name in vars(tinystudy) if not name.startswith("_")}
    return SimpleNamespace(**own | changes)


def test_a_study_that_keeps_the_contract_passes():
    check_study(tinystudy)


@dataclass(frozen=True)
class Other:
    seeds: int = 1


COUNT = iter(range(10))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"TITLE": None}, "A study has `TITLE`"),
        ({"notes": None}, "A study has a function `notes`"),
        ({"BUDGETS": {}}, "`smoke` one of them"),
        ({"BUDGETS": {"smoke": tinystudy.Budget(), "cpu": Other()}}, "of one dataclass"),
        ({"BUDGETS": {"smoke": 3}}, "a frozen dataclass"),
        ({"jobs": lambda budget, results: []}, "has jobs"),
        ({"jobs": lambda budget, results: ["prune"]}, "must return only jobs"),
        ({"jobs": lambda budget, results: [Job("prune", {"seed": next(COUNT)})]}, "the same each time"),
        ({"jobs": lambda budget, results: [Job("bake", {})]}, "A job's verb is one of prune, train"),
        ({"jobs": lambda budget, results: [Job("prune", {"shape": (1, 2)})]}, "lists, and text for keys"),
    ],
)
def test_what_is_refused(changes, message):
    with pytest.raises(AssertionError, match=message):
        check_study(changed(**changes))
