"""What `kt prune` refuses: wrong usage with 2, names and files with 1, before TensorFlow is asked."""

import json
import re

import pytest

USAGE = {
    "--sparsity 1.5": "sparsity must be in [0, 1). Received: sparsity=1.5",
    "--sparsity 1.0": "sparsity must be in [0, 1). Received: sparsity=1.0",
    "--sparsity=-0.1": "sparsity must be in [0, 1). Received: sparsity=-0.1",
    "--sparsity nan": "sparsity must be in [0, 1). Received: sparsity=nan",
    "--levels 0": "levels must be an integer in [1, 10000]. Received: levels=0",
    "--levels two": "'two' is not a valid integer",
    "--rate 1": "rate must be in (0, 1). Received: rate=1.0",
    "--rate conv=1.5": "rate must be in (0, 1). Received: rate of conv=1.5",
    "--rate x=y": "A rate must be a number or PATTERN=NUMBER. Received: 'x=y'",
    "--rate conv=0.1 --target 5": "Rates by layer must go with scope 'layer' and without target or sparsity.",
    "--target 5 --sparsity 0.5": "Give target or sparsity, not both.",
    "--levels 3 --rate 0.2 --target 5": "Give two of levels, rate, and target or sparsity: two fix the third.",
    "--train 5": "A duration must be a number and its unit, like '500it' or '20ep'. Received: '5'",
    "--train 0ep": "`train` must be at least one iteration. Received: train=0ep",
    "--eval-every 0it": "`eval_every` must be at least one iteration.",
    "--snapshot-at 5it,x": "like '500it' or '20ep'. Received: 'x'",
    "--train-size 0": "`train_size` must be a count of at least 1, or a fraction above 0 and up to 1.0.",
    "--train-size 1.5": "Received: train_size=1.5",
    "--train-size some": "A size must be a count such as 1000, or a fraction such as 0.25. Received: 'some'",
    "--augment flop": "`augment` must be none, flip, crop:4 (pixels) or flip+crop:4. Received: augment='flop'",
    "--patience 0": "`patience` must be at least 1, or none. Received: patience=0",
    "--batch-size 0": "`batch_size` must be at least 1. Received: batch_size=0",
    "--lr 0": "`lr` must be positive and finite. Received: lr=0.0",
    "--lr-schedule steps": "`lr_schedule` must be constant, cosine, linear, exponential:0.95 or steps:",
    "--monitor accuracy": "`monitor` must start with 'val_'. Received: monitor=accuracy",
    "--between never": "'never' is not one of 'train', 'none'",
    "--between none --rewind-to 5it": "need a trained level 0. Received: between=none.",
    "--strategy mirored": "'mirored' is not one of 'default', 'mirrored', 'multiworker'",
    "--seed -1": "-1 is not in the range x>=0",
    "--seed 1 --seeds 0-1": "Give --seed or --seeds, not both.",
    "--seeds 4-1": "A range of seeds must ascend",
    "--jobs 0": "0 is not in the range 1<=x<=1024",
    "-o batches": "An option must be written key=value. Received: 'batches'",
    "-o batches=1 -o batches=2": "batches must be given once.",
    "--batch-sise 3": "No such option '--batch-sise'. (Did you mean one of: '--batch-size', '--eval-batch-size'?)",
    "extra": "unexpected extra argument",
}

NAMES = {
    "--criterion snp": "No criterion named 'snp'. Did you mean 'snip'? Installed: ",
    "--criterion snip -o batch=3": "No option of Snip named 'batch'. Did you mean 'batches'? Options: batches",
    "--criterion snip -o batches=x": "Option 'batches' of Snip must be int. Received: batches='x'",
    "--dataset digit": "No dataset named 'digit'. Did you mean 'digits'? Installed: ",
    "--dataset digit[3,8]": "No dataset named 'digit'. Did you mean 'digits'? Installed: ",
    "--dataset digits[3]": "Two classes or more must be chosen, each once. Received: digits[3]",
    "--dataset digits[3,x]": "No class of data set 'digits' named 'x'. Classes: 0, 1, 2",
    "--dataset npz:no.npz": "no.npz",
    "--model lenet": "No model named 'lenet'.",
    "--model no_module:build": "No model named 'no_module' and no module of that name.",
    "--model no.keras": "A model file must exist. Received: no.keras",
    "--from no.safetensors": "no.safetensors: cannot be read: No such file or directory",
    "--out file/run": "--out must lie in a folder. Received: file/run, but ",
}


@pytest.mark.parametrize("arguments", USAGE)
def test_wrong_usage(kt, working_folder, arguments):
    result = kt("prune", *arguments.split(), code=2)
    assert result.stdout == ""
    assert USAGE[arguments] in result.stderr.splitlines()[-1]
    assert list(working_folder.iterdir()) == []


@pytest.mark.parametrize("arguments", NAMES)
def test_names_and_files(kt, working_folder, arguments):
    (working_folder / "file").write_text("")
    result = kt("prune", *arguments.split(), code=1)
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert NAMES[arguments] in result.stderr
    assert [path.name for path in working_folder.iterdir()] == ["file"]


def test_what_only_the_data_tells(kt, small, working_folder):
    said = kt("prune", *small, "--batch-size", 5000, code=1).stderr
    assert said.startswith("Error: `batch_size` must be at most the 1197 training examples of digits.")
    said = kt("prune", *small, "--target", 593, "--levels", 1, code=1).stderr
    assert said == "Error: target must be in [1, 592], the weights that are left. Received: target=593\n"
    said = kt("prune", *small, "--monitor", "val_f1", "--levels", 1, "--rate", 0.5, code=1).stderr
    assert "Error: `monitor` must be one of val_" in said


def test_parts_of_data_are_pruned_on_and_named(kt, small, working_folder):
    chosen = ("--dataset", "digits[3,8]", "--train-size", "0.5", "--augment", "flip+crop:1")
    facts = json.loads(kt("prune", *small, *chosen, "--levels", 1, "--rate", 0.5, "--json").stdout)
    assert facts["dataset"] == "digits[3,8]"
    recipe = json.loads((working_folder / facts["run"] / "run.json").read_text())["recipe"]
    assert {name: recipe["train"][name] for name in ("train_size", "augment")} == {
        "train_size": 0.5,
        "augment": "flip+crop:1",
    }
    ticket = working_folder / facts["run"] / facts["levels"][-1]["ticket"]
    assert json.loads(kt("show", ticket, "--json").stdout)["provenance"]["dataset"] == "digits[3,8]"
    assert json.loads(kt("eval", ticket, "--json").stdout)["classes"][1]["name"] == "8"
    assert re.search(r"^ *8 +\d+ ", kt("eval", ticket).stdout, re.MULTILINE)


def test_a_diverging_run_keeps_what_is_finished(kt, small, working_folder):
    said = kt(
        "prune", *small, "--lr", "1e30", "--optimizer", "sgd", "--levels", 1, "--rate", 0.5, code=1
    ).stderr
    assert said.startswith("Error: Training diverged at level 0: ")
    assert "Lower the learning rate" in said


def test_a_seed_that_fails_is_named(kt, small, working_folder):
    said = kt("prune", *small, "--seeds", "3-4", "--target", 593, "--levels", 1, code=1).stderr
    assert said.startswith("Error: Seed 3: target must be in [1, 592]")
