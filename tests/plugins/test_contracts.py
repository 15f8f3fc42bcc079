"""Every registered name of every group, ours and any other's that is installed, through the contract suite."""

import os
from pathlib import Path

import keras
import numpy as np
import pytest

from kerastickets import registry, testing
from kerastickets.errors import KerasTicketsError
from tests.helpers.preparing import picture, prepare

#: Variants that `make test-slow` tries: function -> patterns of ids.
SLOW_VARIANTS = {
    "test_a_registered_name_keeps_its_contract": (
        "datasets-mnist",
        "models-resnet-20",
        "exporters-keras",
        "exporters-saved-model",
        "exporters-safetensors",
    ),
}


CHECKS = {
    "criteria": testing.check_criterion,
    "operations": testing.check_operation,
    "transfers": testing.check_transfer,
    "analyzers": testing.check_analyzer,
    "datasets": testing.check_dataset,
    "models": testing.check_model,
    "exporters": testing.check_exporter,
    "studies": testing.check_study,
}

# Prepared by TensorFlow Datasets: tested where they are.
PREPARED = {
    "mnist": ["mnist"],
    "fashion-mnist": ["fashion_mnist"],
    "mnist-fashion": ["mnist", "fashion_mnist"],
    "cifar10": ["cifar10"],
    "cifar100": ["cifar100"],
}


def points(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    file = folder / "points.npz"
    np.savez(file, x=np.random.default_rng(0).normal(size=(60, 3)), y=np.arange(60) % 2)
    return {"file": str(file)}


def prepared_pictures(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv("TFDS_DATA_DIR", str(folder))
    prepare(folder, "pets", {"train": 60, "test": 20}, ["cat", "dog"], shape=(8, 8, 3))
    return {"name": "pets"}


def pictures(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    for label, name in enumerate(("cat", "dog")):
        (folder / name).mkdir()
        for number in range(30):
            keras.utils.save_img(folder / name / f"{number}.png", picture(label, number, (8, 8, 3)))
    return {"dir": str(folder)}


# What a name needs that has no defaults.
ARGUMENTS = {
    ("datasets", "npz"): points,
    ("datasets", "tfds"): prepared_pictures,
    ("datasets", "folder"): pictures,
}


#: TFMOT runs in processes of its own, for half a minute; `tests/plugins/test_tfmot.py` has quick tests of it.
#: The other prepared image sets share their code with mnist, the large models theirs with the small.
SLOW = {
    ("exporters", "tfmot"),
    *(("datasets", name) for name in ("cifar10", "fashion-mnist", "mnist-fashion")),
    ("models", "vgg-19"),
}


def registered(*groups):
    found = [(group, name) for group in groups for name in registry.names(group)]
    return [pytest.param(*one, marks=[pytest.mark.slow] if one in SLOW else []) for one in found]


@pytest.mark.parametrize(("group", "name"), registered(*CHECKS))
def test_a_registered_name_keeps_its_contract(group, name, tmp_path, monkeypatch):
    if group == "datasets" and name in PREPARED:
        home = os.environ.get("TFDS_DATA_DIR")
        for folder in PREPARED[name]:
            if not home or not list(Path(home, folder).glob("*/dataset_info.json")):
                pytest.skip(f"TFDS_DATA_DIR holds no {folder}")
    needs = ARGUMENTS.get((group, name))
    options = needs(tmp_path, monkeypatch) if needs else {}
    # A study is a module; everything else is made from its options.
    CHECKS[group](registry.load(group, name) if group == "studies" else registry.create(group, name, options))


def test_every_group_with_names_has_a_check():
    assert {group for group in registry.GROUPS if registry.names(group)} <= CHECKS.keys()


def test_the_names_of_this_release_are_registered():
    # An empty group would be tested by nothing above.
    assert set(registry.names("criteria")) >= {"iterative-snip", "magnitude", "random", "snip"}
    assert set(registry.names("operations")) >= {
        *("atm", "constant", "difference", "dtm", "flip", "grow", "intersection"),
        *("reinit", "reinit-sign", "rewind", "shuffle", "union"),
    }
    assert set(registry.names("analyzers")) >= {
        *("connectivity", "network", "overlap", "separation", "separation-degree", "structure", "weights")
    }
    assert set(registry.names("models")) >= {
        *("conv-2", "conv-4", "conv-6", "lenet-300-100", "lenet-5", "mlp", "resnet-20", "vgg-19")
    }
    assert set(registry.names("exporters")) >= {"keras", "litert", "onnx", "safetensors", "saved-model"}
    assert set(registry.names("datasets")) >= {
        "digits",
        "folder",
        "moons-circles",
        "npz",
        "tfds",
        *PREPARED,
    }


@pytest.mark.parametrize("name", registry.names("operations"))
def test_an_operation_names_itself_as_it_is_registered(name):
    operation = registry.create("operations", name)
    for tickets in ((testing.toy_ticket(),), (testing.toy_ticket(), testing.toy_ticket(1))):
        try:
            result = operation(*tickets)
        except (ValueError, TypeError, KerasTicketsError):
            continue
        assert result.provenance["operation"] == name


@pytest.mark.parametrize(("group", "name"), registered("criteria", "models", "datasets"))
def test_options_are_documented(group, name):
    for option in registry.options(registry.load(group, name)):
        assert option.help, f"{name} must say in its docstring's Args what {option.name} is"
