"""A `.keras` file of a stranger is looked into before Keras unpacks it."""

import zipfile

import keras
import pytest

from kerastickets.errors import RecipeError
from kerastickets.models import keras_archive
from kerastickets.models.keras_archive import check_archive


def archive(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def test_what_keras_writes_is_sound(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.save(tmp_path / "a.keras")
    check_archive(tmp_path / "a.keras")
    (tmp_path / "b.keras").write_bytes(b"no archive")  # Keras refuses it
    check_archive(tmp_path / "b.keras")


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "a\0b"])
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    path = archive(tmp_path / "a.keras", **{"config.json": "{}", "placeholder": "x"})
    content = path.read_bytes().replace(b"placeholder", name.encode().ljust(11, b"y")[:11])
    path.write_bytes(content)
    with pytest.raises(
        RecipeError, match=r"a\.keras must be a model saved by Keras\. Received: a member named"
    ):
        check_archive(path)


def test_members_that_are_too_large_or_too_many_are_refused(tmp_path, monkeypatch):
    path = archive(tmp_path / "a.keras", **{"config.json": " " * 2000, "model.weights.h5": b"0" * 3000})
    monkeypatch.setattr(keras_archive, "_LARGEST_CONFIG", 1999)
    with pytest.raises(RecipeError, match=r"config\.json of 2,000 bytes"):
        check_archive(path)
    monkeypatch.setattr(keras_archive, "_MOST_MEMBERS", 1)
    with pytest.raises(RecipeError, match="2 members"):
        check_archive(path)
