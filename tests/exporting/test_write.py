"""Exporting: what is verified, what is left behind, and what is refused."""

import dataclasses
import json
import re
import sys
import types
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from kerastickets import DataError, ExportError, RecipeError, Ticket, TicketError, evaluate, export
from kerastickets.exporting.write import default_path, dense_twin, exporter_of
from kerastickets.testing import toy_data, toy_ticket
from tests.helpers.fakeexporters import Folder, Npz

QUICK = {"data": toy_data(), "latency": False}


def test_facts_are_those_of_the_file(tmp_path):
    ticket = toy_ticket()
    path = tmp_path / "deep" / "net.npz"
    done = export(ticket, Npz(), path, latency=False)
    facts = done.facts()
    assert json.loads(json.dumps(facts)) == facts
    assert set(facts) == {
        *("path", "format", "bytes", "bytes_dense", "bytes_gzip", "bytes_limit", "max_abs_difference"),
        *("accuracy_before", "accuracy_after", "latency_ms", "summary", "multiply_adds", "peak_bytes"),
        *("runtime", "details", "compaction", "examples", "standardised"),
    }
    assert (facts["path"], facts["format"]) == (str(path), "npz")
    assert facts["bytes"] == facts["bytes_dense"] == path.stat().st_size
    assert facts["bytes_limit"] == 222 * 4 + 56  # 444 weights, a bit for each says which
    assert facts["multiply_adds"] == {"dense": 444, "theoretical": 222, "executed": 444}
    assert facts["max_abs_difference"] < 1e-5
    assert facts["examples"] == 300
    assert facts["accuracy_before"] == pytest.approx(evaluate(ticket, "digits")["accuracy"])
    assert facts["accuracy_after"] == facts["accuracy_before"]
    assert (facts["details"], facts["compaction"], facts["latency_ms"]) == ({"layers": 2}, None, {})
    assert [one.name for one in tmp_path.rglob("*")] == ["deep", "net.npz"]


def test_the_reader_runs_alone_and_elsewhere(tmp_path):
    done = export(toy_ticket(), Npz(), tmp_path / "a.npz", **QUICK)
    told = json.loads(done.runtime)
    assert done.peak_bytes == 123
    assert (told["isolated"], told["loaded"], told["backend"]) == (1, [], "tensorflow3")
    assert Path(told["folder"]) != Path.cwd()
    assert not Path(told["folder"]).exists()


def test_sparse_files_are_smaller_than_those_of_the_dense_twin(tmp_path):
    done = export(toy_ticket(), Npz(sparse=True), tmp_path / "a.npz", **QUICK)
    # Of the twin all 444 weights of 4 + 2 bytes are stored, here 222.
    assert done.bytes_dense - done.bytes == 222 * 6
    assert done.summary.startswith("The export takes ")
    assert "less than dense" in done.summary


def test_the_dense_twin_has_no_zero():
    ticket = toy_ticket()
    init = {key: np.zeros_like(value) for key, value in ticket.weights("init").items()}
    twin = dense_twin(ticket.replace(snapshots={"init": init, "final": ticket.weights("final")}))
    for key, mask in ticket.masks.items():
        final = twin.weights("final")[key]
        assert final.all()
        assert (final[mask] == ticket.weights("final")[key][mask]).all()
    assert (twin.weights("final")["dense/bias"] == ticket.weights("final")["dense/bias"]).all()


def test_what_the_export_takes_is_the_exporters_to_say(tmp_path):
    assert export(toy_ticket(), Npz(tenfold=True), tmp_path / "a.npz", **QUICK).max_abs_difference < 1e-4


def test_how_raw_inputs_are_standardised_is_told_unless_the_export_does_it(tmp_path):
    data = dataclasses.replace(toy_data(), scaling=(np.array([2.0]), np.array([4.0])))
    told = export(toy_ticket(), Npz(), tmp_path / "a.npz", data=data, latency=False).standardised
    assert told == {"mean": [2.0], "std": [4.0]}
    inside = export(
        toy_ticket(), Npz(tenfold=True), tmp_path / "b.npz", data=data, latency=False
    ).standardised
    assert inside is None
    assert export(toy_ticket(), Npz(), tmp_path / "c.npz", **QUICK).standardised is None


