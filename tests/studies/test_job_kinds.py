"""What jobs do: each verb gives what its function gives, once, and a job that was cut off goes on."""

import json
from dataclasses import dataclass

import pytest

from kerastickets import Ticket, evaluate, registry, train
from kerastickets.errors import RecipeError
from kerastickets.pruning.prune_model import prune
from kerastickets.studies import job_kinds as verbs
from kerastickets.studies.job_kinds import do
from kerastickets.studies.study import Cache, Job
from kerastickets.training.trainer_cache import TrainerCache
from kerastickets_plugins.analyzers.weights import Weights
from tests.helpers.tinystudy import Budget, found, merged, trained

BUDGET = Budget()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    cache, trainers = Cache(tmp_path_factory.mktemp("cache")), TrainerCache()
    for job in (found(BUDGET, 0), merged(BUDGET, 0), trained(BUDGET, 0)):
        do(job, cache, trainers)
    return cache


def test_prune_gives_the_tickets_of_a_run(cache):
    job = found(BUDGET, 0)
    run = prune("mlp:8", "digits", seed=0, watch=["test"], **job.options["dials"])
    assert [cache.ticket(job.ticket(f"level-0{n}")) for n in range(3)] == list(run.tickets)
    facts = cache.facts(job)
    assert [level["kept"] for level in facts["levels"]] == [592, 296, 148]
    assert facts["levels"][2]["metrics"] == run.tickets[2].provenance["metrics"]
    assert [row["test_accuracy"] for row in facts["rows"]] == [row["test_accuracy"] for row in run.rows]
    assert facts["seconds"] >= 0


def test_apply_and_train_work_on_the_tickets_of_other_jobs(cache):
    union = cache.ticket(merged(BUDGET, 0).ticket())
    assert union.masks["dense/kernel"].sum() == 256  # the second level's mask is part of the first's
    again = train(union, seed=0, train="2ep", jit="off")
    assert cache.ticket(trained(BUDGET, 0).ticket()) == again.ticket
    facts = cache.facts(trained(BUDGET, 0))
    assert facts["metrics"] == dict(again.metrics)
    assert facts["evaluation"]["accuracy"] == evaluate(again.ticket)["accuracy"]
    assert facts["density"] == 0.5


def test_evaluate_measures_a_ticket(cache):
    job = Job("evaluate", {"split": "validation"}, (found(BUDGET, 0).ticket("level-02"),))
    facts = do(job, cache, TrainerCache())
    expected = evaluate(cache.file(job.inputs[0]), split="validation")
    assert facts["evaluation"]["accuracy"] == expected["accuracy"]
    bins = [row for row in expected["calibration"]["bins"] if row["count"]]
    mean = sum(row["count"] * row["confidence"] for row in bins) / sum(row["count"] for row in bins)
    assert facts["evaluation"]["confidence"] == mean


def analysis(**options):
    inputs = tuple(found(BUDGET, 0).ticket(name) for name in ("level-00", "level-02"))
    return Job("analyze", {"analyzers": {"weights": {"bins": 3}}, **options}, inputs)


def test_analyze_asks_every_analyzer_of_one_ticket_at_a_time(cache):
    told = []
    facts = do(analysis(), cache, TrainerCache(), lambda kind, content: told.append(content))
    tickets = [cache.ticket(one) for one in analysis().inputs]
    expected = [{"weights": json.loads(json.dumps(Weights(bins=3)(ticket)))} for ticket in tickets]
    assert facts["analyses"] == expected
    assert [one["weights"]["totals"][0]["kept"] for one in facts["analyses"]] == [592, 148]
    assert told == [0.5, 1.0]


@dataclass(frozen=True)
class Asked:
    """An analyzer that says what it is called with."""

    needs_data: bool = False

    def __call__(self, *tickets, data=None):
        return {"tickets": len(tickets), "data": data and data.name}


@pytest.mark.parametrize(
    ("needs", "options", "name"),
    [(True, {}, "digits"), (True, {"dataset": "moons-circles"}, "moons-circles"), (False, {}, None)],
)
def test_analyze_hands_over_data_where_they_are_needed(cache, monkeypatch, needs, options, name):
    real = registry.create
    fake = {"any": Asked}
    monkeypatch.setattr(
        registry,
        "create",
        lambda group, name, own={}: fake[name](**own) if name in fake else real(group, name, own),
    )
    if not needs:
        monkeypatch.setattr(TrainerCache, "data", None)
    job = analysis(analyzers={"any": {"needs_data": needs}}, **options)
    ask = verbs.VERBS["analyze"]
    facts = ask(
        job.options, [cache.ticket(one) for one in job.inputs], None, TrainerCache(), lambda *told: None
    )
    assert facts == {"analyses": [{"any": {"tickets": 1, "data": name}}] * 2}


def test_a_finished_job_is_not_done_again(cache, monkeypatch):
    monkeypatch.setattr("kerastickets.studies.job_kinds.VERBS", {"prune": None})
    assert do(found(BUDGET, 0), cache, TrainerCache()) == cache.facts(found(BUDGET, 0))


def test_a_job_that_was_cut_off_continues_with_its_unfinished_level(tmp_path):
    cache, told = Cache(tmp_path), []

    def emit(kind, content):
        told.append(content)
        if len(told) == 2:
            raise KeyboardInterrupt

    job = found(BUDGET, 1)
    with pytest.raises(KeyboardInterrupt):
        do(job, cache, TrainerCache(), emit)
    assert cache.facts(job) is None
    first = Ticket.load(cache.place(job) / "level-00.safetensors")
    written = (cache.place(job) / "level-00.safetensors").stat().st_mtime_ns
    facts = do(job, cache, TrainerCache(), lambda kind, content: told.append(content))
    assert told == [1 / 3, 2 / 3, 1 / 3, 2 / 3, 1.0]
    assert (cache.place(job) / "level-00.safetensors").stat().st_mtime_ns == written
    whole = prune("mlp:8", "digits", seed=1, **job.options["dials"])
    assert first == whole.tickets[0]
    assert facts["levels"][2]["digest"] == whole.tickets[2].digest


def test_an_unknown_verb_is_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"No verb named 'prun'. Did you mean 'prune'"):
        do(Job("prun", {}), Cache(tmp_path), TrainerCache())


@pytest.mark.slow
def test_a_group_of_seeds_trains_together_to_the_bits_of_each_alone(tmp_path):
    options = dict(found(BUDGET, 0).options)
    del options["seed"]
    cache, told = Cache(tmp_path), []
    group = Job("prune", options | {"seeds": [0, 1]})
    facts = do(group, cache, TrainerCache(), lambda kind, content: told.append(content))
    for seed in (0, 1):
        run = prune("mlp:8", "digits", seed=seed, watch=["test"], **options["dials"])
        digests = [level["digest"] for level in facts["runs"][str(seed)]["levels"]]
        assert digests == [ticket.digest for ticket in run.tickets]
        assert cache.ticket(group.ticket(f"seed-{seed}/level-02")) == run.tickets[2]
    assert told == [n / 6 for n in range(1, 7)]
    # Other members are another job: what is trained together is part of what a job is found by.
    assert Job("prune", options | {"seeds": [0]}) != group
