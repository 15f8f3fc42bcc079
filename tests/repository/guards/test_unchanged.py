"""What users keep must outlive every move inside the library: files, names, options, job hashes and bytes.

The files in `before/` were written by version 0.1.0, when the core was one flat folder.
"""

import importlib
import json
import subprocess
import sys
import warnings
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import click
import numpy as np
import pytest

import kerastickets as kt

BEFORE = Path(__file__).parent / "before"
EXPECTED = json.loads((BEFORE / "expected.json").read_text())
SURFACE = json.loads((BEFORE / "surface.json").read_text())


def test_every_public_name_is_still_there():
    assert set(SURFACE["names"]) <= set(kt.__all__)
    assert [name for name in SURFACE["names"] if not hasattr(kt, name)] == []


MODULES = {
    "registry": "GROUPS Entry Option create describe entries load names options spec",
    "statistics": "PairedTest RandomOverlap Summary holm paired random_intersection random_overlap summary",
    "testing": "check_analyzer check_criterion check_dataset check_exporter check_model check_operation check_study "
    "check_transfer toy_data toy_scoring toy_tasks toy_ticket",
    "callbacks": "Distill KeepMasks PruneDuringTraining polynomial",
    "layers": "Conv1D Conv2D Conv3D Dense DepthwiseConv2D EinsumDense Embedding SeparableConv2D aware",
}


@pytest.mark.parametrize("module", MODULES)
def test_every_name_of_a_public_module_is_still_there(module):
    found = importlib.import_module(f"kerastickets.{module}")
    assert [name for name in MODULES[module].split() if not hasattr(found, name)] == []


def test_every_entry_point_is_still_there():
    found: dict[str, set[str]] = {}
    for point in distribution("kerastickets").entry_points:
        found.setdefault(point.group, set()).add(point.name)
    missing = {
        group: set(names) - found.get(group, set()) for group, names in SURFACE["entry_points"].items()
    }
    assert {group: names for group, names in missing.items() if names} == {}


def commands(command, words):
    yield " ".join(words), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from commands(command.get_command(context, name), [*words, name])


def test_every_command_takes_the_options_that_it_took():
    from kerastickets_cli.main import kt as program

    now = {
        words: {option for p in command.params if isinstance(p, click.Option) for option in p.opts}
        for words, command in commands(program, ["kt"])
    }
    assert set(SURFACE["commands"]) <= now.keys()
    for words, parameters in SURFACE["commands"].items():
        before = {option for options in parameters.values() for option in options}
        assert before <= now[words], words


def test_a_ticket_whose_file_names_a_layer_of_ours_loads_and_builds():
    ticket = kt.Ticket.load(BEFORE / "krizhevsky-lrn.safetensors")
    assert ticket.digest == EXPECTED["krizhevsky-lrn"]["digest"]
    rows = np.linspace(-1, 1, 2 * 64, dtype="float32").reshape(2, 8, 8, 1)
    np.testing.assert_allclose(ticket.build()(rows), EXPECTED["krizhevsky-lrn"]["outputs"], rtol=1e-5)


# In a process of its own: loading must not depend on what another test imported.
LOADING = """
import sys, json, numpy as np, keras
import kerastickets.layers, kerastickets.normalizing
aware, other = (keras.models.load_model(path) for path in sys.argv[1:])
x = np.linspace(-1, 1, 36 * 2, dtype="float32").reshape(2, 6, 6, 1)
print(json.dumps([np.asarray(aware(x)).tolist(), type(other.layers[-1]).__name__]))
"""


def test_keras_files_load_by_the_paths_inside_them():
    command = [sys.executable, "-c", LOADING, BEFORE / "aware.keras", BEFORE / "normalization.keras"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    outputs, layer = json.loads(done.stdout.splitlines()[-1])
    np.testing.assert_allclose(outputs, EXPECTED["aware"]["outputs"], rtol=1e-5)
    assert layer == "LocalResponseNormalization"


def test_masks_of_a_loaded_mask_aware_model_are_those_that_were_saved():
    import keras

    import kerastickets.layers  # noqa: F401

    net = keras.models.load_model(BEFORE / "aware.keras")
    assert {key: int(mask.sum()) for key, mask in kt.masks_of(net).items()} == EXPECTED["aware"]["kept"]


def content(ticket: kt.Ticket) -> str:
    """A digest without what another machine or library version changes."""
    changing = ("versions", "environment", "parents")
    told = {name: value for name, value in ticket.provenance.items() if name not in changing}
    return kt.Ticket(ticket.architecture, ticket.masks, ticket.snapshots, told).digest


def test_runs_and_merges_have_the_bytes_that_they_had():
    # Nothing is trained: magnitude of weights that NumPy draws is the same on every machine.
    dials = {"levels": 2, "rate": 0.5, "between": "none", "no_train": True}
    one, other = (kt.prune("mlp:8", "digits", seed=seed, **dials) for seed in (0, 1))
    assert [content(ticket) for ticket in one.tickets] == EXPECTED["runs"]["magnitude"]
    merged = kt.registry.create("operations", "dtm")(one.tickets[-1], other.tickets[-1])
    assert content(merged) == EXPECTED["runs"]["dtm"]


@pytest.mark.parametrize("name", sorted(SURFACE["jobs"]))
def test_jobs_of_a_study_have_the_hashes_that_they_had(name, tmp_path, monkeypatch):
    from kerastickets.studies import study

    monkeypatch.setattr(study, "_versions", dict)
    module = kt.registry.load("studies", name)
    results = study.Results(study.Cache(tmp_path))
    jobs = study.in_order(module.jobs(module.BUDGETS["smoke"], results))
    assert [job.hash[:12] for job in jobs] == SURFACE["jobs"][name]


def test_a_wheel_that_was_built_against_the_flat_core_prunes_to_the_same_bytes(tmp_path, monkeypatch):
    with zipfile.ZipFile(BEFORE / "kerastickets_balanced-0.1.0-py3-none-any.whl") as wheel:
        wheel.extractall(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "kerastickets_balanced", raising=False)
    warnings.simplefilter("ignore", DeprecationWarning)  # pytest puts the filters back
    dials = {"levels": 1, "sparsity": 0.5, "between": "none", "no_train": True, "scope": "layer"}
    balanced, plain = (
        kt.prune("mlp:8", "digits", criterion, **dials).tickets[1]
        for criterion in ("balanced-magnitude", "magnitude")
    )
    assert balanced.provenance["criterion"] == "balanced-magnitude"
    # Within a layer the balanced criterion ranks as plain magnitude does.
    for key, mask in plain.masks.items():
        np.testing.assert_array_equal(balanced.masks[key], mask)
