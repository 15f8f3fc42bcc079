import json

import numpy as np
import pytest

from kerastickets.cutting.cut_scores import ones
from kerastickets.errors import PluginError, RecipeError
from kerastickets.foundations.duration import Duration
from kerastickets.pruning.method import Method
from kerastickets.pruning.settings import MethodSettings
from kerastickets_plugins.criteria.magnitude import Magnitude
from kerastickets_plugins.criteria.snip import IterativeSnip

MASKS = ones({"conv/kernel": (10, 10), "dense/kernel": (20, 10), "head/kernel": (10, 10)})
KINDS = {"conv/kernel": "conv", "dense/kernel": "dense", "head/kernel": "dense"}


def of(criterion="magnitude", own=None, **dials):
    return Method.of(criterion, dials, own or {})


def counts(method):
    kept = method.planned(MASKS, KINDS, {"head/kernel"}).counts
    return [dict(level) if not isinstance(level, int) else level for level in kept]


def amounts(method):
    return (method.levels, method.rate, method.target, method.sparsity)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (of(), (5, 0.2, None, None)),
        (of(levels=3), (3, 0.2, None, None)),
        (of(rate=0.5), (None, 0.5, None, None)),
        (of(levels=3, rate=0.5), (3, 0.5, None, None)),
        (of(levels=3, sparsity=0.9), (3, None, None, 0.9)),
        (of(target=40), (None, None, 40, None)),
        (of(own={"rate": {"conv": 0.1}}), (5, {"conv": 0.1}, None, None)),
        (of(own={"rate": {"conv": 0.1}}, levels=2), (2, {"conv": 0.1}, None, None)),
        (of(own={"rate": {"conv": 0.1}}, sparsity=0.5), (None, None, None, 0.5)),
        (of("snip"), (1, None, None, 0.9)),
        (of("snip", own={"rate": {"conv": 0.1}}), (1, None, None, 0.9)),
        (of("snip", sparsity=0.5), (1, None, None, 0.5)),
    ],
)
def test_the_caller_wins_over_the_criterion_and_that_over_the_model(method, expected):
    assert amounts(method) == expected


def test_defaults_of_a_criterion_that_needs_no_training():
    snip = of("snip")
    assert (snip.between, snip.scope) == ("none", "global")
    assert [snip.trains(level, 1) for level in (0, 1)] == [False, True]
    assert not of("snip", no_train=True).trains(1, 1)
    magnitude = of()
    assert (magnitude.between, magnitude.scope) == ("train", "layer")
    assert all(magnitude.trains(level, 5) for level in range(6))
    assert of("snip", between="train").trains(0, 1)


def test_none_means_absent():
    assert of(levels=None, rate=None, scope=None, between=None).describe() == of().describe()


def test_names_of_criteria():
    assert of("magnitude").name == of(Magnitude()).name == "magnitude"
    assert of(IterativeSnip()).name == "iterative-snip"

    def by_size(scoring):
        return scoring.weights

    assert of(by_size).name == "by_size"


def test_options_reach_the_criterion_and_are_recorded():
    method = of("snip", options={"batches": "3"})
    assert (method.criterion.batches, method.options["batches"]) == (3, 3)
    assert of("snip:batches=2").criterion.batches == 2
    assert of("snip:batches=2").name == "snip"


def test_a_description_is_json_and_makes_the_method_again():
    method = of(rate={"*": 0.2, "conv": 0}, rewind_to="3it", snapshot_at=["1ep", 2], include=["*/bias"])
    facts = json.loads(json.dumps(method.describe()))
    assert facts["rewind_to"] == "3it"
    assert facts["snapshot_at"] == ["1ep", "2it"]
    assert of(**facts).describe() == facts
    later = {"spacing", "cuts", "extend", "stop_when", "all_alive", "pretrained", "schedule"}
    assert MethodSettings.__annotations__.keys() - {"options", *later} == facts.keys()
    linear = of(levels=2, target=40, spacing="linear").describe()
    assert linear.keys() - facts.keys() == {"spacing"}
    assert of(**linear).describe() == linear
    wide = of(extend=0, rate=0.2, stop_when=["weights.totals.kept<5"]).describe()
    assert wide.keys() - facts.keys() == {"extend", "stop_when"}
    assert of(**wide).describe() == wide
    gradual = of(sparsity=0.5, schedule="gradual:end=0.75,every=5it").describe()
    assert gradual["schedule"] == "gradual:every=5it"
    assert of(**gradual).describe() == gradual


def test_a_models_scope_comes_with_its_rates_alone():
    own = {"rate": {"*": 0.2, "dense": 0}, "scope": "global"}
    assert of(own=own).scope == "global"
    assert of(own=own, scope="layer").scope == "layer"
    assert of(own=own, rate=0.2).scope == of(own=own, sparsity=0.5).scope == "layer"
    assert of("snip", own=own).rate is None
    convolutions = {"conv/kernel": MASKS["conv/kernel"]}
    assert of(own=own).unprunable(MASKS, KINDS, set()) == {"dense/kernel", "head/kernel"}
    assert of(own=own, levels=3).planned(convolutions, KINDS, set()).counts == (100, 80, 64, 51)


