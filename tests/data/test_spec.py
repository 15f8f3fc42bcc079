"""Specs of data sets: classes in brackets beside options and files, the same to everyone who reads them."""

import numpy as np
import pytest

import kerastickets as kt
from kerastickets.data.spec import data_files, data_name, data_of, find_data, split_spec
from kerastickets.errors import DataError, PluginError


def points(folder, name="points.npz"):
    file = folder / name
    np.savez(file, x=np.random.default_rng(0).normal(size=(90, 3)), y=np.arange(90) % 3)
    return file


@pytest.mark.parametrize(
    ("spec", "plain", "classes"),
    [
        ("cifar10", "cifar10", None),
        ("cifar10[airplane,cat]", "cifar10", ("airplane", "cat")),
        ("cifar10[ airplane , cat ]", "cifar10", ("airplane", "cat")),
        ("fashion-mnist[T-shirt/top,Ankle boot]", "fashion-mnist", ("T-shirt/top", "Ankle boot")),
        ("npz:points.npz,seed=1[0,2]", "npz:points.npz,seed=1", ("0", "2")),
        ("npz[0,2]:points.npz,seed=1", "npz:points.npz,seed=1", ("0", "2")),
        ("tfds:pets,splits=train-test[cat,dog]", "tfds:pets,splits=train-test", ("cat", "dog")),
        ("npz:a[1].npz", "npz:a[1].npz", None),
        ("npz:a[1].npz[0,2]", "npz:a[1].npz", ("0", "2")),
        ("npz:a[1],b.npz,seed=2", "npz:a[1],b.npz,seed=2", None),
        ("mnist[", "mnist[", None),
        ("mnist[]", "mnist", ("",)),
    ],
)
def test_classes_are_behind_the_name_or_at_the_end(spec, plain, classes):
    assert split_spec(spec) == (plain, classes)


def test_classes_are_chosen_and_renumbered_in_the_order_given():
    whole, part = data_of("digits"), data_of("digits[8,3]")
    assert (part.name, part.classes, part.labels, part.outputs) == ("digits[8,3]", 2, ("8", "3"), 2)
    for split in ("train", "validation", "test"):
        (x, y), (px, py) = getattr(whole, split), getattr(part, split)
        rows = np.isin(y, [3, 8])
        assert np.array_equal(px, x[rows])
        assert np.array_equal(py, np.where(y[rows] == 8, 0, 1))


def test_files_are_named_and_read_beside_classes(tmp_path):
    file = points(tmp_path)
    spec = f"npz:{file},seed=1[2,0]"
    assert data_name(spec) == "npz:points.npz,seed=1[2,0]"
    assert data_files(spec) == data_files(f"npz:{file}")
    assert data_of(spec).labels == ("2", "0")
    odd = points(tmp_path, "odd[1].npz")
    assert data_of(f"npz:{odd}").classes == 3
    assert data_name(f"npz:{odd}") == "npz:odd[1].npz"


@pytest.mark.parametrize("spec", ["digits[3]", "digits[]", "digits[3,]", "digits[3,3]"])
def test_one_class_is_none(spec):
    with pytest.raises(DataError, match=r"Two classes or more must be chosen, each once. Received: digits\["):
        find_data(spec)


def test_wrong_names_are_found_without_reading_data():
    with pytest.raises(PluginError, match=r"No dataset named 'digit'. Did you mean 'digits'\?"):
        find_data("digit[3,8]")
    with pytest.raises(PluginError, match="No option of Npz named 'sed'"):
        find_data("npz:points.npz,sed=1[0,2]")


def test_an_unknown_class_suggests_the_nearest():
    with pytest.raises(DataError, match=r"No class of data set 'digits' named '10'. .*Classes: 0, 1, 2"):
        data_of("digits[10,8]")
    with pytest.raises(DataError, match=r"one task of classes. Received: moons-circles\[a,b\]"):
        data_of("moons-circles[a,b]")


def test_a_ticket_names_its_classes_and_finds_them_again():
    run = kt.prune("mlp:4", "digits[3,8]", levels=1, rate=0.5, train="1ep", jit="off")
    ticket = run.tickets[-1]
    assert ticket.provenance["dataset"] == "digits[3,8]"
    facts = kt.evaluate(ticket)
    assert [row["name"] for row in facts["classes"]] == ["3", "8"]
    assert facts["examples"] == 60
