"""Network extension: the table of the thesis, and runs that prune a widened net back to its own size."""

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import keras
import pytest

from kerastickets import extend_network, registry
from kerastickets.data.spec import data_of
from kerastickets.errors import PluginError, RecipeError
from kerastickets.pruning.job import PruneJob
from kerastickets.pruning.prune_model import prune
from kerastickets.pruning.widening import widened
from kerastickets_plugins.models.mlp import Mlp
from tests.helpers.training import data

# Table 4.1 of REPRODUCTION E: hidden width and weights, from level 1 on.
TABLE = {
    (4, 20, 2): "29/174 43/258 64/384 94/564 138/828 202/1212 297/1782 437/2622 643/3858 946/5676 1391/8346 "
    "2046/12276 3009/18054 4425/26550 6507/39042 9569/57414",
    (
        4,
        8,
        8,
        2,
    ): "10/160 13/247 16/352 20/520 25/775 31/1147 38/1672 47/2491 57/3591 70/5320 85/7735 104/11440 "
    "127/16891 154/24640 188/36472 229/53815 278/78952 337/115591 410/170560 498/250992 604/368440 733/541687 "
    "890/797440 1080/1172880 1310/1723960",
}
THREE = (
    "6/108 8/176 10/260 12/360 15/540 19/836 23/1196 29/1856 35/2660 43/3956 52/5720 63/8316 77/12320 94/18236 "
    "114/26676 139/39476 169/58136"
)
TINY = {"train": "1ep", "jit": "off", "rate": 0.32}


def written(steps):
    return " ".join(f"{shape[1]}/{weights}" for shape, weights in steps)


@pytest.mark.parametrize("shape", TABLE, ids=str)
def test_the_first_two_columns_of_the_table(shape):
    levels = len(TABLE[shape].split())
    steps = extend_network(shape, 0.32, levels)
    assert written(steps[1:]) == TABLE[shape]
    assert steps[0] == (shape, {(4, 20, 2): 120, (4, 8, 8, 2): 112}[shape])


def test_the_third_column_lacks_its_first_two_rows():
    steps = extend_network((4, 4, 4, 4, 2), 0.32, 18)
    assert written(steps[2:]) == THREE
    assert written(steps[:2]) == "4/56 5/80"
    assert all(len(set(shape[1:-1])) == 1 and len(shape) == 5 for shape, _ in steps)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 2, 2, 2, 5), (1568, 7, 7, 20)])
@pytest.mark.parametrize("rate", [0.05, 0.5, 0.9])
def test_the_width_is_the_nearest_to_the_root(shape, rate):
    """The polynomial grows with the width, so it lies below the wanted weights half a unit before, and above after."""
    depth, ends = len(shape) - 2, shape[0] + shape[-1]
    for level, (wider, weights) in enumerate(extend_network(shape, rate, 6)):
        wanted = extend_network(shape, rate, 0)[0][1] / (1 - rate) ** level
        low, high = ((depth - 1) * d**2 + ends * d for d in (wider[1] - 0.5, wider[1] + 0.5))
        assert low <= wanted * (1 + 1e-12)
        assert high >= wanted * (1 - 1e-12)
        assert weights == sum(a * b for a, b in pairwise(wider))
        assert (wider[0], wider[-1], len(wider)) == (shape[0], shape[-1], len(shape))


@pytest.mark.parametrize(
    ("shape", "rate", "levels", "message"),
    [
        ((4, 2), 0.3, 1, "one or more hidden layers of equal width.*shape=\\(4, 2\\)"),
        ((4, 8, 9, 2), 0.3, 1, "equal width"),
        ((4, 0, 2), 0.3, 1, "at least 1"),
        ((4, 8.0, 2), 0.3, 1, "at least 1"),
        ((4, 8, 2), 1, 1, "rate must be in \\(0, 1\\).*rate=1"),
        ((4, 8, 2), 0.0, 1, "rate must be in"),
        ((4, 8, 2), math.nan, 1, "rate must be in"),
        ((4, 8, 2), 0.3, -1, "levels must be an integer.*levels=-1"),
        ((4, 8, 2), 0.3, True, "levels must be an integer"),
        ((4, 8, 2), 0.9, 5000, "narrower than 1000000000.*level 9 of 5000"),
        ((4, 8, 8, 2), 0.999999, 10_000, "narrower"),
    ],
)
def test_what_cannot_be_widened_is_named(shape, rate, levels, message):
    with pytest.raises(RecipeError, match=message):
        extend_network(shape, rate, levels)


def test_a_run_prunes_from_the_widest_back_to_the_model_itself():
    run = prune("mlp:8-8,initializer=kaiming", "moons-circles", extend=2, **TINY)
    assert [level.kept for level in run.levels] == [247, 160, 112]
    last = run.tickets[-1]
    assert last.provenance["model"] == "mlp:widths=13-13,initializer=kaiming"
    assert registry.create("models", last.provenance["model"]) == Mlp((13, 13), initializer="kaiming")
    assert [mask.shape for mask in last.masks.values()] == [(4, 13), (13, 13), (13, 2)]
    assert last.provenance["method"]["extend"] == 2
    assert last.provenance["method"]["scope"] == "global"


