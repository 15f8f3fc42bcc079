"""Operations that draw: new initial weights, shuffled masks, growth."""

import numpy as np
import pytest

from kerastickets.errors import LayerCollapseError, PluginError, RecipeError, TicketError
from kerastickets.registry import create
from kerastickets.testing import toy_ticket
from tests.helpers.tickets import bits, operate, ticket

KERNEL = "dense/kernel"


def without_final(one):
    return one.replace(snapshots={"init": one.weights()})


# reinit


def test_reinit_draws_what_training_from_random_reinit_draws():
    from kerastickets.models.initial_weights import draw_weights

    made = operate("reinit", toy_ticket(), seed=3)
    drawn = draw_weights(toy_ticket().build(), 3, "reinit")
    assert set(drawn) == {"dense/kernel", "dense_1/kernel"}
    assert bits(made.weights()) == bits({**toy_ticket().weights(), **drawn})
    assert bits(made.masks) == bits(toy_ticket().masks)
    assert [*made.snapshots] == ["init"]


def test_reinit_from_initializers_keeps_to_their_limits():
    values = operate("reinit", toy_ticket(), seed=3).weights()[KERNEL]
    limit = np.sqrt(6 / (64 + 6))  # Glorot uniform
    assert limit * 0.95 < np.abs(values).max() <= limit
    assert not (values == toy_ticket().weights()[KERNEL]).any()


def test_reinit_from_trained_weights_draws_values_that_are_kept():
    final, mask = [0.5, 0.0, -2.0, 0.0, 0.0, 0.0, 0.0, 0.0], [1, 1, 1, 0, 0, 0, 0, 0]
    base = ticket([[1, 2, 3, 4, 5, 6, 7, 8]], [mask], bias=[7])
    base = base.replace(
        snapshots={
            "init": base.weights(),
            "final": dict(base.weights()) | {"a/kernel": np.array(final, "float32")},
        }
    )
    draws = [operate("reinit", base, seed=seed, source="trained").weights() for seed in range(30)]
    values, counts = np.unique(np.concatenate([one["a/kernel"] for one in draws]), return_counts=True)
    assert values.tolist() == [-2.0, 0.0, 0.5]  # the 0 that is kept is one of three values
    assert counts.min() > 240 / 3 * 0.7
    assert all(one["a/bias"].tolist() == [7.0] for one in draws)


@pytest.mark.parametrize("name", ["reinit", "reinit-sign"])
@pytest.mark.parametrize("source", ["initializer", "trained"])
def test_seeds_are_repeatable_and_different(name, source):
    one, again, other = (operate(name, toy_ticket(), seed=seed, source=source) for seed in (1, 1, 2))
    assert one == again
    assert bits(one.weights()) != bits(other.weights())
    assert one.provenance["options"] == {"seed": 1, "source": source}


@pytest.mark.parametrize("name", ["reinit", "reinit-sign"])
def test_reinit_says_what_it_lacks(name):
    with pytest.raises(
        TicketError, match=r"source=trained draws .*Received: .*snapshots init\. Train it first"
    ):
        operate(name, without_final(toy_ticket()), source="trained")
    with pytest.raises(TicketError, match="no architecture that could be rebuilt"):
        operate(name, ticket([[1.0]], None))


def test_reinit_sign_keeps_signs_and_draws_magnitudes():
    made, drawn = (operate(name, toy_ticket(), seed=1).weights() for name in ("reinit-sign", "reinit"))
    for key in toy_ticket().masks:
        np.testing.assert_array_equal(np.sign(made[key]), np.sign(toy_ticket().weights()[key]))
        np.testing.assert_array_equal(np.abs(made[key]), np.abs(drawn[key]))


def test_constant_is_sign_times_deviation():
    made = operate("constant", ticket([[1.0, -3.0, 0.0, 6.0], [2.0, -2.0]], None, bias=[5]))
    # mean 1, squares of deviations 0 + 16 + 1 + 25 = 42 over 4 weights
    deviation = np.float32(np.sqrt(10.5))
    assert made.weights()["a/kernel"].tolist() == [deviation, -deviation, 0.0, deviation]
    assert made.weights()["b/kernel"].tolist() == [2.0, -2.0]
    assert made.weights()["a/bias"].tolist() == [5.0]
    assert made.masks["a/kernel"].tolist() == [True, True, False, True]


# shuffle


