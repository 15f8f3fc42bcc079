import sys

import keras
import pytest

from kerastickets.errors import PluginError
from kerastickets.models.own_objects import own_objects
from kerastickets.models.trust import trusted, trusting

LAYERS = """
import keras

@keras.saving.register_keras_serializable("shop")
def squash(x):
    return x

@keras.saving.register_keras_serializable("shop")
class Shelf(keras.Layer):
    pass

class Price(keras.losses.Loss):
    pass

class _Private(keras.Layer):
    pass

class Ticket:
    pass

def helper():
    pass
"""


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A package whose `__init__` imports nothing, with a module of layers and one that imports from it."""
    package = tmp_path / "ownshop"
    (package / "inner").mkdir(parents=True)
    for empty in (package / "__init__.py", package / "inner" / "__init__.py"):
        empty.write_text("")
    (package / "goods.py").write_text(LAYERS)
    (package / "inner" / "more.py").write_text("from keras import layers\nfrom keras.layers import Dense\n"
                                               "class Shelf(layers.Layer):\n    pass\n")  # fmt: skip
    (package / "__main__.py").write_text("raise SystemExit('must not run')")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = {*keras.saving.get_custom_objects()}
    yield package
    for name in [name for name in sys.modules if name.partition(".")[0] == "ownshop"]:
        del sys.modules[name]
    for name in {*keras.saving.get_custom_objects()} - before:
        del keras.saving.get_custom_objects()[name]


def test_a_module_gives_what_it_registers_and_its_public_classes(shop):
    assert sorted(own_objects(["ownshop.goods"])) == ["Price", "Shelf", "shop>Shelf", "shop>squash", "squash"]


def test_a_package_whose_init_imports_nothing_gives_what_its_modules_have(shop):
    (shop / "inner" / "more.py").write_text("import keras\nclass Drawer(keras.Layer):\n    pass\n")
    assert sorted(own_objects(["ownshop"])) == [
        *("Drawer", "Price", "Shelf", "shop>Shelf", "shop>squash", "squash"),
    ]


def test_a_function_of_another_name_is_found_by_both_names(shop):
    (shop / "goods.py").write_text("loss = lambda y, p: p\ndef made(): pass\nother = made\n")
    found = own_objects(["ownshop.goods:loss", "ownshop.goods:other"])
    assert sorted(found) == ["<lambda>", "loss", "made", "other"]


def test_one_name_must_mean_one_thing(shop):
    with pytest.raises(PluginError, match=r"'Shelf' of ownshop.goods and of ownshop.inner.more"):
        own_objects(["ownshop.goods:Shelf", "ownshop.inner.more:Shelf"])
    assert own_objects(["ownshop.goods:Shelf", "ownshop.goods"])["Shelf"].__module__ == "ownshop.goods"


def test_trust_ends_with_its_block():
    with trusting({"A": 1}):
        with trusting({"B": 2, "A": 3}):
            assert trusted({"B": 4}) == {"A": 3, "B": 4}
        assert trusted() == {"A": 1}
        with pytest.raises(KeyError), trusting({"C": 1}):
            raise KeyError
    assert trusted() == {}
