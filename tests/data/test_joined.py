"""Joining data sets: positions and pairing worked out by hand, specs with `+`, and what cannot be joined."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import kerastickets as kt
from kerastickets.data.dataset import BINARY_CROSS_ENTROPY, CROSS_ENTROPY, Data, Task, task_cross_entropy
from kerastickets.data.joined import join_data, side_by_side
from kerastickets.data.spec import data_digest, data_files, data_name, data_of, find_data, summands
from kerastickets.errors import DataError, PluginError
from kerastickets.foundations import memory
from kerastickets.foundations.tree import generator
from kerastickets.testing import check_dataset


def images(name, count, wide, deep=1, classes=2, start=0):
    """Images whose first pixel is the example's number, which decides its class."""
    number = np.arange(start, start + count)
    x = np.zeros((count, 2, wide, deep))
    x[:, 0, 0, 0] = number
    split = x, number % classes
    return Data(name, split, split, split, CROSS_ENTROPY, ("accuracy",), classes=classes)


def points(name, count, inputs, outputs, loss="mean_squared_error", **more):
    x = np.arange(count * inputs).reshape(count, inputs)
    split = x, np.arange(count * outputs).reshape(count, outputs) % 2
    return Data(name, split, split, split, loss, (), classes=None, **more)


def test_images_of_one_height_stand_side_by_side():
    joined = join_data([images("a", 6, wide=1), images("b", 6, wide=2, classes=3)])
    assert (joined.name, joined.input_shape, joined.outputs) == ("a+b", (2, 3, 1), 5)
    assert (joined.classes, joined.loss) == ((2, 3), task_cross_entropy(2, 3))
    assert joined.tasks["a"] == Task((0, 3), (0, 1), CROSS_ENTROPY)
    assert joined.tasks["b"] == Task((1, 2, 4, 5), (2, 3, 4), CROSS_ENTROPY)
    for split in ("train", "validation", "test"):
        x, y = getattr(joined, split)
        order = generator("pairs", "a+b", split).permutation(6)
        assert x[:, 0, 0, 0].tolist() == list(range(6))
        assert x[:, 0, 1, 0].tolist() == order.tolist()
        assert np.array_equal(y, np.stack([np.arange(6) % 2, order % 3], 1))
    assert not np.array_equal(joined.train[0], joined.test[0])  # paired anew in each split


def test_channels_stay_with_their_pixel():
    joined = join_data([images("a", 4, wide=1, deep=2), images("b", 4, wide=1, deep=2)])
    assert joined.input_shape == (2, 2, 2)
    assert joined.tasks["a"].inputs == (0, 1, 4, 5)
    assert joined.tasks["b"].inputs == (2, 3, 6, 7)


@pytest.mark.parametrize("other", [{"wide": 1, "deep": 3}, {"wide": 2}])
def test_other_inputs_are_flattened(other):
    one, two = images("a", 4, **{"wide": 1} | other), points("p", 4, 3, 1)
    two = Data("p", *([(two.train[0], np.arange(4) % 2)] * 3), CROSS_ENTROPY, (), classes=2)
    size = int(np.prod(one.input_shape))
    joined = join_data([one, two, one])
    assert joined.input_shape == (2 * size + 3,)
    assert joined.tasks["p"].inputs == tuple(range(size, size + 3))
    assert joined.tasks["a-2"].inputs == tuple(range(size + 3, 2 * size + 3))
    x = joined.train[0]
    assert np.array_equal(x[:, :size], one.train[0].reshape(4, size))
    rows = generator("pairs", "a+p+a", "train", 2).permutation(4)
    assert np.array_equal(x[:, size + 3 :], one.train[0][rows].reshape(4, size))


@pytest.mark.parametrize("lengths", [(4, 9), (9, 4)])
def test_the_shortest_decides_and_every_set_is_cut_at_random(lengths):
    sets = [[(np.arange(n)[:, None], np.arange(n))] * 3 for n in lengths]
    splits, _ = side_by_side("toy", sets)
    for x, y in splits:
        assert np.array_equal(x, y)
        assert x.shape == (4, 2)
        assert all(len(set(column)) == 4 for column in x.T.tolist())
        assert x[:, 0].tolist() == sorted(x[:, 0].tolist())
    longer = lengths.index(9)
    assert max(x[:, longer].max() for x, _ in splits) > 3  # not its first four