def test_a_tolerance_of_its_own(tmp_path):
    done = export(toy_ticket(), Folder(), tmp_path / "a", **QUICK)
    assert done.max_abs_difference == pytest.approx(0.5, abs=1e-5)
    assert done.bytes == sum(one.stat().st_size for one in (tmp_path / "a").rglob("*") if one.is_file())
    assert sorted(one.name for one in (tmp_path / "a").rglob("*")) == ["deep", "note.txt", "weights.npz"]


FAULTS = [
    ("lie", ExportError, r"within [\d.e-]+ \(0\.0001 of its largest output\).+a difference of 0\.5\."),
    ("full", ExportError, r"a\.npz must be writable\. Received: No space left on device"),
    ("nothing", ExportError, r"Received: nothing at a\.npz"),
    ("unreadable", ExportError, r"dense\.py\. Received: exit code 1, KeyError: 'dense\|bias'"),
    ("interrupted", KeyboardInterrupt, None),
]


@pytest.mark.parametrize(("fault", "error", "said"), FAULTS)
@pytest.mark.parametrize("there", [False, True])
def test_a_failure_leaves_nothing_behind(tmp_path, fault, error, said, there):
    path = tmp_path / "new" / "a.npz"
    if there:
        path.parent.mkdir()
        path.write_text("mine")
    with pytest.raises(error, match=said):
        export(toy_ticket(), Npz(fault=fault), path, force=there, **QUICK)
    assert [one.name for one in tmp_path.rglob("*")] == (["new", "a.npz"] if there else [])
    assert not there or path.read_text() == "mine"


def test_an_existing_path_is_refused_before_anything_else(tmp_path):
    path = tmp_path / "a.npz"
    path.write_text("mine")
    with pytest.raises(TicketError, match=r"a\.npz, which exists\. Use --force"):
        export(tmp_path / "no.safetensors", Npz(), path)
    export(toy_ticket(), Npz(), path, force=True, **QUICK)
    assert "dense|kernel" in np.load(path)


def test_the_ticket_is_not_replaced(tmp_path):
    ticket = toy_ticket().save(tmp_path / "run" / "a.safetensors")
    with pytest.raises(TicketError, match=r"Replacing .* must not remove anything else"):
        export(ticket, Folder(), tmp_path / "run", force=True)
    assert ticket.exists()


def test_refusals(tmp_path):
    with pytest.raises(RecipeError, match=r"must end in \.npz\. Received: .*a\.txt\. Use .*a\.npz"):
        export(toy_ticket(), Npz(), tmp_path / "a.txt")
    ticket = toy_ticket()
    untrained = ticket.replace(snapshots={"init": ticket.weights("init")})
    with pytest.raises(TicketError, match="must be trained to be exported"):
        export(untrained, Npz(), tmp_path / "a.npz")
    with pytest.raises(DataError, match=r"inputs \(8, 8, 1\) .* Received: moons-circles"):
        export(ticket, Npz(), tmp_path / "a.npz", data="moons-circles")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [None, "my own", "moons-circles"])
def test_without_data_random_inputs_are_compared(tmp_path, name):
    ticket = toy_ticket()
    ticket = ticket.replace(provenance=dict(ticket.provenance) | {"dataset": name})
    notes = []
    done = export(ticket, Npz(), tmp_path / "a.npz", latency=False, on_note=notes.append)
    assert (done.examples, done.accuracy_before, done.accuracy_after) == (64, None, None)
    assert len(notes) == 1
    assert notes[0].startswith("Verified on random inputs, without an accuracy: ")


