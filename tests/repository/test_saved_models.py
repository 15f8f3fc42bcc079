"""The shipped examples run in processes that know nothing of this library, as well as their cards say."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kerastickets import registry
from kerastickets.data.spec import data_of
from kerastickets.exporting.report import size_of

#: Variants that `make test-slow` tries: function -> patterns of ids.
SLOW_VARIANTS = {
    "test_other_formats_are_as_accurate_as_their_card_says": ("*compacted*",),
    "test_a_saved_model_is_as_accurate_as_its_card_says": (
        "digits-conv-2-compacted",
        "digits-lenet-imp-95-compacted",
    ),
}


FOLDER = Path(__file__).resolve().parents[2] / "saved_models"
CARDS = {card.parent.name: json.loads(card.read_text("utf-8")) for card in sorted(FOLDER.glob("*/card.json"))}
EXPORTS = [(name, file) for name, card in CARDS.items() for file in card["exports"]]

# Classifies raw images by each SavedModel that is named, with TensorFlow alone.
CLASSIFY = """
import json, sys
import numpy as np
import tensorflow as tf
images, labels = np.load(sys.argv[1]), np.load(sys.argv[2])
right = {}
for path in sys.argv[3:]:
    found = tf.saved_model.load(path).signatures["classify"](tf.constant(images))
    assert found["label"].numpy().astype(str).tolist() == found["class"].numpy().astype(str).tolist()
    assert ((found["probability"] > 0) & (found["probability"] <= 1)).numpy().all()
    right[path] = int((found["class"].numpy() == labels).sum())
assert not [name for name in sys.modules if name.startswith("kerastickets")]
print(json.dumps(right))
"""


@pytest.fixture(scope="module")
def digits():
    return registry.create("datasets", "digits")()


@pytest.fixture(scope="module")
def rights(digits, tmp_path_factory):
    """How many test images each SavedModel gets right, all asked by one process."""
    folder = tmp_path_factory.mktemp("digits")
    raw = registry.create("exporters", "saved-model:raw=true").inputs(digits.test[0], digits)
    np.save(folder / "images.npy", raw)
    np.save(folder / "labels.npy", digits.test[1])
    paths = [str(FOLDER / name / file) for name, file in EXPORTS if file == "1"]
    command = [sys.executable, "-I", "-c", CLASSIFY, "images.npy", "labels.npy", *paths]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_there_are_six_examples_and_they_are_small():
    assert len(CARDS) >= 6
    assert size_of(FOLDER) < 3_000_000


@pytest.mark.parametrize("name", [name for name, file in EXPORTS if file == "1"])
def test_a_saved_model_is_as_accurate_as_its_card_says(name, rights, digits):
    stated = CARDS[name]["exports"]["1"]["accuracy_after"] * len(digits.test[1])
    assert rights[str(FOLDER / name / "1")] == pytest.approx(
        stated, abs=1
    )  # another processor rounds otherwise


@pytest.mark.parametrize(("name", "file"), [one for one in EXPORTS if one[1] != "1"])
def test_other_formats_are_as_accurate_as_their_card_says(name, file, tmp_path):
    card, digits = CARDS[name]["exports"][file], data_of(CARDS[name].get("dataset", "digits"))
    exporter = registry.create(
        "exporters", card["format"], {"raw": True} if card["format"] == "litert" else {}
    )
    np.save(tmp_path / "in.npy", getattr(exporter, "inputs", lambda x, data: x)(digits.test[0], digits))
    command = [sys.executable, "-I", str(exporter.reader), str(FOLDER / name / file), "in.npy", "out.npy"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    right = (np.load(tmp_path / "out.npy").argmax(1) == digits.test[1]).sum()
    assert right == pytest.approx(card["accuracy_after"] * len(digits.test[1]), abs=1)


@pytest.mark.parametrize(("name", "file"), EXPORTS)
def test_sizes_are_those_of_the_card(name, file):
    assert size_of(FOLDER / name / file) == CARDS[name]["exports"][file]["bytes"]


def test_compacted_examples_are_smaller_than_dense_ones():
    for name, card in CARDS.items():
        if "compacted" in name:
            report = card["exports"]["1"]
            assert report["bytes"] < report["bytes_dense"]
            assert report["multiply_adds"]["executed"] < report["multiply_adds"]["dense"]
