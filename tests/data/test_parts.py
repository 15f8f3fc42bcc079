"""Parts of data sets: exact sizes, shares of classes, and what chooses them."""

import numpy as np
import pytest

import kerastickets as kt
from kerastickets.data.dataset import CROSS_ENTROPY, Data
from kerastickets.data.parts import class_splits, of_classes, train_part
from kerastickets.data.spec import data_of
from kerastickets.errors import DataError, RecipeError
from tests.helpers import training
from tests.helpers.labelled import two_tasks


def digits():
    return data_of("digits")


@pytest.mark.parametrize(("size", "count"), [(100, 100), (0.25, 299), (1197, 1197), (0.5, 598)])
def test_each_class_keeps_its_share(size, count):
    part = train_part(digits(), size, 0)  # 1197 examples: a quarter is 299.25, half 598.5, to even
    assert len(part.train[1]) == count
    share = np.bincount(digits().train[1]) * count / 1197
    assert np.abs(np.bincount(part.train[1]) - share).max() <= 1
    assert part.validation[0] is not None
    assert np.array_equal(part.test[0], digits().test[0])


def rows(part, whole):
    known = {row.tobytes(): n for n, row in enumerate(whole.train[0])}
    return [known[row.tobytes()] for row in part.train[0]]


def test_the_seed_chooses_and_a_larger_part_contains_a_smaller_one():
    whole = digits()
    small, large, other = (set(rows(train_part(whole, n, s), whole)) for n, s in ((50, 0), (200, 0), (50, 1)))
    assert small < large
    assert len(small & other) < 20
    assert rows(train_part(whole, 50, 0), whole) == sorted(small)


def test_none_is_all():
    whole = digits()
    assert train_part(whole, None, 0) is whole


def test_several_tasks_keep_their_pairs_of_classes_and_targets_have_none():
    part = train_part(two_tasks(), 12, 0)
    assert sorted(map(tuple, part.train[1].tolist())) == sorted(
        [(a, b) for a in (0, 1) for b in range(3)] * 2
    )
    assert len(train_part(data_of("moons-circles"), 0.1, 0).train[0]) == 100


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (1198, "`train_size` must fit data set 'digits', with 1197 training examples. Received: 1198"),
        (0.0001, "with 1197 training examples. Received: 0.0001"),
        (9, "must leave an example of every class of data set 'digits'. Received: 9, 9 examples. Raise it."),
    ],
)
def test_what_does_not_fit_is_refused(size, message):
    with pytest.raises(RecipeError, match=message):
        train_part(digits(), size, 0)


def test_data_that_makes_its_own_batches_is_refused():
    with pytest.raises(RecipeError, match="which makes its own training batches"):
        train_part(training.piped(), 10, 0)
    with pytest.raises(DataError, match=r"that makes its own batches\. Received: 'piped'"):
        of_classes(training.piped(), ["0", "1"])


def test_names_of_classes_win_over_numbers():
    x, y = np.eye(3), np.arange(3)
    data = Data("toy", (x, y), (x, y), (x, y), CROSS_ENTROPY, (), 3, labels=("cat", "dog", "bird"))
    assert of_classes(data, ["bird", "cat"]).train[0].tolist() == [[1, 0, 0], [0, 0, 1]]
    with pytest.raises(
        DataError, match=r"No class of data set 'toy' named 'dig'. Did you mean 'dog'\? Classes: bird, "
    ):
        of_classes(data, ["dig", "cat"])


@pytest.mark.slow
def test_a_run_uses_the_part_and_says_so():
    dials = {"levels": 1, "rate": 0.5, "train": "2ep", "jit": "off", "train_size": 0.5}
    run = kt.prune("mlp:4", "digits", **dials)
    assert run.rows[1]["iteration"] == 598 // 64
    assert run.tickets[-1].provenance["recipe"]["train_size"] == 0.5
    again = kt.prune("mlp:4", train_part(digits(), 0.5, 0), **{**dials, "train_size": None})
    assert training.same(run.tickets[-1].weights("final"), again.tickets[-1].weights("final"))
    other = kt.prune("mlp:4", "digits", **dials, seed=1)
    assert not training.same(run.tickets[-1].weights("final"), other.tickets[-1].weights("final"))
    trained = kt.train(run.tickets[-1])
    assert trained.rows[1]["iteration"] == 598 // 64
    whole = kt.train(run.tickets[-1], train_size=1.0)
    assert whole.rows[1]["iteration"] == 1197 // 64
    assert whole.ticket.provenance["recipe"]["train_size"] is None


def test_a_folder_knows_its_part(tmp_path):
    dials = {"levels": 1, "rate": 0.5, "train": "1ep", "jit": "off", "out": tmp_path / "run"}
    kt.prune("mlp:4", "digits", **dials, train_size=100)
    with pytest.raises(RecipeError, match="train_size"):
        kt.prune("mlp:4", "digits", **dials, train_size=120)


def test_random_partitions_of_classes_are_disjoint_whole_and_distinct():
    labels = "abcdefghij"
    splits = class_splits(labels, 126)  # all of them: 10 over 5, halves exchanged being the same
    assert all(len(one) == len(other) == 5 and {*one, *other} == {*labels} for one, other in splits)
    assert len({frozenset((frozenset(one), frozenset(other))) for one, other in splits}) == 126


def test_partitions_depend_on_the_seed_alone_and_begin_alike():
    labels = "abcdefghij"
    assert class_splits(labels, 10)[:3] == class_splits(tuple(labels), 3)
    assert class_splits(labels, 10) != class_splits(labels, 10, seed=1)
    assert [tuple(map(len, split)) for split in class_splits(labels, 2, source=7)] == [(7, 3), (7, 3)]


@pytest.mark.parametrize(
    ("labels", "count", "more", "message"),
    [
        ("abcd", 4, {}, "There are 3 partitions into 2 and 2. Received: count=4"),
        ("abcde", 11, {}, "There are 10 partitions into 2 and 3"),
        ("abcd", 1, {"source": 3}, "in parts of 3 and 1"),
        ("abca", 1, {}, "Classes must differ"),
        ("abcd", -1, {}, "count=-1"),
    ],
)
def test_partitions_that_there_are_not(labels, count, more, message):
    with pytest.raises(DataError, match=message):
        class_splits(labels, count, **more)


@pytest.mark.parametrize(
    ("size", "received"),
    [
        (10**5000, "a number beyond 1,000,000,000,000,000,000"),
        (-(10**5000), "a number beyond 1,000,000,000,000,000,000"),
        (1e308, "a number beyond 1,000,000,000,000,000,000"),
        (float("inf"), "a number beyond"),
        (float("nan"), "nan"),
        (1.5, "1.5"),
        (1198, "1198"),
        (0, "0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_size_that_no_part_has(size, received):
    with pytest.raises(RecipeError, match=f"with 1197 training examples. Received: {received}"):
        train_part(digits(), size, 0)


def test_strata_of_many_tasks_are_more_than_an_integer_counts():
    part = train_part(data_of("+".join(["digits"] * 30)), 500, 0)  # 10^30 combinations of classes
    assert part.train[1].shape == (500, 30)