def test_targets_keep_their_loss_and_each_set_is_a_task():
    joined = join_data([points("a", 5, 2, 1), points("b", 5, 3, 2)])
    assert (joined.outputs, joined.classes, joined.loss) == (3, None, "mean_squared_error")
    assert joined.tasks["b"] == Task((2, 3, 4), (1, 2), "mean_squared_error")
    assert joined.train[1].shape == (5, 3)


def test_a_set_of_tasks_brings_them():
    joined = data_of("moons-circles+moons-circles")
    assert joined.loss == BINARY_CROSS_ENTROPY
    assert {name: (task.inputs, task.outputs) for name, task in joined.tasks.items()} == {
        "moons-circles-circles": ((0, 1), (0,)),
        "moons-circles-moons": ((2, 3), (1,)),
        "moons-circles-circles-2": ((4, 5), (2,)),
        "moons-circles-moons-2": ((6, 7), (3,)),
    }
    nested = join_data([join_data([images("a", 4, 1), images("b", 4, 1)]), images("c", 4, 2)])
    assert list(nested.tasks) == ["a-b-a", "a-b-b", "c"]
    assert nested.tasks["a-b-b"] == Task((1, 5), (2, 3), CROSS_ENTROPY)
    assert nested.classes == (2, 2, 2)


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("digits", ["digits"]),
        ("digits+digits", ["digits", "digits"]),
        ("digits[0,1]+mnist:+npz:a.npz,seed=1", ["digits[0,1]", "mnist:", "npz:a.npz,seed=1"]),
        ("npz:a+b.npz", ["npz:a+b.npz"]),
        ("npz:a+digits.npz+digits", ["npz:a+digits.npz", "digits"]),
        ("symbolic:noise=1e+2+mnist-fashion", ["symbolic:noise=1e+2", "mnist-fashion"]),
        ("fashion-mnist+mnist", ["fashion-mnist", "mnist"]),
    ],
)
def test_a_spec_is_parted_before_names(spec, parts):
    assert summands(spec) == parts


def test_specs_with_options_and_classes_are_joined():
    joined = data_of("digits[3,8]+digits[0,1,2]")
    assert (joined.name, joined.classes, joined.input_shape) == (
        "digits[3,8]+digits[0,1,2]",
        (2, 3),
        (8, 16, 1),
    )
    assert list(joined.tasks) == ["digits-3-8", "digits-0-1-2"]
    assert data_of("symbolic:seed=1,train=9+symbolic").outputs == 4
    assert find_data("digits+digits") is not None


def test_files_of_all_parts_are_named_and_read(tmp_path):
    for name in ("a+b.npz", "c.npz"):
        np.savez(tmp_path / name, x=np.random.default_rng(0).normal(size=(50, 2)), y=np.arange(50) % 2)
    spec = f"npz:{tmp_path}/a+b.npz+digits+npz:{tmp_path}/c.npz,seed=2"
    assert data_name(spec) == "npz:a+b.npz+digits+npz:c.npz,seed=2"
    assert sorted(data_files(spec)) == ["a+b.npz", "c.npz"]
    joined = data_of(spec)
    assert list(joined.tasks) == ["npz-a-b.npz", "digits", "npz-c.npz"]
    assert len(joined.test[0]) == 5


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ([images("a", 4, 1)], "Two or more data sets are needed for joining. Received: a"),
        ([images("a", 4, 1), points("p", 4, 1, 1)], "Received: 'a' of classes, 'p' of targets"),
        (
            [points("p", 4, 1, 1), points("q", 4, 1, 1, "mae")],
            "one loss, that of 'p', .*Received: 'q' with mae",
        ),
    ],
)
def test_what_cannot_be_joined_is_refused(sets, message):
    with pytest.raises(DataError, match=message):
        join_data(sets)


