"""CIFAR-100, `tfds:NAME` and `folder:DIR` on made-up images, and MNIST-Fashion on the real ones."""

import json
import os
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

import kerastickets as kt
from kerastickets import registry
from kerastickets.data.spec import data_digest, data_of
from kerastickets.errors import DataError, PluginError
from kerastickets.foundations import memory
from kerastickets.foundations.tree import generator
from tests.helpers.preparing import picture, prepare


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    return tmp_path


def sizes(data):
    return [len(split[0]) for split in (data.train, data.validation, data.test)]


# CIFAR-100.

NAMES = [f"class{n}" for n in range(100)]


def test_cifar100_has_a_hundred_named_classes_standardised_by_channel(home, monkeypatch):
    monkeypatch.setattr(registry.load("datasets", "cifar100"), "sizes", (1000, 200))
    prepare(home, "cifar100", {"train": 1000, "test": 200}, NAMES)
    data = data_of("cifar100")
    assert sizes(data) == [900, 100, 200]
    assert (data.input_shape, data.classes, data.labels) == ((32, 32, 3), 100, tuple(NAMES))
    mean, std = np.array([0.5071, 0.4865, 0.4409]), np.array([0.2673, 0.2564, 0.2762])
    for x, y in (data.train, data.validation, data.test):
        pixels = np.rint((x * std + mean) * 255)
        assert np.array_equal(pixels[:, 0, 0, 0], y)  # the images carry their labels
    assert np.array_equal(
        np.rint((data.test[0][3] * std + mean) * 255), picture(3, "('test', 3)", (32, 32, 3))
    )
    assert np.array_equal(data_of("cifar100").validation[1], data.validation[1])
    two = data_of("cifar100[class7,class3]")
    assert np.array_equal(
        np.rint((two.test[0] * std + mean) * 255)[:, 0, 0, 0], np.where(two.test[1] == 0, 7, 3)
    )
    with pytest.raises(
        DataError, match=r"No class of data set 'cifar100' named 'class'. Did you mean 'class\d'\?"
    ):
        data_of("cifar100[class,class3]")


def test_cifar100_of_another_size_is_refused(home):
    folder = prepare(home, "cifar100", {"train": 100, "test": 100}, NAMES)
    with pytest.raises(DataError, match=r"shape \(100, 32, 32, 3\), expected \(50000, 32, 32, 3\)") as caught:
        data_of("cifar100")
    assert str(folder) in str(caught.value)


# tfds:NAME.