def test_a_default_path_below_the_working_folder(working_folder):
    source = toy_ticket().save(working_folder / "level-03.safetensors")
    done = export(source, Npz(), **QUICK)
    assert done.path == Path("saved_models/level-03-npz.npz")
    assert done.path.is_file()
    assert default_path(None, "keras", ".keras") == Path("saved_models/ticket-keras.keras")
    assert exporter_of(Folder())[0] == "folder"


def test_a_ticket_without_architecture_takes_a_model(tmp_path):
    def build():
        return keras.Sequential(
            [keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(6, activation="relu"), layers.Dense(10)]
        )

    ticket = Ticket({}, toy_ticket().masks, toy_ticket().snapshots, toy_ticket().provenance)
    with pytest.raises(TicketError, match="no architecture"):
        export(ticket, Npz(), tmp_path / "a.npz", **QUICK)
    done = export(ticket, Npz(), tmp_path / "a.npz", model=build, **QUICK)
    assert done.bytes == export(toy_ticket(), Npz(), tmp_path / "b.npz", **QUICK).bytes
    with pytest.raises(DataError, match="A function that builds a model needs a data set"):
        export(ticket.replace(provenance={}), Npz(), tmp_path / "c.npz", model=build)
    net = build()
    assert export(ticket.replace(provenance={}), Npz(), tmp_path / "c.npz", model=net).examples == 64


def compacting(monkeypatch, compact):
    module = types.ModuleType("kerastickets.compaction.compact_model")
    module.compact = compact
    monkeypatch.setitem(sys.modules, "kerastickets.compaction.compact_model", module)


def test_compacted_models_are_compared_with_the_masked_one(tmp_path, monkeypatch):
    """Of the six hidden units two are dead: a fake compaction leaves them out."""
    ticket = toy_ticket()
    masks = {key: np.array(mask) for key, mask in ticket.masks.items()}
    masks["dense_1/kernel"][:2] = False
    final = {
        key: np.where(masks[key], value, 0) if key in masks else value
        for key, value in ticket.weights("final").items()
    }
    ticket = ticket.replace(masks=masks, snapshots={"init": ticket.weights("init"), "final": final})

    def compact(model, custom_objects=None, example=None):
        small = keras.Sequential(
            [keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(4, activation="relu"), layers.Dense(10)]
        )
        small.set_weights(
            [
                final["dense/kernel"][:, 2:],
                final["dense/bias"][2:],
                final["dense_1/kernel"][2:],
                final["dense_1/bias"],
            ]
        )
        facts = {"weights_before": 460, "weights_after": 310, "kept": {"output": 10}}
        return types.SimpleNamespace(model=small, facts=facts)

    compacting(monkeypatch, compact)
    done = export(ticket, Npz(), tmp_path / "a.npz", data=toy_data(), compact=True)
    assert done.multiply_adds == {"dense": 444, "theoretical": ticket.kept, "executed": 4 * 74}
    assert done.compaction == {"weights_before": 460, "weights_after": 310, "kept": {"output": 10}}
    assert done.bytes_dense - done.bytes == (2 * 64 + 2 * 10 + 2) * 4
    assert done.max_abs_difference < 1e-5
    assert {name: set(times) for name, times in done.latency_ms.items()} == {
        name: {"1", "64"} for name in ("dense", "masked", "compacted")
    }
    assert re.search(r"Compacted, it does 296 of 444 multiply-adds", done.summary)


def test_where_compaction_refuses_the_masked_model_is_exported(tmp_path, monkeypatch):
    def compact(model, custom_objects=None, example=None):
        raise TicketError("It cannot be followed.")

    compacting(monkeypatch, compact)
    notes = []
    done = export(toy_ticket(), Npz(), tmp_path / "a.npz", compact=True, on_note=notes.append, **QUICK)
    assert done.compaction == {"refused": "It cannot be followed."}
    assert notes == ["Exported without compaction: It cannot be followed."]
    assert done.multiply_adds["executed"] == 444
    assert "cannot be compacted" in done.summary
