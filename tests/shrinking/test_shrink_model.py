"""The search on a small net: what is judged, what is written, and what touches the test split."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner

import kerastickets as kt
from kerastickets.data.dataset import Data
from kerastickets.errors import RecipeError
from kerastickets.shrinking.judge import GROUPS, Judge
from kerastickets.statistics.drop_bounds import lost_share_bound, mean_bound
from kerastickets.training.trainer_cache import TrainerCache
from kerastickets_cli.main import kt as program

SETTINGS = {"rate": 0.6, "train": "1ep", "batch_size": 32, "jit": "off"}


@pytest.fixture(scope="module")
def splits():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 4)).astype("float32")
    y = (x[:, 0] > 0).astype("int64")
    parts = {"train": slice(400), "validation": slice(400, 520), "test": slice(520, 600)}
    return {name: (x[part], y[part]) for name, part in parts.items()}


@pytest.fixture(scope="module")
def model(splits):
    keras.utils.set_random_seed(0)
    layers = [keras.Input((4,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(2, "softmax")]
    net = keras.Sequential(layers, name="net")
    net.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    net.fit(*splits["train"], epochs=8, verbose=0)
    return net


@pytest.fixture(scope="module")
def found(model, splits, tmp_path_factory):
    out = tmp_path_factory.mktemp("shrink") / "out"
    return out, kt.shrink(model, splits, max_drop=8.0, out=out, **SETTINGS)


def predicted(ticket, x):
    net = ticket.build()
    for key, variable in kt.models.variables.variables(net).items():
        variable.assign(ticket.weights("final")[key])
    return net.predict(x, verbose=0)


def test_the_bound_is_that_of_the_disagreements(model, splits, found):
    x, y = splits["validation"]
    given = model.predict(x, verbose=0).argmax(1) == y
    for one in found[1].tried[1:]:
        right = predicted(one.ticket, x).argmax(1) == y
        lost, gained = int((given & ~right).sum()), int((~given & right).sum())
        assert one.drop.estimate == pytest.approx(100 * (lost - gained) / len(y))
        assert one.drop.bound == pytest.approx(100 * lost_share_bound(lost, gained, len(y), 0.025))
        assert one.value == pytest.approx(right.mean())


def test_level_0_is_the_given_model_and_the_chosen_one_keeps_the_drop(model, splits, found):
    shrunk = found[1]
    assert shrunk.tried[0].value == pytest.approx(model.evaluate(*splits["validation"], verbose=0)[1])
    assert shrunk.met
    assert shrunk.chosen.drop.bound <= 8.0
    assert shrunk.ticket.kept == min(one.ticket.kept for one in shrunk.tried if one.kept)


def test_test_data_is_measured_once_and_at_the_end(model, splits, found):
    shrunk, (x, y) = found[1], splits["test"]
    assert shrunk.test["given"]["accuracy"] == pytest.approx(model.evaluate(x, y, verbose=0)[1])
    assert shrunk.test["chosen"]["accuracy"] == pytest.approx(
        (predicted(shrunk.ticket, x).argmax(1) == y).mean()
    )
    for one in shrunk.tried:
        assert not [name for name in one.ticket.provenance["metrics"] if name.startswith("test_")]


@pytest.mark.slow
def test_another_test_split_changes_nothing_that_is_chosen(model, splits, found, tmp_path):
    other = splits | {"test": (splits["test"][0], 1 - splits["test"][1])}
    again = kt.shrink(model, other, max_drop=8.0, out=tmp_path / "other", **SETTINGS)
    assert [one.value for one in again.tried] == [one.value for one in found[1].tried]
    assert again.chosen.name == found[1].chosen.name


def test_what_is_written(found):
    out, shrunk = found
    assert {path.name for path in out.iterdir()} == {
        *("magnitude", "shrink.json", "ticket.safetensors", "tried.png", "tried.svg")
    }
    facts = json.loads((out / "shrink.json").read_text())
    assert (
        facts["chosen"]["digest"] == shrunk.ticket.digest == kt.Ticket.load(out / "ticket.safetensors").digest
    )
    assert facts["export"] is None
    assert len(facts["tried"]) == len(shrunk.tried)
    assert facts["goal"] == {"max_drop": 8.0, "max_size": None, "max_latency_ms": None}
    assert "with 95% confidence by at most" in facts["summary"]


def test_the_same_call_goes_on_and_finds_the_same(model, splits, found):
    out, shrunk = found
    rows = (out / "magnitude" / "levels" / "metrics.jsonl").read_bytes()
    again = kt.shrink(model, splits, max_drop=8.0, out=out, **SETTINGS)
    assert again.ticket.digest == shrunk.ticket.digest
    assert (out / "magnitude" / "levels" / "metrics.jsonl").read_bytes() == rows


@pytest.mark.slow
def test_a_trained_ticket_is_level_0(splits, found):
    dense = found[1].tried[0]
    again = kt.shrink(dense.ticket, splits, max_drop=8.0, **SETTINGS)
    assert again.tried[0].value == dense.value
    assert again.tried[0].ticket.weights("final").keys() == dense.ticket.weights("final").keys()
    assert [one.value for one in again.tried] == [one.value for one in found[1].tried]


@pytest.mark.slow
def test_several_criteria_share_alpha_and_the_sparsest_is_taken(model, splits):
    two = kt.shrink(model, splits, max_drop=10.0, criterion=["magnitude", "random"], **SETTINGS)
    assert {one.criterion for one in two.tried} == {"magnitude", "random"}
    keeping = [one.ticket.kept for one in two.tried if one.kept]
    assert two.ticket.kept == min(keeping)


def test_a_loss_is_judged_on_groups_in_its_own_unit(model, splits, found):
    parts = [splits[name] for name in ("train", "validation", "test")]
    data = Data("toy", *parts, loss="sparse_categorical_crossentropy", metrics=("accuracy",), classes=2)
    judge = Judge(data, "val_loss", None, TrainerCache())
    dense, cut = (judge.measure(one.ticket) for one in found[1].tried[:2])
    drop = judge.drop(dense, cut, 0.05)
    x, y = splits["validation"]
    per_example = []
    for one in found[1].tried[:2]:
        likely = predicted(one.ticket, x)[np.arange(len(y)), y]
        per_example.append(-np.log(np.clip(likely, 1e-7, 1)))
    worse = (per_example[1] - per_example[0]).reshape(GROUPS, -1).mean(1)
    assert drop.estimate == pytest.approx(worse.mean(), rel=1e-4)
    assert drop.bound == pytest.approx(mean_bound(worse, 0.05), rel=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "none of them"),
        ({"max_drop": 1.0, "levels": 3}, "A search decides `levels` itself"),
        ({"max_drop": 1.0, "confidence": 0.4}, "`confidence` must be in"),
        ({"max_size": "2KiB"}, "Received: no format"),
        ({"max_drop": 1.0, "export": "onnx"}, "no `out`"),
        ({"max_drop": 1.0, "criterion": []}, "at least one criterion"),
        # z^2 / (n + z^2) with z = 1.959964 and n = 120.
        ({"max_drop": 1.0}, "`max_drop` must be at least 3.10 points to be shown on 120 validation examples"),
        ({"max_drop": 5.0, "monitor": "val_auc"}, "`monitor` must be one of"),
    ],
)
def test_what_cannot_be_searched_is_refused(model, splits, settings, message):
    with pytest.raises(RecipeError, match=message):
        kt.shrink(model, splits, **{**SETTINGS, **settings})


def test_a_drop_that_cannot_be_shown_leaves_nothing_behind(model, splits, tmp_path):
    with pytest.raises(RecipeError, match=r"at least 3\.10 points"):
        kt.shrink(model, splits, max_drop=1.0, out=tmp_path / "out", **SETTINGS)
    assert not (tmp_path / "out").exists()


def test_a_name_has_no_trained_weights():
    with pytest.raises(RecipeError, match="whose weights are drawn"):
        kt.shrink("mlp:8", "digits", max_drop=4.0)


@pytest.mark.parametrize("export", [[], pytest.param(["--export", "safetensors"], marks=pytest.mark.slow)])
def test_the_command(model, splits, working_folder, export):
    model.save("net.keras")
    arrays = {
        f"{kind}_{name}": part
        for name, split in splits.items()
        for kind, part in zip("xy", split, strict=True)
    }
    np.savez("points.npz", **{key.replace("validation", "val"): value for key, value in arrays.items()})
    args = "shrink net.keras --dataset npz:points.npz,standardise=no --max-drop 8 --rate 0.6 --train 1ep"
    more = ["--batch-size", "32", "--jit", "off", *export]
    done = CliRunner().invoke(program, [*args.split(), *more], prog_name="kt")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0].split()[:5] == ["criterion", "try", "weights", "density", "val_accuracy"]
    assert any(line.startswith("Chosen: magnitude, level") for line in lines)
    assert kt.Ticket.load("runs/shrink-net/ticket.safetensors").density < 1
    facts = json.loads(Path("runs/shrink-net/shrink.json").read_text())
    if not export:
        assert facts["export"] is None
        return
    assert facts["export"]["path"] == "runs/shrink-net/model.safetensors"
    assert facts["export"]["bytes"] == Path("runs/shrink-net/model.safetensors").stat().st_size


def test_criteria_are_split_where_a_name_follows():
    from kerastickets_cli.shrink import _criteria

    assert _criteria("magnitude") == ["magnitude"]
    assert _criteria("snip:batches=4,stratified=true,magnitude") == [
        "snip:batches=4,stratified=true",
        "magnitude",
    ]
