"""A third party's package, installed beside ours without a network, is found and used by the command line."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "kerastickets-balanced"


@pytest.fixture(scope="module")
def beside(tmp_path_factory):
    """A folder that holds the installed example, to be put on the search path."""
    # A copy is built: setuptools leaves its build folder and metadata next to the source.
    source = shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("source") / "example")
    target = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--disable-pip-version-check", "--target", target, source]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


def kt(beside, working_folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(beside)}
    command = [Path(sysconfig.get_path("scripts")) / "kt", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=working_folder)


def test_plugins_lists_it_with_its_distribution(beside, working_folder):
    done = kt(beside, working_folder, "plugins", "criteria", "--json")
    assert done.returncode == 0, done.stderr
    assert "balanced-magnitude" in done.stdout
    assert "kerastickets-balanced" in done.stdout


def test_prune_uses_it_and_the_ticket_names_it(beside, working_folder):
    arguments = "--criterion balanced-magnitude -o power=0.5 --train 1ep --levels 1 --rate 0.2 --scope global"
    done = kt(beside, working_folder, "prune", *arguments.split(), "--out", "run", "--json")
    assert done.returncode == 0, done.stderr
    last = json.loads(done.stdout)["levels"][-1]
    assert last["total"] == 64 * 300 + 300 * 100 + 100 * 10
    assert last["kept"] == 40160  # 80 % of the 50,200 weights of LeNet-300-100 on 8 x 8 digits.

    shown = kt(beside, working_folder, "show", "run/level-01.safetensors", "--json")
    assert shown.returncode == 0, shown.stderr
    facts = json.loads(shown.stdout)
    assert facts["criterion"] == "balanced-magnitude"
    assert facts["provenance"]["criterion"] == "balanced-magnitude"
    assert facts["provenance"]["options"]["power"] == 0.5


def test_a_wrong_option_is_refused_by_name(beside, working_folder):
    done = kt(
        beside, working_folder, "prune", "--criterion", "balanced-magnitude", "-o", "powr=1", "--out", "run"
    )
    assert done.returncode == 1
    assert "powr" in done.stderr
    assert "power" in done.stderr


def test_its_readme_holds_it_to_the_contract(beside, monkeypatch, run_python_blocks):
    monkeypatch.syspath_prepend(beside)
    assert run_python_blocks(EXAMPLE / "README.md") == 1


def test_its_scores_balance_layers(beside, monkeypatch):
    import numpy as np

    monkeypatch.syspath_prepend(beside)
    from kerastickets_balanced import BalancedMagnitude

    criterion = BalancedMagnitude()
    weight, mask = np.array([-3.0, 1.0, 0.0]), np.array([True, True, False])
    np.testing.assert_array_equal(
        criterion.scores(weight, mask), [1.5, 0.5, 0.0]
    )  # The mean of 3 and 1 is 2.
    np.testing.assert_array_equal(criterion.scores(np.zeros(3), mask), [0.0, 0.0, 0.0])
    np.testing.assert_array_equal(BalancedMagnitude(power=0.0).scores(weight, mask), [3.0, 1.0, 0.0])
    with pytest.raises(ValueError, match="power=2"):
        BalancedMagnitude(power=2)
