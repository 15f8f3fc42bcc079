"""Plugins by entry point, against distributions made up in a temporary folder."""

import os
import subprocess
import sys
from dataclasses import FrozenInstanceError

import pytest

from kerastickets import registry
from kerastickets.errors import PluginError
from kerastickets.registry import GROUPS, Entry, create, describe, entries, load, names

SOURCE = '''
from dataclasses import dataclass
from typing import Literal

@dataclass(frozen=True)
class Net:
    """A net.

    Args:
        widths: of the hidden layers.
    """

    widths: tuple[int, ...] = (8,)
    padding: Literal["same", "valid"] = "same"
    max_depth: int | None = None
    bias: bool = True
    scale: float = 1.0

    def __post_init__(self):
        if not self.widths:
            raise ValueError("`widths` must not be empty. Received: widths=()")

@dataclass(frozen=True)
class File:
    file: str
    normalise: bool = False

@dataclass(frozen=True)
class Bare:
    pass

class Plain:
    pass

def function(data):
    return data
'''


@pytest.fixture
def distribution(tmp_path, monkeypatch):
    """Installs a distribution: its name, a module's source, and its entry points by group."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(name, source, points, version="1.0"):
        module = name.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        text = "".join(
            f"[kerastickets.{group}]\n" + "".join(f"{key} = {value}\n" for key, value in group_points.items())
            for group, group_points in points.items()
        )
        (info / "entry_points.txt").write_text(text)
        monkeypatch.delitem(sys.modules, module, raising=False)

    yield install
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.fixture
def toys(distribution):
    distribution(
        "toy-models",
        SOURCE,
        {
            "models": {"toy-net": "toy_models:Net", "toy-plain": "toy_models:Plain"},
            "datasets": {"toy-file": "toy_models:File", "toy-bare": "toy_models:Bare"},
            "studies": {"toy-study": "toy_models"},
            "operations": {"toy-function": "toy_models:function"},
        },
    )


def test_the_groups_are_those_of_the_design():
    assert GROUPS == (
        "criteria",
        "operations",
        "transfers",
        "analyzers",
        "datasets",
        "models",
        "exporters",
        "studies",
    )


@pytest.mark.usefixtures("toys")
def test_entries_come_from_metadata_alone():
    assert "toy_models" not in sys.modules
    entry = Entry("models", "toy-net", "toy_models:Net", "toy-models", "1.0")
    assert entry in entries("models")
    assert "toy-net" in names("models")
    assert list(names("models")) == sorted(set(names("models")))
    assert "toy_models" not in sys.modules
    with pytest.raises(FrozenInstanceError):
        entry.name = "other"


@pytest.mark.usefixtures("toys")
def test_load_gives_the_object_itself():
    net = load("models", "toy-net")
    assert net is sys.modules["toy_models"].Net
    assert load("studies", "toy-study") is sys.modules["toy_models"]
    assert registry.options(net)[0].help == "of the hidden layers."


@pytest.mark.parametrize(
    ("spec", "options", "described"),
    [
        ("toy-net", {}, {}),
        ("toy-net:", {}, {}),
        ("toy-net:300-100", {}, {"widths": [300, 100]}),
        ("toy-net:widths=300-100", {}, {"widths": [300, 100]}),
        ("toy-net:padding=valid", {}, {"padding": "valid"}),
        ("toy-net:4,padding=valid,max-depth=2", {}, {"widths": [4], "padding": "valid", "max_depth": 2}),
        ("toy-net:max_depth=none", {}, {}),
        ("toy-net:padding=valid", {"bias": "false"}, {"padding": "valid", "bias": False}),
        ("toy-net", {"widths": (3, 4), "scale": 2}, {"widths": [3, 4], "scale": 2.0}),
        ("toy-net", {"max-depth": "3"}, {"max_depth": 3}),
    ],
)
@pytest.mark.usefixtures("toys")
def test_create(spec, options, described):
    defaults = {"widths": [8], "padding": "same", "max_depth": None, "bias": True, "scale": 1.0}
    assert describe(create("models", spec, options)) == {**defaults, **described}


@pytest.mark.parametrize(
    ("spec", "file"),
    [
        ("toy-file:points.npz", "points.npz"),
        (r"toy-file:C:\data\points.npz", r"C:\data\points.npz"),
        ("toy-file:runs/a=1/points.npz", "runs/a=1/points.npz"),
        ("toy-file:file=a=b.npz", "a=b.npz"),
    ],
)
@pytest.mark.usefixtures("toys")
def test_the_bare_argument_is_the_first_option(spec, file):
    assert create("datasets", spec).file == file


@pytest.mark.usefixtures("toys")
def test_a_value_with_a_comma_goes_into_options():
    assert create("datasets", "toy-file", {"file": "a,b.npz"}).file == "a,b.npz"
    assert create("models", "toy-net", {"widths": "3,4"}).widths == (3, 4)


@pytest.mark.parametrize(
    ("group", "spec", "options", "message"),
    [
        (
            "models",
            "toy-nut",
            {},
            r"No model named 'toy-nut'\. Did you mean 'toy-net'\? Installed: .*toy-net",
        ),
        (
            "model",
            "toy-net",
            {},
            r"No group of plugins named 'model'\. Did you mean 'models'\? Groups: analyzers",
        ),
        ("models", "toy-net:pading=valid", {}, r"No option of Net named 'pading'\. Did you mean 'padding'\?"),
        (
            "models",
            "toy-net:padding=half",
            {},
            r"'padding' of Net must be Literal\['same', 'valid'\]\. .*='half'",
        ),
        (
            "models",
            "toy-net",
            {"max_depth": 1.5},
            r"'max-depth' of Net must be int \| None\. .*max-depth=1\.5",
        ),
        ("models", "toy-net:8,4", {}, r"NAME:ARG,key=value,\.\.\. Received: '4' in 'toy-net:8,4'"),
        ("models", "toy-net:8,widths=4", {}, "Option 'widths' was given twice in 'toy-net:8,widths=4'"),
        ("models", "toy-net:max_depth=1", {"max-depth": 2}, "Option 'max-depth' was given twice, also in"),
        (
            "models",
            "toy-net:widths=",
            {},
            r"The model 'toy-net' refuses its options: `widths` must not be empty",
        ),
        ("models", "toy-plain", {}, "The model 'toy-plain' must be a dataclass"),
        ("operations", "toy-function", {}, "The operation 'toy-function' must be a dataclass"),
        ("studies", "toy-study", {}, "The study 'toy-study' must be a dataclass"),
        ("datasets", "toy-file", {}, r"File needs the option 'file' \(str\)"),
        ("datasets", "toy-bare:x", {}, r"Bare has no options\. Received: 'toy-bare:x'"),
    ],
)
@pytest.mark.usefixtures("toys")
def test_errors_say_what_was_expected_and_received(group, spec, options, message):
    with pytest.raises(PluginError, match=message):
        create(group, spec, options)


def test_an_unknown_name_suggests_the_nearest_of_those_installed():
    with pytest.raises(PluginError) as caught:
        load("criteria", "snp")
    assert str(caught.value).startswith("No criterion named 'snp'. Did you mean 'snip'? Installed: ")
    assert "magnitude" in str(caught.value)


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize("source", ["import no_such_module", "raise SystemExit(3)", "1 / 0", "def"])
def test_a_plugin_that_does_not_import_is_named_and_harms_no_other(distribution, source):
    distribution("broken-plugin", source, {"models": {"broken": "broken_plugin:Net"}}, version="2.5")
    assert {"broken", "toy-net"} <= set(names("models"))
    with pytest.raises(PluginError, match=r"'broken' of 'broken-plugin' 2\.5 must import") as caught:
        load("models", "broken")
    assert isinstance(caught.value.__cause__, Exception | SystemExit)
    assert type(caught.value.__cause__).__name__ in str(caught.value)
    assert load("models", "toy-net").__name__ == "Net"


def test_a_plugin_whose_attribute_is_missing_is_named(distribution):
    distribution("half-plugin", "", {"models": {"half": "half_plugin:Net"}})
    with pytest.raises(PluginError, match=r"'half' of 'half-plugin' .*half_plugin:Net.*AttributeError"):
        load("models", "half")


@pytest.mark.usefixtures("toys")
def test_two_distributions_with_one_name_are_both_named(distribution):
    distribution("rival-models", SOURCE, {"models": {"toy-net": "rival_models:Net"}})
    assert names("models").count("toy-net") == 1
    assert [entry.distribution for entry in entries("models") if entry.name == "toy-net"] == [
        "rival-models",
        "toy-models",
    ]
    with pytest.raises(
        PluginError, match=r"'toy-net' must come from one distribution.*'rival-models' and 'toy-models'"
    ):
        load("models", "toy-net")
    assert load("datasets", "toy-file").__name__ == "File"


def test_one_name_in_two_groups_is_fine(distribution):
    distribution("twin", SOURCE, {"models": {"twin": "twin:Net"}, "datasets": {"twin": "twin:File"}})
    assert load("models", "twin").__name__ == "Net"
    assert load("datasets", "twin").__name__ == "File"


def test_listing_imports_no_plugin_and_nothing_slow():
    code = (
        "import sys; from kerastickets.registry import GROUPS, entries, names\n"
        "for group in GROUPS: entries(group), names(group)\n"
        "print(*{module.partition('.')[0] for module in sys.modules})"
    )
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert (
        loaded & {"tensorflow", "keras", "click", "numpy", "kerastickets_plugins", "kerastickets_cli"}
        == set()
    )