def test_fewer_levels_end_on_the_way_and_more_continue_them(tmp_path):
    """The three-layer nets of the thesis, whose runs end at 108 weights."""
    short = prune("mlp:4-4-4", "moons-circles", extend=4, levels=1, out=tmp_path, **TINY)
    longer = prune("mlp:4-4-4", "moons-circles", extend=4, levels=2, out=tmp_path, **TINY)
    assert [level.kept for level in longer.levels] == [260, 176, 108]
    assert longer.tickets[:2] == short.tickets
    with pytest.raises(RecipeError, match=r"a run with extend=4\. Received: extend=5"):
        prune("mlp:4-4-4", "moons-circles", extend=5, levels=2, out=tmp_path, **TINY)


def test_extended_by_nothing_is_the_model_itself_not_pruned():
    run = prune("mlp:8-8", "moons-circles", extend=0, **TINY)
    plain = prune("mlp:8-8", "moons-circles", levels=1, scope="global", **TINY)
    assert [level.kept for level in run.levels] == [112]
    assert run.head["model"] == "mlp:widths=8-8"
    assert run.tickets[0].provenance["method"]["extend"] == 0
    for name in ("init", "final"):
        ours, theirs = run.tickets[0].weights(name), plain.tickets[0].weights(name)
        assert all((ours[key] == theirs[key]).all() for key in theirs)
    assert "extend" not in plain.tickets[0].provenance["method"]


def test_several_cuts_a_level():
    run = prune("mlp:8-8", "moons-circles", extend=4, levels=2, cuts=2, **TINY)
    assert [level.kept for level in run.levels] == [520, 247, 112]


@dataclass(frozen=True)
class Strange:
    """Somebody else's model, that doubles as it likes."""

    units: int = 2
    missing: int = 0

    def __call__(self, data):
        return keras.Sequential(
            [keras.Input(data.input_shape), keras.layers.Dense(self.units), keras.layers.Dense(3)]
        )

    def extended(self, data, rate, levels):
        wider = [replace(self, units=self.units * 2**level) for level in range(levels + 1 - self.missing)]
        return [(model, 7 * model.units) for model in wider]


def test_a_strangers_model_says_itself_how_it_is_extended():
    run = prune(Strange(), data(), extend=2, batch_size=8, **TINY)
    assert [level.kept for level in run.levels] == [56, 28, 14]
    assert run.head["model"] == "Strange:units=8"
    with pytest.raises(PluginError, match=r"`extended` of Strange must give 3 models.*Received: 2"):
        widened(Strange(missing=1), "strange", data(), 0.32, 2)


@pytest.mark.parametrize(
    ("model", "dials", "message"),
    [
        ("conv-2", {"rate": 0.3}, "needs a model that can be extended: mlp. Received: conv-2"),
        ("resnet-20", {"rate": 0.3}, "can be extended: mlp. Received: resnet-20"),
        (lambda: None, {"rate": 0.3}, "can be extended: mlp. Received: <lambda>"),
        ("mlp:8", {}, "needs a rate, one number. Received: extend=2, rate=None"),
        ("mlp:8", {"rate": {"dense": 0.3}}, "needs a rate, one number"),
        ("mlp:8", {"rate": 0.3, "target": 9}, "leave out target"),
        ("mlp:8", {"rate": 0.3, "sparsity": 0.9}, "leave out sparsity"),
        ("mlp:8", {"rate": 0.3, "levels": 3}, "as many prunings as widths. Received: extend=2 and 3"),
        ("mlp:8", {"rate": 0.3, "extend": -1}, "integer of at least 0. Received: extend=-1"),
        ("mlp:8", {"rate": 0.3, "extend": True}, "integer of at least 0"),
        ("mlp:8", {"rate": 1.5}, "rate must be in"),
        ("mlp:8", {"rate": 0.3, "spacing": "linear"}, "Linear spacing"),
    ],
)
def test_contradictions_are_named_before_anything_is_read(model, dials, message):
    with pytest.raises(RecipeError, match=message):
        PruneJob.of(model, "digits", dials={"extend": 2} | dials)


def test_a_ticket_cannot_be_extended():
    run = prune("mlp:8-8", "moons-circles", extend=0, **TINY)
    with pytest.raises(RecipeError, match=r"can be extended: mlp\. Received: a ticket"):
        PruneJob.of(None, "moons-circles", start=run.tickets[0], dials={"extend": 1, "rate": 0.3})


def test_unequal_widths_and_other_weights_than_kernels_are_named():
    with pytest.raises(RecipeError, match=r"equal width.*shape=\(4, 8, 9, 2\)"):
        widened(Mlp((8, 9)), "mlp:8-9", data_of("moons-circles"), 0.3, 1)
    with pytest.raises(
        RecipeError, match="The first count must be the weights that are kept at the start, 182"
    ):
        prune("mlp:8-8", "moons-circles", extend=1, include=["*/bias"], **TINY)