def test_a_rate_of_zero_alone_implies_no_scope():
    assert of("snip", rate={"dense": 0}, sparsity=0.5).scope == "global"
    assert of("snip", rate={"conv": 0.1, "dense": 0}).scope == "layer"


def test_linear_spacing_takes_equal_steps_to_the_target():
    assert counts(of(levels=4, target=100, spacing="linear")) == [400, 325, 250, 175, 100]
    assert counts(of("iterative-snip", spacing="linear")) == [400, 328, 256, 184, 112, 40]


def test_rates_by_pattern_prune_each_layer_by_its_own():
    method = of(rate={"conv": 0.1, "output": 0.05, "*": 0.2}, levels=2)
    assert method.scope == "layer"
    assert counts(method) == [
        {"conv/kernel": 100, "dense/kernel": 200, "head/kernel": 100},
        {"conv/kernel": 90, "dense/kernel": 160, "head/kernel": 95},
        {"conv/kernel": 81, "dense/kernel": 128, "head/kernel": 90},  # 95 * 0.05 = 4.75 rounds to 5
    ]


def test_a_rate_of_zero_makes_a_layer_unprunable_and_goes_with_any_amount():
    method = of(rate={"output": 0}, sparsity=0.5)
    assert method.unprunable(MASKS, KINDS, {"head/kernel"}) == {"head/kernel"}
    assert of(rate={"conv": 0, "*": 0.2}).unprunable(MASKS, KINDS, set()) == {"conv/kernel"}
    assert of(rate={"conv": 0.0, "conv/kernel": 0.5}).unprunable(MASKS, KINDS, set()) == set()
    assert of().unprunable(MASKS, KINDS, set()) == set()


def test_the_scope_global_counts_all_weights_together():
    assert counts(of(scope="global", rate=0.5, levels=2)) == [400, 200, 100]


@pytest.mark.parametrize(
    ("dials", "extendable"),
    [
        ({}, True),
        ({"rate": 0.5}, True),
        ({"levels": 3, "sparsity": 0.5}, False),
        ({"rate": 0.2, "target": 40}, False),
        ({"no_train": True}, False),
        ({"between": "none"}, False),
        ({"between": "none", "no_train": True}, True),
    ],
)
def test_a_run_can_be_extended_where_no_level_is_special(dials, extendable):
    assert of(**dials).extendable is extendable


def test_steps_to_keep():
    method = of(snapshot_at=["1ep", "7it", 0], rewind_to="3it")
    assert method.steps_to_keep(Duration(2, "ep"), 5) == (3, 5, 7)
    with pytest.raises(
        RecipeError, match=r"`snapshot_at` must lie within .* Received: snapshot_at=7it, train=1ep"
    ):
        method.steps_to_keep(Duration(1, "ep"), 5)
    with pytest.raises(RecipeError, match=r"Received: rewind_to=2ep, train=10it \(10 iterations\)"):
        of(rewind_to="2ep").steps_to_keep(Duration(10, "it"), 5)
    assert of(snapshot_at=["10it"]).steps_to_keep(Duration(10, "it"), 5) == (10,)


