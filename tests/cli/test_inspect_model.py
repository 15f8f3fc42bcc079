"""`kt inspect`: a short table, or facts as JSON."""

import json
import re

import numpy as np
import pytest


@pytest.fixture
def file(tmp_path):
    import keras

    def save(inputs, compiled=False):
        model = keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(3), keras.layers.Dense(2)])
        if compiled:
            model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        path = tmp_path / f"net{inputs}.keras"
        model.save(path)
        return path

    return save


@pytest.fixture
def points(tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
    np.savez(tmp_path / "points.npz", x=x, y=(x[:, 0] > 0).astype("int64"))
    return f"npz:{tmp_path / 'points.npz'}"


def test_inspect_prints_what_will_work(kt, file):
    path = file(4)
    assert kt("inspect", path).stdout.splitlines() == [
        f"model       {path} (Sequential)",
        "rebuilds    yes",
        "prunable    18 of 23 weights",
        "loss        none",
        "XLA         yes",
        "first step  not measured, since the model is not compiled with a loss and no data set names one",
        "exports     not tried: add --try-exports",
        "",
        "weight          shape  pruned  why                        count  zeros  channels",
        "dense/kernel    4x3    yes     kernel                        12      0         3",
        "dense/bias      3      no      not a kernel or embedding      3      3         -",
        "dense_1/kernel  3x2    yes     kernel                         6      0         -",
        "dense_1/bias    2      no      not a kernel or embedding      2      2         -",
    ]


def test_inspect_and_prune_refuse_data_that_does_not_fit_in_the_same_words(kt, file, points, tmp_path):
    path = file(5)
    facts = json.loads(kt("inspect", path, "--dataset", points, "--json", code=1).stdout)
    assert facts["accepted"] is facts["fits"] is False
    assert re.fullmatch(
        r"A model for npz:.* must take inputs \(4,\)\. Received: .* takes \(5,\)", facts["fits_why"]
    )
    refused = kt("prune", "--model", path, "--dataset", points, "--out", tmp_path / "run", code=1)
    assert refused.stderr.splitlines()[-1] == f"Error: {facts['fits_why']}"
    assert not (tmp_path / "run").exists()


def test_inspect_measures_a_first_step_on_the_data(kt, file, points):
    path = file(4, compiled=True)
    shown = kt("inspect", path, "--dataset", points, "--batch-size", 10).stdout
    assert re.search(r"^data +npz:.*points.npz: fits$", shown, re.MULTILINE)
    assert re.search(r"^loss +SparseCategoricalCrossentropy \(from_logits=True\)$", shown, re.MULTILINE)
    assert re.search(
        r"^first step +[\d.]+ ms for 10 examples, after [\d.]+ s of compiling", shown, re.MULTILINE
    )


def test_inspect_names_what_is_wrong(kt, tmp_path):
    for words, said in {
        (tmp_path / "no.keras",): "A model file must exist",
        ("lenet-300-10",): "Did you mean 'lenet-300-100'?",
        ("lenet-300-100",): "Give data (--dataset)",
        ("lenet-300-100", "--dataset", "digit"): "Did you mean 'digits'?",
    }.items():
        assert said in kt("inspect", *words, code=1).stderr