def test_any_prepared_set_is_read(home):
    prepare(home, "pets", {"train": 100, "test": 20}, ["cat", "dog"], shape=(8, 8, 3))
    data = data_of("tfds:pets")
    assert (data.name, data.labels, data.input_shape, sizes(data)) == (
        "tfds:pets",
        ("cat", "dog"),
        (8, 8, 3),
        [90, 10, 20],
    )
    assert np.bincount(data.validation[1]).tolist() == [5, 5]
    np.testing.assert_allclose(data.train[0].mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(data.train[0].std((0, 1, 2)), 1, atol=1e-5)
    assert data_of("tfds:pets[dog,cat]").test[1].tolist() == [1, 0] * 10


def test_a_prepared_set_is_pruned_by_its_name(home):
    prepare(home, "pets", {"train": 100, "test": 20}, ["cat", "dog"], shape=(8, 8, 3))
    run = kt.prune("mlp:4", "tfds:pets[dog,cat]", levels=1, rate=0.5, train="1ep", jit="off", batch_size=20)
    assert run.tickets[-1].provenance["dataset"] == "tfds:pets[dog,cat]"
    assert kt.evaluate(run.tickets[-1])["examples"] == 20


@pytest.mark.parametrize(
    ("parts", "option", "expected"),
    [
        ({"train": 100}, "", [80, 10, 10]),
        ({"train": 60, "validation": 20, "test": 30}, "", [60, 20, 30]),
        ({"train": 60, "validation": 20}, "", [54, 20, 6]),
        ({"train": 60, "validation": 20, "test": 30}, ",splits=train-validation", [54, 6, 20]),
        ({"labelled": 60, "extra": 30, "held": 20}, ",splits=labelled-held-extra", [60, 20, 30]),
        ({"labelled": 50}, ",splits=labelled", [40, 5, 5]),
    ],
)
def test_missing_splits_are_tenths_of_train(parts, option, expected, home):
    prepare(home, "pets", parts, ["cat", "dog"], shape=(4, 4, 1))
    assert sizes(data_of(f"tfds:pets{option}")) == expected


def test_images_of_several_sizes_need_one(home):
    prepare(home, "pets", {"train": 40, "test": 20}, ["cat", "dog"], shape=(6, 8, 3), stated=(None, None, 3))
    with pytest.raises(DataError, match="Images of several sizes must be scaled with size=HEIGHTxWIDTH"):
        data_of("tfds:pets")
    assert data_of("tfds:pets,size=5x3").input_shape == (5, 3, 3)
    assert registry.create("datasets", "tfds:pets", {"size": (5, 3)}).size == (5, 3)


def test_configurations_lie_in_folders_of_their_own(home):
    prepare(home, "pets/small", {"train": 40, "test": 20}, ["cat", "dog"], shape=(4, 4, 1), version="1.0.0")
    assert sizes(data_of("tfds:pets,config=small")) == [36, 4, 20]
    with pytest.raises(DataError, match="Data set 'pets/large' must be prepared once"):
        data_of("tfds:pets,config=large")


def test_other_sets_are_refused(home):
    prepare(home, "pets", {"extra": 40}, ["cat", "dog"], shape=(4, 4, 1))
    with pytest.raises(
        DataError, match=r"must have a split to train on.* Name its splits with splits=TRAIN-TEST"
    ):
        data_of("tfds:pets")
    with pytest.raises(DataError, match=r"has the splits extra. Received: 'train'"):
        data_of("tfds:pets,splits=train-extra")
    with pytest.raises(DataError, match="Data set 'cats' must be prepared once"):
        data_of("tfds:cats")
    image, number = tfds.features.Image(shape=(4, 4, 1)), tfds.features.Scalar(np.int64)
    features = tfds.features.FeaturesDict({"image": image, "label": number})
    prepare(home, "measured", {"train": 20}, ["cat", "dog"], shape=(4, 4, 1), features=features)
    with pytest.raises(DataError, match=r"features `image` and `label` \(a class\)\. Received: image, label"):
        data_of("tfds:measured")


@pytest.mark.parametrize("kind", ["pipe", "broken"])
def test_a_prepared_set_has_regular_files_only(kind, home):
    folder = prepare(home, "pets", {"train": 40}, ["cat", "dog"], shape=(4, 4, 1))
    file = next(folder.glob("*train*"))
    file.unlink()
    if kind == "pipe":
        os.mkfifo(file)  # TFDS would wait for a writer
    else:
        file.symlink_to("nowhere")
    with pytest.raises(DataError, match=rf"{file.name}, which is not a regular file\. Remove that folder"):
        data_of("tfds:pets")


def test_a_prepared_set_must_fit_into_memory(home, monkeypatch):
    prepare(home, "pets", {"train": 40, "test": 20}, ["cat", "dog"], shape=(6, 8, 3), stated=(None, None, 3))
    for size in ("999999x999999", "999999999999999999x999999999999999999"):
        with pytest.raises(DataError, match=r"The images in .* must fit into the memory of this machine"):
            data_of(f"tfds:pets,size={size}")
    monkeypatch.setattr(memory, "free_memory", lambda: 60 * 6 * 8 * 3 * 9)
    assert data_of("tfds:pets,size=6x8,stream=no").input_shape == (6, 8, 3)
    monkeypatch.setattr(memory, "free_memory", lambda: 60 * 6 * 8 * 3 * 9 - 1)
    with pytest.raises(DataError, match="must fit into the memory"):
        data_of("tfds:pets,size=6x8,stream=no")


@pytest.mark.parametrize(
    "spec", ["tfds:../pets", "tfds:pets,config=..", "tfds:pets,size=0x4", "tfds:a,splits=a-b-c-d"]
)
def test_options_that_cannot_be(spec):
    with pytest.raises(PluginError, match="The dataset 'tfds' refuses its options"):
        registry.create("datasets", spec)
    with pytest.raises(PluginError, match="Option 'size' of Tfds must be"):
        registry.create("datasets", "tfds:pets,size=4")


# folder:DIR.


def draw(folder, label, count, shape=(6, 8, 3), suffix=".png", value=0):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        image = picture(value, number, shape)
        keras.utils.save_img(folder / f"{label}{number:02}{suffix}", image, scale=False)


@pytest.fixture
def pets(tmp_path):
    for n, name in enumerate(("cat", "bird", "dog")):
        draw(tmp_path / "pets" / name, name, 20, value=n)
    (tmp_path / "pets" / "cat" / "notes.txt").write_text("no image")
    (tmp_path / "pets" / "cat" / ".hidden.png").write_text("no image")
    (tmp_path / "pets" / ".cache").mkdir()
    return tmp_path / "pets"


def test_class_folders_are_split_by_class(pets):
    data = data_of(f"folder:{pets}")
    assert (data.name, data.labels, data.input_shape) == ("folder:pets", ("bird", "cat", "dog"), (6, 8, 3))
    assert sizes(data) == [48, 6, 6]
    assert np.bincount(data.test[1]).tolist() == [2, 2, 2]
    np.testing.assert_allclose(data.train[0].mean((0, 1, 2)), 0, atol=1e-5)
    again = data_of(f"folder:{pets}")
    assert np.array_equal(data.test[0], again.test[0])
    assert not np.array_equal(data.test[0], data_of(f"folder:{pets},seed=1").test[0])
    assert data_of(f"folder:{pets}[dog,bird]").labels == ("dog", "bird")


def test_options_scale_and_grey(pets):
    assert data_of(f"folder:{pets},size=4x5,color=gray").input_shape == (4, 5, 1)
    with pytest.raises(PluginError, match="Option 'color' of Folder must be"):
        data_of(f"folder:{pets},color=grey")


def test_split_folders_are_kept(tmp_path):
    for part, count in (("train", 20), ("test", 3)):
        for n, name in enumerate("ab"):
            draw(tmp_path / part / name, name, count, shape=(4, 4, 1), suffix=".png", value=n)
    assert sizes(data_of(f"folder:{tmp_path}")) == [36, 4, 6]
    for n, name in enumerate("ab"):
        draw(tmp_path / "validation" / name, name, 2, shape=(4, 4, 1), value=n)
    data = data_of(f"folder:{tmp_path},color=gray")
    assert sizes(data) == [40, 4, 6]
    assert data.test[1].tolist() == [0, 0, 0, 1, 1, 1]
    draw(tmp_path / "test" / "c", "c", 1, shape=(4, 4, 1))
    with pytest.raises(DataError, match=r"Every class must be in train, which has a, b. Received: .*/test/c"):
        data_of(f"folder:{tmp_path}")


def test_a_ticket_of_a_folder_names_no_path(pets):
    run = kt.prune("mlp:4", f"folder:{pets}", levels=1, rate=0.5, train="1ep", jit="off", batch_size=16)
    provenance = dict(run.tickets[-1].provenance)
    assert provenance["dataset"] == "folder:pets"
    assert str(pets.parent) not in json.dumps(provenance)


def test_what_a_folder_must_hold(pets):
    with pytest.raises(
        DataError, match=r"`dir` must be a folder. Received: dir='.*nowhere', which is not a folder"
    ):
        data_of(f"folder:{pets / 'nowhere'}")
    with pytest.raises(
        DataError, match=r"cat must contain one folder of images per class. Received: no folders"
    ):
        data_of(f"folder:{pets / 'cat'}")
    draw(pets / "dog", "wide", 1, shape=(6, 9, 3))
    with pytest.raises(
        DataError, match=r"size=HEIGHTxWIDTH. Received: .*wide00.png of \(6, 9\), .*bird00.png"
    ):
        data_of(f"folder:{pets}")
    (pets / "fish").mkdir()
    with pytest.raises(DataError, match=r"fish must contain PNG or JPEG images. Received: none in it"):
        data_of(f"folder:{pets},size=4x4")


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_a_corrupt_image_is_named(content, pets):
    file = pets / "dog" / "dog07.png"
    file.write_bytes(file.read_bytes()[:60] if content is None else content)
    with pytest.raises(DataError, match=r"dog07\.png must be a PNG or JPEG image. Received: ") as caught:
        data_of(f"folder:{pets}")
    assert "{{" not in str(caught.value)


# MNIST and Fashion-MNIST side by side.


def test_mnist_fashion_is_two_tasks_side_by_side():
    home = os.environ.get("TFDS_DATA_DIR")
    for name in ("mnist", "fashion_mnist"):
        if not home or not list(Path(home, name).glob("*/dataset_info.json")):
            pytest.skip(f"TFDS_DATA_DIR holds no {name}")
    data = data_of("mnist-fashion")
    assert (sizes(data), data.input_shape, data.outputs) == ([55000, 5000, 10000], (28, 56, 1), 20)
    x, y = data.train
    assert (y.shape, data.classes) == ((55000, 2), (10, 10))
    mean, std = x.mean((0, 3), dtype=float), x.std((0, 3), dtype=float)
    np.testing.assert_allclose(mean, 0, atol=1e-4)
    assert np.all((np.abs(std - 1) < 1e-3) | (std == 0))
    assert 0 < (std == 0).sum() < 28 * 56 / 10  # constant pixels: corners that no digit reaches
    mnist, fashion = data_of("mnist"), data_of("fashion-mnist")
    assert np.array_equal(y[:, 0], mnist.train[1])
    assert sorted(y[:, 1]) == sorted(fashion.train[1])
    assert abs(np.corrcoef(y.T)[0, 1]) < 0.02
    # The halves are those of the two sets: what is brighter in one is so in the other.
    own = mnist.train[0][:100, 14, 14, 0]
    assert np.corrcoef(x[:100, 14, 14, 0], own)[0, 1] > 0.9999
    assert data.tasks["mnist"].inputs[:2] == (0, 1)
    assert data.tasks["fashion"].inputs[:2] == (28, 29)
    assert len(data.tasks["fashion"].inputs) == 784
    assert data.tasks["fashion"].outputs == tuple(range(10, 20))
    with pytest.raises(DataError, match=r"one task of classes. Received: mnist-fashion\[1,2\]"):
        data_of("mnist-fashion[1,2]")


# Streamed from disk.


def folder_of(home):
    for name, top in (("cat", 256), ("dog", 120)):
        (home / name).mkdir(parents=True)
        for number in range(20):
            pixels = generator("streamed folder", name, number).integers(0, top, (4, 5, 3)).astype(np.uint8)
            (home / name / f"{number:02}.png").write_bytes(tf.io.encode_png(pixels).numpy())
    return home


def same_on_disk(spec):
    """The set in memory, whose arrays the set on disk must have."""
    whole, streamed = (data_of(f"{spec},stream={stream}") for stream in ("no", "yes"))
    assert (whole.streamed, streamed.streamed) == (False, True)
    assert (streamed.name, streamed.labels, streamed.standardised()) == (
        whole.name,
        whole.labels,
        whole.standardised(),
    )
    assert data_digest(streamed) == data_digest(whole)
    return whole


def test_a_folder_is_streamed_to_the_same_examples(tmp_path, monkeypatch):
    spec = f"folder:{folder_of(tmp_path / 'pets')}"
    whole = same_on_disk(spec)
    for options in (",size=3x2,color=gray", ",standardise=no", ",seed=3"):
        same_on_disk(spec + options)
    two = data_of(f"{spec},stream=yes[dog,cat]")
    assert (two.streamed, two.labels) == (True, ("dog", "cat"))
    assert not data_of(spec).streamed
    monkeypatch.setattr(memory, "free_memory", lambda: 8 * 40 * 60 - 1)
    limited = data_of(spec)
    assert limited.streamed
    assert data_digest(limited) == data_digest(whole)
    with pytest.raises(DataError, match=r"The 40 images of \(4, 5\) in .* must fit into the memory"):
        data_of(f"{spec},stream=no")


def test_a_prepared_set_is_streamed_to_the_same_examples(home, monkeypatch):
    prepare(home, "pets", {"train": 40, "test": 20}, ["cat", "dog"], shape=(8, 8, 3), stated=(8, 8, None))
    digest = data_digest(same_on_disk("tfds:pets"))
    same_on_disk("tfds:pets,size=5x4,splits=train-test")
    monkeypatch.setattr(memory, "free_memory", lambda: 8 * 60 * 192 - 1)
    limited = data_of("tfds:pets")
    assert (limited.streamed, data_digest(limited)) == (True, digest)


@pytest.mark.slow
def test_real_images_are_streamed_to_the_same_ticket():
    if not list(Path(os.environ.get("TFDS_DATA_DIR", "nowhere"), "mnist").glob("*/dataset_info.json")):
        pytest.skip("TFDS_DATA_DIR holds no mnist")
    runs = [
        kt.prune("lenet-300-100", f"tfds:mnist,stream={stream}", levels=1, train="500it", eval_every="250it")
        for stream in ("no", "yes")
    ]
    for whole, streamed in zip(*(run.tickets for run in runs), strict=True):
        assert streamed.digest != whole.digest  # the provenance names another data set
        assert streamed.provenance["metrics"] == whole.provenance["metrics"]
        for name in whole.snapshots:
            for key, weights in whole.weights(name).items():
                np.testing.assert_array_equal(streamed.weights(name)[key], weights)