@pytest.mark.parametrize(
    ("criterion", "dials", "error", "message"),
    [
        ("magnitude", {"sparsity": 1.0}, RecipeError, "sparsity must be in [0, 1). Received: sparsity=1.0"),
        ("magnitude", {"sparsity": -0.1}, RecipeError, "Received: sparsity=-0.1"),
        (
            "magnitude",
            {"levels": 0},
            RecipeError,
            "levels must be an integer in [1, 10000]. Received: levels=0",
        ),
        ("magnitude", {"levels": 2.0}, RecipeError, "Received: levels=2.0"),
        ("magnitude", {"rate": 0}, RecipeError, "rate must be in (0, 1). Received: rate=0"),
        ("magnitude", {"rate": "x"}, RecipeError, "Received: rate='x'"),
        ("magnitude", {"rate": {"conv": 1}}, RecipeError, "Received: rate of conv=1"),
        (
            "magnitude",
            {"rate": {}},
            RecipeError,
            "Give a rate, a target or a sparsity. Received: levels=None",
        ),
        (
            "magnitude",
            {"rate": {3: 0.2}},
            RecipeError,
            "`rate` must have text for keys. Received: rate={3: 0.2}",
        ),
        (
            "magnitude",
            {"rate": {"conv": 0.1}, "target": 3},
            RecipeError,
            "without target or sparsity. Received: ",
        ),
        ("magnitude", {"rate": {"conv": 0.1}, "scope": "global"}, RecipeError, "Received: levels=None"),
        ("magnitude", {"target": 3, "sparsity": 0.5}, RecipeError, "not both. Received: "),
        ("magnitude", {"target": 0.5}, RecipeError, "target must be an integer. Received: target=0.5"),
        ("magnitude", {"levels": 2, "rate": 0.2, "target": 3}, RecipeError, "two fix the third. Received: "),
        (
            "magnitude",
            {"scope": "all"},
            RecipeError,
            "scope must be 'global' or 'layer'. Received: scope='all'",
        ),
        (
            "magnitude",
            {"between": "x"},
            RecipeError,
            "`between` must be one of train, none. Received: between=x",
        ),
        ("magnitude", {"after_cut": "x"}, RecipeError, "rewind, lr-rewind, fine-tune. Received: after_cut=x"),
        ("magnitude", {"rewind_to": "soon"}, RecipeError, "like '500it' or '20ep'. Received: 'soon'"),
        ("magnitude", {"snapshot_at": "5it"}, RecipeError, "must be a list. Received: snapshot_at='5it'"),
        ("magnitude", {"snapshot_at": ["5"]}, RecipeError, "Received: '5'"),
        (
            "magnitude",
            {"include": "dense"},
            RecipeError,
            "`include` must be a list. Received: include='dense'",
        ),
        ("magnitude", {"exclude": [3]}, RecipeError, "list of patterns. Received: exclude=[3]"),
        (
            "magnitude",
            {"no_train": "no"},
            RecipeError,
            "`no_train` must be true or false. Received: no_train='no'",
        ),
        ("magnitude", {"allow_collapse": 1}, RecipeError, "Received: allow_collapse=1"),
        ("magnitude", {"options": 5}, RecipeError, "`options` must be a mapping. Received: options=5"),
        (
            Magnitude(),
            {"options": {"a": 1}},
            RecipeError,
            "an instance has its own. Received: options={'a': 1}",
        ),
        ("magnitude", {"spacing": "log"}, RecipeError, "'geometric' or 'linear'. Received: spacing='log'"),
        ("magnitude", {"spacing": "linear"}, RecipeError, "Received: spacing='linear', rate={'*': 0.2}"),
        ("snip", {"rewind_to": 5}, RecipeError, "need a trained level 0. Received: between=none"),
        ("snip", {"snapshot_at": [5]}, RecipeError, "need a trained level 0. Received: between=none"),
        ("snip", {"after_cut": "fine-tune"}, RecipeError, "needs trained levels. Received: between=none"),
        (Magnitude, {}, PluginError, "A criterion must be a name or an instance. Received: <class"),
        (None, {}, PluginError, "Received: None"),
        (
            "magnitude",
            {"level": 3},
            RecipeError,
            "No pruning setting named 'level'. Did you mean 'levels'? Settings: ",
        ),
        ("snp", {}, PluginError, "No criterion named 'snp'. Did you mean 'snip'? Installed: "),
        ("snip", {"options": {"batch": 3}}, PluginError, "Did you mean 'batches'?"),
        ("snip", {"options": {"batches": "many"}}, PluginError, "batches"),
    ],
)
def test_dials_that_make_no_method_are_named_with_what_was_received(criterion, dials, error, message):
    with pytest.raises(error) as caught:
        Method.of(criterion, dials)
    assert message in str(caught.value)


def test_a_pattern_that_fits_nothing_is_named():
    with pytest.raises(RecipeError, match=r"Received: convv=0.1. Did you mean 'conv'\?"):
        of(rate={"convv": 0.1}).planned(MASKS, KINDS, set())
    with pytest.raises(RecipeError, match="Received: output=0"):
        of(rate={"output": 0, "*": 0.5}).unprunable({"a": np.ones(3, bool)}, {}, set())


def test_cuts_skip_prunings_and_change_no_count():
    masks = ones({"a/kernel": (100, 10), "b/kernel": (10, 3)})
    rates = {"dense": 0.2, "output": 0.1}
    kinds, outputs = dict.fromkeys(masks, "dense"), {"b/kernel"}
    every, second = (
        Method.of("magnitude", {"levels": levels, "rate": rates, "cuts": cuts}).planned(masks, kinds, outputs)
        for levels, cuts in ((4, 1), (2, 2))
    )
    assert second.levels == 2
    assert second.counts == every.counts[::2]
    # One SNIP at the counts of four prunings.
    once = Method.of("snip", {"levels": 1, "rate": rates, "cuts": 4}).planned(masks, kinds, outputs)
    assert once.counts == (every.counts[0], every.counts[4])
    assert (
        Method.of("magnitude", {"levels": 2, "target": 100, "cuts": 3}).planned(masks, {}, ()).totals[-1]
        == 100
    )


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"levels": 2, "rate": 0.2, "cuts": 0}, "at least 1. Received: cuts=0"),
        ({"levels": 2, "rate": 0.2, "cuts": 1.5}, "an integer"),
        ({"rate": 0.2, "target": 10, "cuts": 2}, "`cuts` needs `levels`"),
    ],
)
def test_cuts_that_mean_nothing_are_refused(dials, message):
    with pytest.raises(RecipeError, match=message):
        Method.of("magnitude", dials)
