"""`kt plugins`, its short names, and `kt doctor`."""

import json

import pytest

from kerastickets import registry


@pytest.fixture
def strangers(tmp_path, monkeypatch):
    """A distribution of another maker: one plugin that cannot be imported, and one whose name is taken."""
    info = tmp_path / "stranger-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 2.0\n")
    entries = "[kerastickets.criteria]\nodd = no_such_module:Odd\n[kerastickets.models]\ndigits = collections:Counter\n"
    (info / "entry_points.txt").write_text(entries)
    monkeypatch.syspath_prepend(tmp_path)


def test_lists_everything_from_metadata(kt):
    lines = kt("plugins").stdout.splitlines()
    assert lines[0].split() == ["group", "name", "distribution", "version"]
    listed = [tuple(line.split()) for line in lines[1:]]
    entries = [entry for group in registry.GROUPS for entry in registry.entries(group)]
    assert listed == [(one.group, one.name, one.distribution, one.version) for one in entries]


def test_one_group_by_three_spellings(kt):
    shown = kt("plugins", "models").stdout
    assert shown == kt("models").stdout
    assert [line.split()[0] for line in shown.splitlines()[1:]] == ["models"] * len(registry.names("models"))
    facts = json.loads(kt("models", "--json").stdout)
    assert facts == json.loads(kt("plugins", "--json", "models").stdout)
    assert facts[0].keys() == {"group", "name", "value", "distribution", "version"}
    assert {row["name"] for row in json.loads(kt("datasets", "--json").stdout)} == set(
        registry.names("datasets")
    )


def test_a_broken_plugin_is_listed_like_any_other(kt, strangers):
    assert "criteria    odd" in kt("plugins").stdout


def test_show_prints_options_defaults_and_reference(kt):
    lines = kt("plugins", "show", "iterative-snip").stdout.splitlines()
    assert lines[0].startswith("iterative-snip (criteria, kerastickets ")
    assert "SNIP in several steps" in lines[2]
    assert lines[4].split() == ["option", "type", "default", "help"]
    assert lines[5].split(maxsplit=3)[:3] == ["batches", "int", "1"]
    assert lines[6].split(maxsplit=3)[:3] == ["stratified", "bool", "False"]
    assert "batch contains each class" in lines[6]
    assert lines[8] == "defaults: between none, levels 5, sparsity 0.9, scope global"
    assert lines[10].startswith("Reference: S. Verdenius, M. Stol, P. Forré")


def test_show_prints_the_dials_of_a_study_and_its_budgets(kt):
    shown = kt("plugins", "show", "merging").stdout
    assert "datasets  tuple[str, ...]  mnist,fashion-mnist  data sets." in shown
    assert "\nbudget smoke: datasets digits, tickets 3, used 3, levels 3," in shown


def test_show_json(kt):
    facts = json.loads(kt("plugins", "show", "mlp", "--json").stdout)
    assert facts.keys() == {
        "group", "name", "value", "distribution", "version", "doc", "options", "defaults", "recipe", "budgets",
    }  # fmt: skip
    assert facts["options"][0]["name"] == "widths"
    assert facts["options"][0]["default"] == [300, 100]
    assert (facts["recipe"]["lr"], facts["defaults"]) == (0.001, {})
    (file,) = json.loads(kt("plugins", "show", "npz", "--json").stdout)["options"][:1]
    assert (file["required"], file["default"]) == (True, None)


def test_show_refuses(kt, strangers):
    assert kt("plugins", "show", "snp", code=1).stderr == (
        "Error: No plugin named 'snp'. Did you mean 'snip'? `kt plugins` lists what is installed.\n"
    )
    said = kt("plugins", "show", "digits", code=1).stderr
    assert said == (
        "Error: 'digits' must be in one group. Received: datasets, models. Say which: kt plugins show digits datasets\n"
    )
    assert kt("plugins", "show", "digits", "datasets").stdout.startswith("digits (datasets, kerastickets ")
    assert (
        "of 'stranger' 2.0 must import as no_such_module:Odd." in kt("plugins", "show", "odd", code=1).stderr
    )


@pytest.fixture
def tried(monkeypatch):
    """What doctor tried. The contract suite tries our own plugins, so here they are counted; strangers are tried."""
    from kerastickets import testing
    from kerastickets_cli.doctor import _CONTRACTS

    found = []

    def counting(real):
        def check(made):
            found.append(made)
            name = getattr(made, "__name__", type(made).__module__)
            return None if name.startswith("kerastickets_plugins") else real(made)

        return check

    for check in _CONTRACTS.values():
        monkeypatch.setattr(testing, check, counting(getattr(testing, check)))
    return found


def test_doctor_finds_everything_in_order(kt, tried, monkeypatch, tmp_path):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    facts = json.loads(kt("doctor", "--json").stdout)
    assert facts.keys() == {"versions", "tensorflow", "plugins", "datasets", "ok"}
    assert facts["ok"]
    assert {"python", "kerastickets", "keras", "tensorflow", "numpy"} <= facts["versions"].keys()
    assert facts["tensorflow"]["backend"] == "tensorflow"
    assert all(plugin["ok"] for plugin in facts["plugins"])
    assert not [plugin["error"] for plugin in facts["plugins"] if plugin["error"]]
    found = {data["name"]: data for data in facts["datasets"]}
    assert found["digits"]["examples"] == {"train": 1197, "validation": 300, "test": 300}
    assert not found["mnist"]["found"]
    assert str(tmp_path) in found["mnist"]["error"]
    # All but the data sets, which are read, and plugins that cannot be made without an option.
    checked = [p for p in facts["plugins"] if p["group"] != "datasets"]
    assert len(tried) == len(checked)
    assert kt("doctor", "--group", "criteria").stdout.splitlines()[-1] == "Everything works."
    assert {type(made).__module__ for made in tried[len(checked) :]} == {
        f"kerastickets_plugins.criteria.{name}" for name in ("snip", "magnitude", "random", "taylor")
    }


def test_doctor_fails_for_a_broken_plugin_and_checks_the_others(kt, tried, strangers, monkeypatch, tmp_path):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    facts = json.loads(kt("doctor", "--json", code=1).stdout)
    # `odd` cannot be imported; `digits` can, but a Counter is no model.
    assert [plugin["name"] for plugin in facts["plugins"] if not plugin["ok"]] == ["odd", "digits"]
    lines = kt("doctor", code=1).stdout.splitlines()
    assert any(line.startswith("criteria    odd") and "Error: " in line for line in lines)
    assert lines[-1] == "Something is broken: see the errors above."


def test_doctor_names_what_an_extra_would_bring(monkeypatch):
    from kerastickets_cli import doctor

    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    (onnx,) = [entry for entry in registry.entries("exporters") if entry.name == "onnx"]
    facts = doctor.plugin(onnx)
    assert facts["ok"]
    assert facts["error"] == "needs tf2onnx, onnx, onnxruntime, which an extra brings"
