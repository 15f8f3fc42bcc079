"""`kt prune`: its table, its JSON, its folder, and going on after it was stopped."""

import json
import re
import signal
import subprocess
import sysconfig
from pathlib import Path

import pytest

from kerastickets import Ticket
from kerastickets.runs.folder import RunFolder

#: Variants that `make test-slow` tries: function -> patterns of ids.
SLOW_VARIANTS = {
    "test_model_data_and_criterion_are_looked_up_once": ("three seeds",),
}


KT = Path(sysconfig.get_path("scripts")) / "kt"
LEVEL_KEYS = {
    "level", "kept", "total", "density", "early_stop_iteration", "stopped_iteration", "val_accuracy",
    "test_accuracy", "seconds", "ticket", "digest", "winning",
}  # fmt: skip


def tickets(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*.safetensors"))}


def test_a_row_per_level_on_stdout_and_the_folder_on_stderr(kt, small, tmp_path):
    result = kt("prune", *small, "--levels", 2, "--rate", 0.5, "--out", tmp_path / "out")
    header, *rows = result.stdout.splitlines()
    assert header == "level       kept   density  early-stop  validation      test  winning   seconds"
    counts = [("0", "592", "100.00%"), ("1", "296", "50.00%"), ("2", "148", "25.00%")]
    assert [tuple(row.split()[:3]) for row in rows] == counts
    trained = re.compile(r" {4}\d +\d+ +[\d.]+% +(18|36) +[\d.]+% +[\d.]+% +(-|yes|no) +\d+\.\d")
    assert all(trained.fullmatch(row) for row in rows)
    out = re.escape(str(tmp_path / "out"))
    assert re.fullmatch(
        rf"Run in {out}\. Its best ticket: kt show {out}/level-0[12]\.safetensors\n", result.stderr
    )


def test_untrained_levels_show_a_dash(kt, small, tmp_path):
    arguments = ("--criterion", "snip", "--sparsity", 0.5, "--no-train", "--quiet")
    result = kt("prune", *small, *arguments, "--out", tmp_path)
    assert result.stderr == ""
    assert result.stdout.splitlines()[1:] == [
        "    0        592   100.00%           -           -         -        -         -",
        "    1        296    50.00%           -           -         -        -         -",
    ]
    assert list(Ticket.load(tmp_path / "level-01.safetensors").snapshots) == ["init"]


def test_json(kt, small, tmp_path):
    out = tmp_path / "out"
    result = kt(
        "prune", *small, "--criterion", "snip", "-o", "batches=2", "--seed", 3, "--out", out, "--json"
    )
    facts = json.loads(result.stdout)
    assert facts.keys() == {
        "run",
        "levels",
        "stopped_by",
        "criterion",
        "model",
        "dataset",
        "seed",
        "versions",
    }
    assert facts["stopped_by"] is None
    assert facts["versions"].keys() == {"kerastickets", "keras", "tensorflow", "numpy"}
    assert [facts[name] for name in ("run", "criterion", "model", "dataset", "seed")] == [
        str(out), "snip", "mlp:8", "digits", 3,
    ]  # fmt: skip
    untrained, trained = facts["levels"]
    assert untrained.keys() == trained.keys() == LEVEL_KEYS
    assert [untrained[name] for name in ("early_stop_iteration", "val_accuracy", "seconds")] == [None] * 3
    assert (trained["kept"], trained["stopped_iteration"]) == (59, 36)
    ticket = Ticket.load(out / trained["ticket"])
    assert ticket.digest == trained["digest"]
    assert ticket.provenance["options"] == {"batches": 2, "stratified": False}


def test_the_default_folder_is_named_by_the_recipe_and_more_levels_share_it(kt, small, working_folder):
    def folders():
        return sorted(path.name for path in Path("runs").iterdir())

    kt("prune", *small, "--levels", 1, "--rate", 0.5)
    (first,) = folders()
    assert re.fullmatch(r"mlp-8-digits-magnitude-[0-9a-f]{8}", first)
    before = tickets(Path("runs") / first)
    kt("prune", *small, "--levels", 2, "--rate", 0.5)
    assert folders() == [first]
    after = tickets(Path("runs") / first)
    assert list(after) == ["level-00.safetensors", "level-01.safetensors", "level-02.safetensors"]
    assert {name: after[name] for name in before} == before
    kt("prune", *small, "--levels", 1, "--rate", 0.25)
    assert len(folders()) == 2


def test_another_recipe_in_the_same_folder_is_refused(kt, small, run_folder):
    before = tickets(run_folder)
    arguments = (*small, "--levels", 2, "--rate", 0.25, "--rewind-to", "5it", "--out", run_folder)
    said = kt("prune", *arguments, code=1).stderr
    assert said.startswith(f"Error: {run_folder} belongs to a run with rate=0.5. Received: rate=0.25.")
    assert tickets(run_folder) == before


def test_a_folder_in_use_is_refused_by_name(kt, small, tmp_path):
    with RunFolder(tmp_path).locked({"levels": 1}, {}, extendable=False):
        said = kt("prune", *small, "--levels", 1, "--rate", 0.5, "--out", tmp_path, code=1).stderr
    assert f"Error: {tmp_path} is in use by another command: " in said


def test_from_a_ticket_its_mask_and_data_go_on(kt, small, run_folder, tmp_path):
    start = run_folder / "level-01.safetensors"
    training = small[2:]  # the model is the ticket's
    kt("prune", "--from", start, *training, "--levels", 1, "--rate", 0.5, "--out", tmp_path)
    first, second = (Ticket.load(tmp_path / f"level-0{n}.safetensors") for n in (0, 1))
    assert (first.kept, second.kept) == (296, 148)
    assert first.provenance["parents"] == [Ticket.load(start).digest]
    assert (first.provenance["model"], first.provenance["dataset"]) == ("mlp:8", "digits")


@pytest.mark.filterwarnings("ignore:320 of the 640 prunable weights are exactly zero:RuntimeWarning")
def test_own_models_by_function_and_by_file(kt, working_folder, monkeypatch):
    code = (
        "import keras\n\ndef build(data):\n    layers = [keras.layers.Flatten(), keras.layers.Dense(data.outputs)]\n"
        "    return keras.Sequential([keras.Input(data.input_shape), *layers])\n"
    )
    Path("my_nets.py").write_text(code)
    arguments = ("--train", "1ep", "--jit", "off", "--levels", 1, "--rate", 0.5, "--quiet")
    kt("prune", "--model", "my_nets:build", *arguments, "--out", "by-function")
    ticket = Ticket.load("by-function/level-01.safetensors")
    assert (ticket.kept, ticket.total) == (320, 640)
    ticket.build().save("net.keras")
    kt("prune", "--model", "net.keras", *arguments)
    (run,) = Path("runs").iterdir()
    assert run.name.startswith("net-digits-magnitude-")
    assert Ticket.load(run / "level-00.safetensors").kept == 640


@pytest.mark.slow
def test_several_seeds_have_a_folder_each_and_a_list_as_json(kt, small, tmp_path):
    arguments = (*small, "--levels", 1, "--rate", 0.5)
    result = kt("prune", *arguments, "--seeds", "0,2", "--out", tmp_path / "both")
    assert [row.split()[:3] for row in result.stdout.splitlines()] == [
        ["seed", "level", "kept"], ["0", "0", "592"], ["2", "0", "592"], ["0", "1", "296"], ["2", "1", "296"],
    ]  # fmt: skip
    runs = json.loads(kt("prune", *arguments, "--seeds", "0,2", "--out", tmp_path / "both", "--json").stdout)
    assert [(run["seed"], Path(run["run"]).name) for run in runs] == [(0, "seed-0"), (2, "seed-2")]
    kt("prune", *arguments, "--seed", 2, "--out", tmp_path / "alone")
    assert tickets(tmp_path / "alone") == tickets(tmp_path / "both" / "seed-2")
    log = (tmp_path / "both" / "seed-2" / "run.json").read_bytes()
    assert (tmp_path / "alone" / "run.json").read_bytes() == log


@pytest.mark.slow
def test_seeds_that_are_not_alike_run_one_after_another(kt, small, tmp_path):
    arguments = (*small, "--levels", 1, "--rate", 0.5, "--train-size", 0.5)
    result = kt("prune", *arguments, "--seeds", "0,2", "--out", tmp_path / "both")
    assert [row.split()[0] for row in result.stdout.splitlines()] == ["seed", "0", "0", "2", "2"]
    kt("prune", *arguments, "--seed", 2, "--out", tmp_path / "alone")
    assert tickets(tmp_path / "alone") == tickets(tmp_path / "both" / "seed-2")


def test_dry_run_counts_by_level_and_layer_and_writes_nothing(kt, small, working_folder):
    arguments = (*small, "--levels", 2, "--rate", "dense=0.5", "--rate", "output=0.25", "--rewind-to", "6it")
    facts = json.loads(kt("prune", *arguments, "--dry-run", "--json").stdout)
    assert facts.keys() == {
        "run", "levels", "steps", "seconds", "step_seconds", "compile_seconds", "run_seconds", "memory",
        "criterion", "model", "dataset", "seeds",
    }  # fmt: skip
    # 64 * 8 and 8 * 10 weights; two epochs of 1197 // 64 = 18 steps, the later levels from step 6 on.
    counts = [
        (row["kept"], row["steps"], [layer["kept"] for layer in row["layers"]]) for row in facts["levels"]
    ]
    assert counts == [(592, 36, [512, 80]), (316, 30, [256, 60]), (173, 30, [128, 45])]
    assert facts["steps"] == 96
    assert facts["seconds"] > 0
    memory = facts["memory"]
    # float32: 610 weights and biases; twice for Adam, and its two counters.
    assert (memory["weights"], memory["masks"], memory["gradients"]) == (2440, 2368, 2440)
    assert memory["optimizer"] in range(4880, 4900)
    assert memory["total"] == sum(value for name, value in memory.items() if name != "total")
    assert list(working_folder.iterdir()) == []


def test_dry_run_says_what_only_scores_will_tell(kt, small, working_folder):
    lines = kt("prune", *small, "--criterion", "snip", "--dry-run", "--seeds", "0-1").stdout.splitlines()
    assert lines[:9] == [
        "level  kept  density  steps",
        "    0   592  100.00%      -",
        "    1    59    9.97%     36",
        "",
        "layer           total  level 0",
        "dense/kernel      512      512",
        "dense_1/kernel     80       80",
        "Scope global: how many weights each layer keeps after a cut depends on the scores.",
        "",
    ]
    assert re.fullmatch(r"run      runs/mlp-8-digits-snip-[0-9a-f]{8} \(2 seeds\)", lines[9])
    assert lines[10] == "steps    36 per seed, 72 in all"
    assert re.fullmatch(
        r"time     about .+, less where training stops early \(.+ ms per step, .+ s to compile\)", lines[11]
    )
    assert list(working_folder.iterdir()) == []


def test_dry_run_shares_a_target_out_over_layers(kt, small, working_folder):
    arguments = (*small, "--levels", 2, "--target", 148, "--scope", "layer", "--dry-run", "--json")
    levels = json.loads(kt("prune", *arguments).stdout)["levels"]
    # rint(592 * 0.25 ** (t / 2)), then 512 : 80 by largest remainder.
    assert [[layer["kept"] for layer in row["layers"]] for row in levels] == [[512, 80], [256, 40], [128, 20]]


@pytest.fixture
def long_run(tmp_path):
    """Six levels that take a few seconds each; `long_run(folder)` gives the arguments."""
    dials = ("--model", "mlp:8", "--train", "60ep", "--jit", "off", "--levels", "6", "--rate", "0.3")
    return lambda folder: ("prune", *dials, "--out", str(tmp_path / folder))


@pytest.mark.slow
def test_ctrl_c_leaves_a_folder_that_the_same_command_continues(kt, long_run, tmp_path):
    def hear():
        signal.signal(signal.SIGINT, signal.default_int_handler)

    process = subprocess.Popen(
        [KT, *long_run("stopped")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear,
        start_new_session=True,
    )
    for line in process.stdout:  # rows come as the levels end
        if line.split()[0] == "1":
            break
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == "Interrupted. Finished levels are kept: the same command continues.\n"
    done = tickets(tmp_path / "stopped")
    assert 2 <= len(done) < 7
    kt(*long_run("stopped"))
    kt(*long_run("whole"))
    assert tickets(tmp_path / "stopped") == tickets(tmp_path / "whole")
    assert done.items() <= tickets(tmp_path / "whole").items()


@pytest.mark.slow
def test_an_extended_net_is_pruned_back_to_its_own_size(kt, tmp_path):
    arguments = (
        "--model",
        "mlp:8-8",
        "--dataset",
        "moons-circles",
        "--train",
        "1ep",
        "--jit",
        "off",
        "--rate",
        0.32,
    )
    result = kt("prune", *arguments, "--extend", 2, "--json", "--out", tmp_path)
    facts = json.loads(result.stdout)
    assert [level["kept"] for level in facts["levels"]] == [247, 160, 112]
    assert facts["model"] == "mlp:widths=13-13"
    planned = json.loads(kt("prune", *arguments, "--extend", 2, "--dry-run", "--json").stdout)
    assert [level["kept"] for level in planned["levels"]] == [247, 160, 112]
    assert "extend" not in kt("report", tmp_path, code=0).stderr
    alone = kt("prune", *arguments, "--extend", 0, "--out", tmp_path / "alone")
    assert [row.split()[1] for row in alone.stdout.splitlines()[1:]] == ["112"]
    assert "Its best ticket: kt show" in alone.stderr
    kt("report", tmp_path / "alone")


def test_a_rule_stops_the_run_and_stderr_says_so(kt, small, tmp_path):
    rule = "structure.totals.pruned>300"
    arguments = (*small, "--train", "1ep", "--levels", 4, "--rate", 0.5, "--stop-when", rule)
    result = kt("prune", *arguments, "--seeds", "0,1", "--out", tmp_path)
    assert result.stderr.splitlines()[0] == f"Seed 0 stopped at level 2: {rule}"
    assert [line.partition(" at ")[0] for line in result.stderr.splitlines()[::2]] == [
        "Seed 0 stopped",
        "Seed 1 stopped",
    ]
    before = tickets(tmp_path)
    assert list(before) == ["level-00.safetensors", "level-01.safetensors", "level-02.safetensors"]
    again = json.loads(kt("prune", *arguments, "--seed", 1, "--out", tmp_path / "seed-1", "--json").stdout)
    assert (len(again["levels"]), again["stopped_by"]) == (3, rule)
    alone = kt("prune", *arguments, "--seed", 1, "--out", tmp_path / "seed-1")
    assert alone.stderr.startswith(f"Stopped at level 2: {rule}\nRun in ")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--stop-when", "weights.totals.kept"), 2, "must be written ANALYZER.FACT=VALUE"),
        (("--stop-when", "weights.totals.kept<few"), 2, "must compare with a number"),
        (("--stop-when", "wights.totals.kept<3"), 1, "Did you mean 'weights'?"),
        (
            ("--stop-when", "structure.totals.prned>3"),
            1,
            "No fact of structure.totals named 'prned'. Did you mean 'pruned'?",
        ),
        (("--stop-when", "overlap.total.overlap<3"), 2, "one ticket"),
        (("--extend", 2), 2, "`extend` needs a rate"),
        (("--extend", -1, "--rate", 0.3), 2, "integer of at least 0"),
        (("--extend", 2, "--rate", 0.3, "--target", 30), 2, "leave out target"),
        (("--extend", 2, "--rate", 0.3, "--model", "conv-2"), 2, "can be extended: mlp. Received: conv-2"),
        (("--extend", 2, "--rate", 0.3, "--model", "mlp:8-9"), 1, "hidden layers of equal width"),
    ],
)
def test_rules_and_extensions_that_cannot_be(kt, small, tmp_path, arguments, code, message):
    result = kt("prune", *small, *arguments, "--out", tmp_path / "out", code=code)
    assert message in " ".join(result.stderr.split())
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize("extra", [(), ("--seeds", "0-2")], ids=["one seed", "three seeds"])
def test_model_data_and_criterion_are_looked_up_once(kt, small, working_folder, monkeypatch, extra):
    from kerastickets import registry

    asked, create = [], registry.create

    def counting(group, *arguments):
        asked.append(group)
        return create(group, *arguments)

    monkeypatch.setattr(registry, "create", counting)
    kt("prune", *small, "--criterion", "snip", "--train", "1ep", *extra, "--out", "once")
    assert sorted(asked) == ["criteria", "datasets", "models"]
