"""Check that a study keeps its contract: its titles, functions, budgets and first jobs."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import is_dataclass, replace
from typing import Any

from kerastickets.studies.job_kinds import VERBS
from kerastickets.studies.study import Cache, Job, Results, in_order
from kerastickets.testing.expect import called, check_form, expect


def check_study(study: Any) -> None:
    """Check a study: its titles, its functions, its budgets, and the first jobs of each budget.

    Nothing is trained.

    Args:
        study: the study's module, or any object with the same attributes.

    Raises:
        AssertionError: says what was expected and what was received.

    Example:
        >>> from kerastickets import registry
        >>> check_study(registry.load("studies", "merging"))
    """
    for name in ("TITLE", "PAPER"):
        expect(isinstance(getattr(study, name, None), str), f"A study has `{name}`, a text", study)
    for name in ("jobs", "trials", "tables", "figures", "notes"):
        expect(callable(getattr(study, name, None)), f"A study has a function `{name}`", study)
    budgets = getattr(study, "BUDGETS", None)
    expect(
        isinstance(budgets, Mapping) and "smoke" in budgets,
        "`BUDGETS` maps names, `smoke` one of them",
        budgets,
    )
    assert isinstance(budgets, Mapping)
    kinds = {type(budget) for budget in budgets.values()}
    expect(len(kinds) == 1, "All budgets are of one dataclass", sorted(kind.__name__ for kind in kinds))
    for name, budget in budgets.items():
        expect(is_dataclass(budget), "A budget is a frozen dataclass", budget)
        check_form(budget)
        expect(replace(budget) == budget, f"The budget {name!r} allows a setting to be changed", budget)
        _check_jobs(study, name, budget)


def _check_jobs(study: Any, name: str, budget: Any) -> None:
    with tempfile.TemporaryDirectory() as empty:
        results = Results(Cache(empty))
        jobs = [
            called(f"`jobs` of the budget {name!r} gives jobs", lambda: in_order(study.jobs(budget, results)))
            for _ in range(2)
        ]
    expect(bool(jobs[0]), f"The budget {name!r} has jobs", jobs[0])
    expect(
        [job.hash for job in jobs[0]] == [job.hash for job in jobs[1]], "Jobs are the same each time", name
    )
    for job in jobs[0]:
        _check_job(job)


def _check_job(job: Job) -> None:
    expect(job.verb in VERBS, f"A job's verb is one of {', '.join(VERBS)}", job.verb)
    options = dict(job.options)
    back = called("A job's options are JSON", lambda: json.loads(json.dumps(options)))
    expect(back == options, "A job's options are as JSON gives them back: lists, and text for keys", options)
    expect(job.cost >= 0, "A job's cost is at least 0", job.cost)
