"""`kt reproduce`: what it prints, and what it refuses."""

import json

import pytest

DIALS = ("-o", "levels=1", "-o", "shown=0-1", "-o", "sweep=1", "-o", "tickets=2", "-o", "used=2")


@pytest.mark.slow
def test_tables_go_to_stdout_and_the_report_is_named(kt, working_folder):
    arguments = ("reproduce", "merging", *DIALS, "-o", "train=1ep", "-o", "model=mlp:8", "--jobs", 1)
    result = kt(*arguments)
    assert result.stdout.startswith("# Merging lottery tickets\n\nBudget: smoke.\n")
    assert "Not as published: datasets digits (paper: mnist, fashion-mnist)" in result.stdout
    assert result.stderr.splitlines()[-1] == "Report: runs/merging-smoke/report.html"
    facts = json.loads((working_folder / "runs/merging-smoke/study.json").read_text())
    assert facts["command"].startswith("kt reproduce merging --budget smoke -o levels=1")
    again = kt(*arguments, "--json", "--quiet")
    assert again.stderr == ""
    assert json.loads(again.stdout) == {
        "study": "merging",
        "budget": "smoke",
        "out": "runs/merging-smoke",
        "report": "runs/merging-smoke/report.html",
    }


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("mergin",), 1, "No study named 'mergin'. Did you mean 'merging'? Installed: "),
        (("merging", "--budget", "big"), 2, "'big' is not one of 'smoke', 'cpu', 'paper'"),
        (("merging", "-o", "trai=1ep"), 1, "No option of Budget named 'trai'. Did you mean 'train'?"),
        (("merging", "-o", "levels=x"), 1, "must be int. Received: levels='x'"),
        (("merging", "-o", "used=9"), 1, "`used` must be in [2, 3]. Received: used=9"),
        ((), 2, "Missing argument 'STUDY'"),
    ],
)
def test_what_is_refused(kt, working_folder, arguments, code, message):
    assert message in kt("reproduce", *arguments, code=code).stderr
    assert list(working_folder.iterdir()) == []


@pytest.mark.slow
def test_compare_is_a_study_with_options_of_its_own(kt, working_folder):
    arguments = ("compare", "--criteria", "iterative-snip", "--sparsities", 0.5, "--seeds", 1)
    small = ("--model", "mlp:8", "--train", "1ep", "--train-size", "0.5", "--jobs", 1)
    result = kt(*arguments, *small)
    assert "| iterative-snip | 50.00% | 296 | 1 |" in result.stdout
    assert "found and trained on 0.5 of the training examples" in result.stdout
    facts = json.loads((working_folder / "runs/compare/study.json").read_text())
    assert facts["command"] == (
        "kt compare --criteria iterative-snip --sparsities 0.5 --seeds 1 --model mlp:8 --train 1ep --train-size 0.5"
    )
    assert "`sparsities` must be in (0, 1)" in kt("compare", "--sparsities", 1.5, code=1).stderr