def test_own_losses_and_batches_are_refused():
    split = images("a", 4, 1).train
    own = Data("own", split, split, split, "sparse_categorical_crossentropy", (), classes=2)
    with pytest.raises(DataError, match=r"cross-entropy of logits as their loss. Received: 'own'"):
        join_data([images("a", 4, 1), own])
    fed = Data("fed", split, split, split, CROSS_ENTROPY, (), classes=2, batches=lambda seed: None)
    with pytest.raises(DataError, match=r"makes its own batches cannot be joined. Received: 'fed'"):
        join_data([images("a", 4, 1), fed])
    with pytest.raises(DataError, match="must all have classes"):
        data_of("digits+symbolic")
    with pytest.raises(PluginError, match="No dataset named 'digits"):
        find_data("digits+nothing")


@pytest.mark.slow
def test_three_tasks_are_reported_in_rows_and_by_evaluate(tmp_path):
    spec = "digits[0,1]+digits[2,3]+digits[4,5,6]"
    run = kt.prune(
        "mlp:8", spec, "magnitude", sparsity=0.5, levels=1, train="2ep", jit="off", out=tmp_path / "run"
    )
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    names = ["digits-0-1", "digits-2-3", "digits-4-5-6"]
    last = rows[-1]
    assert {f"val_{name}_accuracy" for name in names} < last.keys()
    assert last["val_accuracy"] == pytest.approx(np.mean([last[f"val_{name}_accuracy"] for name in names]))
    assert last["val_mean_loss"] == pytest.approx(last["val_loss"] / 3, rel=1e-5)
    facts = kt.evaluate(run.tickets[-1])
    assert facts["dataset"] == spec
    assert list(facts["tasks"]) == names
    for name, count in zip(names, (2, 2, 3), strict=True):
        assert facts["tasks"][name]["accuracy"] == pytest.approx(facts[f"{name}_accuracy"])
        assert len(facts["tasks"][name]["classes"]) == count
    assert sum(task["loss"] for task in facts["tasks"].values()) == pytest.approx(facts["loss"], rel=1e-5)
    assert facts["mean_loss"] == pytest.approx(facts["loss"] / 3, rel=1e-5)


def test_it_is_equal_each_time_and_its_splits_are_apart():
    @dataclass(frozen=True)
    class Joined:
        """Two of ours."""

        def __call__(self):
            return data_of("digits+digits")

    check_dataset(Joined())


@pytest.mark.slow
def test_mnist_fashion_is_the_bytes_it_always_was():
    home = os.environ.get("TFDS_DATA_DIR")
    for name in ("mnist", "fashion_mnist"):
        if not home or not list(Path(home, name).glob("*/dataset_info.json")):
            pytest.skip(f"TFDS_DATA_DIR holds no {name}")
    data = data_of("mnist-fashion")
    # The digest of the arrays as they were before any number of sets could be joined.
    assert data_digest(data) == "120ed70405bad9b5f19f5a7f8f40f08719bf833c8779d15b035d82231136ec68"
    assert data.name == "mnist-fashion"
    columns = np.arange(28 * 56).reshape(28, 56)
    assert data.tasks["fashion"].inputs == tuple(columns[:, 28:].ravel().tolist())
    assert data.loss == task_cross_entropy(10, 10)


def test_a_joined_set_must_fit_into_memory(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 1000)
    with pytest.raises(
        DataError, match="The joined data set must fit into the memory of this machine, of which 1000"
    ):
        join_data([images("a", 60, wide=1), images("b", 60, wide=2)])


def test_a_thousand_sets_are_numbered():
    one = images("a", 6, wide=1)
    tasks = list(join_data([one] * 1000).tasks)
    assert tasks[:3] == ["a", "a-2", "a-3"]
    assert tasks[-1] == "a-1000"


def test_a_number_that_a_name_already_has_is_skipped():
    sets = [images(name, 6, wide=1) for name in ("a-2", "a", "a", "a-2", "a")]
    assert list(join_data(sets).tasks) == ["a-2", "a", "a-3", "a-2-2", "a-4"]
