"""The built-in data sets: sizes, splits and standardisation, and what missing or broken files say.

Real images are read from TFDS_DATA_DIR; without it those tests are skipped.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kerastickets import registry
from kerastickets.errors import DataError

#: Variants that `make test-slow` tries: function -> patterns of ids.
SLOW_VARIANTS = {
    "test_real_images_have_the_published_sizes_and_classes": ("fashion-mnist*", "cifar10*"),
    "test_a_damaged_prepared_set_is_a_named_error": ("None", "one_byte_changed", "whole_records"),
    "test_the_scaling_gives_the_bytes_back": ("mnist-fashion", "cifar10"),
}


PREPARE = "python -c \"import tensorflow_datasets as tfds; tfds.builder('mnist').download_and_prepare()\""


def load(spec):
    return registry.create("datasets", spec)()


def prepared(name):
    """The folder of one prepared version, or a skip."""
    home = os.environ.get("TFDS_DATA_DIR")
    if not home:
        pytest.skip("TFDS_DATA_DIR is not set")
    found = sorted(Path(home, name).glob("*/dataset_info.json"))
    if not found:
        pytest.skip(f"TFDS_DATA_DIR holds no {name}")
    return found[-1].parent


def counts(data, split):
    return np.bincount(getattr(data, split)[1]).tolist()


def test_digits_are_split_by_class_and_standardised_on_train():
    from sklearn.datasets import load_digits

    digits = load("digits")
    assert [len(split[0]) for split in (digits.train, digits.validation, digits.test)] == [1197, 300, 300]
    assert (digits.input_shape, digits.outputs, digits.train[0].dtype) == ((8, 8, 1), 10, np.float32)
    assert digits.train[0].mean() == pytest.approx(0, abs=1e-6)
    assert digits.train[0].std() == pytest.approx(1, abs=1e-6)
    images, labels = load_digits(return_X_y=True)
    share = 300 * np.bincount(labels) / 1797
    for split in ("validation", "test"):
        assert np.abs(counts(digits, split) - share).max() <= 1
    # Every digit is in one split: the pixel sums, made whole again, are those of the source.
    x = np.concatenate([digits.train[0], digits.validation[0], digits.test[0]]).reshape(1797, 64)
    scale = images.max() / (x.max() - x.min())
    sums = np.rint(((x - x.min()) * scale).sum(1)).astype(int)
    assert sorted(sums) == sorted(images.sum(1).astype(int))


@pytest.mark.parametrize("name", ["digits", "mnist", "mnist-fashion", "cifar10"])
def test_the_scaling_gives_the_bytes_back(name):
    for folder in {"mnist-fashion": ["mnist", "fashion_mnist"], "digits": []}.get(name, [name]):
        prepared(folder)
    data = load(name)
    mean, std = data.scaling
    raw = data.test[0] * std + mean
    np.testing.assert_allclose(raw, np.rint(raw), atol=1e-4)
    assert (raw.min().round(), raw.max().round()) == (0, 16 if name == "digits" else 255)
    np.testing.assert_array_equal((np.rint(raw) - mean) / std, data.test[0])


def test_digits_never_move():
    digits = load("digits")
    assert digits.train[1][:12].tolist() == [4, 0, 3, 9, 2, 8, 5, 1, 7, 6, 4, 0]
    assert digits.test[1][:12].tolist() == [3, 1, 5, 6, 4, 9, 7, 0, 2, 8, 3, 1]


def test_moons_circles_is_two_independent_tasks():
    data = load("moons-circles")
    assert [len(split[0]) for split in (data.train, data.validation, data.test)] == [1000, 500, 500]
    assert (data.input_shape, data.outputs, data.classes) == ((4,), 2, None)
    np.testing.assert_allclose(data.train[0].mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(data.train[0].std(0), 1, atol=1e-6)
    labels = np.concatenate([data.train[1], data.validation[1], data.test[1]])
    assert labels.dtype == np.float32
    assert labels.sum(0).tolist() == [1000, 1000]
    assert abs(np.corrcoef(labels.T)[0, 1]) < 0.1
    assert {name: (task.inputs, task.outputs) for name, task in data.tasks.items()} == {
        "circles": ((0, 1), (0,)),
        "moons": ((2, 3), (1,)),
    }


def test_moons_circles_columns_belong_to_their_labels():
    data = load("moons-circles")
    x, (circle, moon) = data.train[0], data.train[1].T.astype(bool)
    radius = np.hypot(x[:, 0], x[:, 1])
    assert np.mean((radius < radius.mean()) == circle) > 0.99  # label 1 is the inner circle
    assert x[moon, 3].mean() < 0 < x[~moon, 3].mean()  # label 1 is the lower moon


def test_moons_circles_metrics_are_made_anew():
    metrics = [make() for make in load("moons-circles").metrics]
    assert [metric.name for metric in metrics] == ["accuracy", "circles_accuracy", "moons_accuracy"]
    for metric in metrics:
        metric.update_state([[1.0, 1.0], [0.0, 0.0]], [[2.0, -1.0], [-1.0, -3.0]])
    assert [float(metric.result()) for metric in metrics] == [0.75, 1.0, 0.5]
    assert load("moons-circles").metrics[0]() is not metrics[0]


@pytest.mark.parametrize(
    ("name", "shape", "train", "whole"),
    [
        ("mnist", (28, 28, 1), 55000, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]),
        ("fashion-mnist", (28, 28, 1), 55000, [6000] * 10),
        ("cifar10", (32, 32, 3), 45000, [5000] * 10),
    ],
)
def test_real_images_have_the_published_sizes_and_classes(name, shape, train, whole):
    prepared(name.replace("-", "_"))
    data = load(name)
    assert [len(split[0]) for split in (data.train, data.validation, data.test)] == [train, 5000, 10000]
    assert (data.input_shape, data.outputs, data.train[0].dtype) == (shape, 10, np.float32)
    assert np.add(counts(data, "train"), counts(data, "validation")).tolist() == whole
    assert load(name).validation[1].tolist() == data.validation[1].tolist()
    if name == "mnist":
        assert counts(data, "test") == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
        assert data.train[0].min() == pytest.approx((0 - 0.1307) / 0.3081, rel=1e-6)
        assert data.train[0].max() == pytest.approx((1 - 0.1307) / 0.3081, rel=1e-6)
        held = {image.tobytes() for image in data.validation[0]}
        assert len(held) == 5000
        assert not any(image.tobytes() in held for image in data.train[0])
    elif name == "fashion-mnist":
        assert data.train[0].mean(dtype=float) == pytest.approx(0, abs=1e-5)
        assert data.train[0].std(dtype=float) == pytest.approx(1, abs=1e-5)
    else:
        low = (0 - np.array([0.4914, 0.4822, 0.4465])) / np.array([0.2023, 0.1994, 0.2010])
        np.testing.assert_allclose(data.train[0].min((0, 1, 2)), low, rtol=1e-6)


@pytest.mark.parametrize(("name", "folder"), [("mnist", "mnist"), ("fashion-mnist", "fashion_mnist")])
def test_an_unprepared_set_says_where_it_looked_and_what_to_do(name, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(DataError) as caught:
        load(name)
    assert str(tmp_path / folder) in str(caught.value)
    assert PREPARE.replace("mnist", folder) in str(caught.value)


def test_without_tfds_data_dir_the_default_folder_of_tfds_is_searched(tmp_path, monkeypatch):
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(DataError, match="TFDS_DATA_DIR is not set") as caught:
        load("cifar10")
    assert str(tmp_path / "tensorflow_datasets" / "cifar10") in str(caught.value)


def test_an_unprepared_set_fails_before_tensorflow_is_imported(tmp_path):
    # An interrupted preparation is no prepared set either.
    (tmp_path / "mnist" / "3.0.1.incompleteABCDEF").mkdir(parents=True)
    (tmp_path / "mnist" / "3.0.1.incompleteABCDEF" / "dataset_info.json").touch()
    code = (
        "import sys\nfrom kerastickets import registry\n"
        "try:\n    registry.create('datasets', 'mnist')()\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
        "print(sorted({'tensorflow', 'tensorflow_datasets', 'keras'} & set(sys.modules)))"
    )
    environment = {**os.environ, "TFDS_DATA_DIR": str(tmp_path), "PYTHONSAFEPATH": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    message, modules = done.stdout.splitlines()
    assert message.startswith("DataError Data set 'mnist' must be prepared once. Searched: ")
    assert modules == "[]"


def test_the_newest_prepared_version_is_read(tmp_path, monkeypatch):
    for version in ("3.0.9", "3.0.10"):
        (tmp_path / "mnist" / version).mkdir(parents=True)
        (tmp_path / "mnist" / version / "dataset_info.json").write_text("no JSON")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(DataError, match=r"3\.0\.10 must be readable and complete") as caught:
        load("mnist")
    assert PREPARE in str(caught.value)


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def one_byte_changed(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def whole_records(content: bytes) -> bytes:
    """The first records of a TFRecord file: a length of 8 bytes, a checksum of 4, the data, a checksum."""
    end = 0
    for _ in range(100):
        end += 8 + 4 + int.from_bytes(content[end : end + 8], "little") + 4
    return content[:end]


@pytest.mark.parametrize("damage", [half, one_byte_changed, whole_records, None])
def test_a_damaged_prepared_set_is_a_named_error(damage, tmp_path, monkeypatch):
    source = prepared("mnist")
    folder = tmp_path / "mnist" / source.name
    folder.mkdir(parents=True)
    for path in source.iterdir():
        # The test split is a sixth of train, and as good for this.
        if path.suffix == ".json" or "train" in path.name:
            (folder / path.name).symlink_to(path)
        elif damage and "test" in path.name:
            (folder / path.name).write_bytes(damage(path.read_bytes()))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(DataError, match=r"must be readable and complete. Received: ") as caught:
        load("mnist")
    assert str(folder) in str(caught.value)
    assert "{{" not in str(caught.value)


X = np.arange(300, dtype=np.float64).reshape(100, 3)
Y = np.arange(100) % 4


def npz(tmp_path, **arrays):
    np.savez(tmp_path / "toy.npz", **arrays)
    return f"npz:{tmp_path / 'toy.npz'}"


def test_npz_of_x_and_y_is_split_by_class(tmp_path):
    data = load(npz(tmp_path, x=X, y=Y))
    assert [len(split[0]) for split in (data.train, data.validation, data.test)] == [80, 10, 10]
    assert (data.name, data.classes, data.outputs) == ("npz:toy.npz", 4, 4)
    assert counts(data, "train") == [20, 20, 20, 20]
    np.testing.assert_allclose(data.train[0].mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(data.train[0].std(0), 1, atol=1e-6)
    column = np.concatenate([data.train[0], data.validation[0], data.test[0]])[:, 0]
    assert len(set(column.tolist())) == 100


def test_npz_splits_by_seed(tmp_path):
    spec = npz(tmp_path, x=X, y=Y)
    assert load(spec).test[0].tolist() == load(spec).test[0].tolist()
    assert load(spec).test[0].tolist() != load(f"{spec},seed=1").test[0].tolist()


@pytest.mark.parametrize("held", ["val", "validation"])
def test_npz_keeps_the_splits_of_the_file(held, tmp_path):
    splits = {"x_train": X[:60], "y_train": Y[:60], "x_test": X[80:], "y_test": Y[80:]}
    data = load(npz(tmp_path, **splits, **{f"x_{held}": X[60:80], f"y_{held}": Y[60:80]}))
    assert [len(split[0]) for split in (data.train, data.validation, data.test)] == [60, 20, 20]
    assert data.validation[1].tolist() == Y[60:80].tolist()
    # Column 0 of train is 0, 3 ... 177: mean 88.5, standard deviation 3 * sqrt((60**2 - 1) / 12).
    assert data.test[0][0, 0] == pytest.approx((240 - 88.5) / (3 * np.sqrt(3599 / 12)), rel=1e-6)


def test_npz_takes_validation_out_of_train(tmp_path):
    data = load(npz(tmp_path, x_train=X[:60], y_train=Y[:60], x_test=X[60:], y_test=Y[60:]))
    assert [len(split[0]) for split in (data.train, data.validation, data.test)] == [54, 6, 40]


@pytest.mark.parametrize("shape", [(100, 4, 4), (100, 4, 4, 3)])
def test_npz_images_of_bytes_are_standardised(shape, tmp_path):
    x = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    data = load(npz(tmp_path, x=x, y=Y[:, None].astype(np.uint8)))
    axis = (0, 1, 2) if len(shape) == 4 else None
    np.testing.assert_allclose(data.train[0].mean(axis), 0, atol=1e-5)
    np.testing.assert_allclose(data.train[0].std(axis), 1, atol=1e-5)
    assert data.classes == 4
    assert np.rint(data.test[0] * data.scaling[1] + data.scaling[0]).max() == 255
    assert data.raw == "uint8"
    assert load(npz(tmp_path, x=x.astype(float), y=Y)).raw == "float32"


def test_npz_of_float_targets_is_a_regression(tmp_path):
    data = load(npz(tmp_path, x=X, y=X[:, 0] / 7))
    assert (data.classes, data.outputs, data.loss, data.train[1].shape) == (
        None,
        1,
        "mean_squared_error",
        (80, 1),
    )


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X}, "Received: no y, but x"),
        ({"images": X}, "Received: no x_train and no y_train, but images"),
        ({}, "no array at all"),
        ({"x_train": X, "y_train": Y}, "no x_test and no y_test, but x_train, y_train"),
        ({"x": X, "y": Y[:50]}, r"Received: shapes \(100, 3\) and \(50,\)"),
        ({"x": X, "y": np.float64(3)}, r"Received: shapes \(100, 3\) and \(\)"),
        ({"x": X, "y": np.eye(100, dtype=int)}, r"y.argmax\(axis=1\)"),
        ({"x": X, "y": Y.astype(object)}, "plain arrays of numbers.*array y: its dtype is object"),
        ({"x": X, "y": Y.astype(str)}, "plain arrays of numbers.*array y: its dtype is <U"),
        ({"x": np.where(X == 7, np.nan, X), "y": Y}, "finite. Received: 1 NaN"),
        ({"x": X, "y": Y * 2}, "4 of 7 classes, none of class 1"),
        ({"x": X, "y": Y - 1}, "must be 0 to 2. Received: labels from -1 to 2"),
        ({"x": X, "y": np.zeros(100, int)}, "at least 2"),
        ({"x": X[:5], "y": Y[:5]}, "validation .* must not be empty"),
    ],
)
def test_npz_refuses(arrays, message, tmp_path):
    with pytest.raises(DataError, match=message):
        load(npz(tmp_path, **arrays))


@pytest.mark.parametrize("kind", ["missing", "folder", "text", "empty", "npy", "cut", "altered"])
def test_npz_refuses_other_files(kind, tmp_path):
    path = tmp_path / "toy.npz"
    npz(tmp_path, x=X, y=Y)
    content = path.read_bytes()
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "npy":
        with path.open("wb") as file:
            np.save(file, X)
    elif kind != "missing":
        altered = one_byte_changed(content)
        path.write_bytes({"text": b"x,y\n", "empty": b"", "cut": half(content), "altered": altered}[kind])
    with pytest.raises(DataError, match=r"`file` must be an .npz file"):
        load(f"npz:{path}")