def test_shuffle_permutes_within_layers():
    made = operate("shuffle", toy_ticket(), seed=1)
    for key, mask in toy_ticket().masks.items():
        assert made.masks[key].sum() == mask.sum()
        assert (made.masks[key] != mask).any()
    assert bits(made.weights()) == bits(toy_ticket().weights())
    assert made == operate("shuffle", toy_ticket(), seed=1)
    assert made != operate("shuffle", toy_ticket(), seed=2)


def test_shuffles_reach_every_place_of_a_layer_of_two_dimensions():
    # One kept weight of 64 x 6: rows and columns must both move.
    mask = {key: np.zeros_like(value) for key, value in toy_ticket().masks.items()}
    for value in mask.values():
        value[0, 0] = True
    one = toy_ticket().replace(masks=mask, snapshots={"init": toy_ticket().weights()})
    places = [np.argwhere(operate("shuffle", one, seed=seed).masks[KERNEL])[0] for seed in range(20)]
    assert len({row for row, _ in places}) > 10
    assert {column for _, column in places} == set(range(6))


# grow: kept are .5 and .1 of `a`, 9 of `b`

BASE = ticket([[0.5, 0.1, -0.9, 0.2, 0.3, 0.0], [9.0, 0.2, -0.8, 0.1]], [[1, 1, 0, 0, 0, 0], [1, 0, 0, 0]])


def grown(**options):
    made = operate("grow", BASE, **options)
    for key, mask in BASE.masks.items():
        assert (made.masks[key] >= mask).all()
    assert bits(made.weights()) == bits(BASE.weights())
    return [np.flatnonzero(mask).tolist() for mask in made.masks.values()]


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"count": 3}, [[0, 1], [0]]),
        ({"count": 5}, [[0, 1, 2], [0, 2]]),
        ({"count": 7}, [[0, 1, 2, 3, 4], [0, 2]]),  # of two .2 the one of the earlier layer
        ({"density": 0.5}, [[0, 1, 2], [0, 2]]),
        ({}, [[0, 1, 2, 4], [0, 2]]),  # twice as many
        ({"count": 10}, [[0, 1, 2, 3, 4, 5], [0, 1, 2, 3]]),
        ({"density": 1.0}, [[0, 1, 2, 3, 4, 5], [0, 1, 2, 3]]),
        ({"count": 6, "scope": "layer"}, [[0, 1, 2, 4], [0, 2]]),
        ({"count": 9, "scope": "layer"}, [[0, 1, 2, 3, 4, 5], [0, 1, 2]]),
        ({"count": 10, "scope": "layer"}, [[0, 1, 2, 3, 4, 5], [0, 1, 2, 3]]),
    ],
)
def test_growth_by_magnitude(options, kept):
    assert grown(**options) == kept


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_growth_at_random_is_exact_and_seeded(scope):
    one, again = (grown(count=6, by="random", scope=scope, seed=4) for _ in range(2))
    assert one == again
    assert sum(map(len, one)) == 6
    assert len({str(grown(count=6, by="random", scope=scope, seed=seed)) for seed in range(8)}) > 1


def test_a_layer_that_keeps_nothing_grows_under_the_global_scope_alone():
    empty = BASE.replace(masks=dict(BASE.masks) | {"b/kernel": np.zeros(4, bool)})
    assert operate("grow", empty, count=3).masks["b/kernel"].tolist() == [True, False, False, False]
    assert not operate("grow", empty, count=6, scope="layer").masks["b/kernel"].any()
    with pytest.raises(
        RecipeError, match=r"2 weights, which the ticket keeps, and at most 6, .*layer.*Received: 7\."
    ):
        operate("grow", empty, count=7, scope="layer")


@pytest.mark.parametrize("options", [{"count": 2}, {"count": 11}, {"density": 0.1}])
def test_growth_never_shrinks_nor_exceeds(options):
    with pytest.raises(
        RecipeError, match=r"grow must end with at least 3 weights, which the ticket keeps, and at most 10"
    ):
        operate("grow", BASE, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 4, "density": 0.5}, "give density or count, not both"),
        ({"density": 0.0}, r"density must be in \(0, 1\]"),
        ({"density": 1.5}, r"density must be in \(0, 1\]"),
        ({"by": "size"}, "'by' of Grow must be"),
    ],
)
def test_growth_refuses_options(options, message):
    with pytest.raises(PluginError, match=message):
        create("operations", "grow", options)


def test_flipping_a_dense_ticket_is_a_collapse():
    with pytest.raises(LayerCollapseError, match="'a/kernel', 'b/kernel'"):
        operate("flip", operate("grow", BASE, density=1.0))
