"""Strangers run an export as docs/serving.md says: its commands and programs, as they stand, on one ticket."""

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from kerastickets_cli.main import kt as program
from tests.helpers import servingpage

#: Three exports, and a process for every command and program of the page: over a minute.
SLOW_FIXTURES = {"exported"}

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "serving.md"
SOURCE = ROOT / "examples" / "serving" / "classify.c"

COMMANDS = servingpage.commands(PAGE)
OURS = [block for block in COMMANDS if block.text.startswith("kt ")]
SERVER = [block for block in COMMANDS if block.section == "TensorFlow Serving"]
SHELL = [block for block in COMMANDS if block not in OURS + SERVER]
SENDER, *PROGRAMS = servingpage.programs(PAGE)

#: What a format cannot be written without, and a program not run.
NEEDED = {"onnx": "tf2onnx", "ONNX Runtime": "onnxruntime", "LiteRT": "ai_edge_litert"}
COMPILER = shutil.which("gcc") if sys.platform == "linux" else None


def label(block):
    return f"{block.section}: {block.text.split(maxsplit=1)[0]}"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A folder in which our side of the page has run, and the results of its commands."""
    folder = tmp_path_factory.mktemp("serving")
    shutil.copy(SOURCE, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        results = {block: CliRunner().invoke(program, block.text.split()[1:]) for block in OURS}
        exec(compile(SENDER.text, str(PAGE), "exec"), {"__name__": "__page__"})
    return folder, results


@pytest.fixture(scope="module")
def shell(exported):
    """What the page's other commands did, by command."""
    return dict(zip(SHELL, servingpage.run_commands(SHELL, exported[0]), strict=True))


@pytest.fixture(scope="module")
def strangers(exported):
    """What the page's programs did, by program."""
    return dict(zip(PROGRAMS, servingpage.run_programs(PROGRAMS, exported[0]), strict=True))


@pytest.fixture(scope="module")
def logits(exported):
    """The model's own outputs for the page's images, computed from the ticket."""
    from kerastickets import Ticket
    from kerastickets.exporting.verification import outputs_of
    from kerastickets.models.trained_model import trained_model

    ticket = Ticket.load(exported[0] / "runs/digits/level-01.safetensors")
    return outputs_of(trained_model(ticket), np.load(exported[0] / "x.npy"))


@pytest.fixture(scope="module")
def answers(exported):
    """What the signature `classify` answers, by output."""
    import tensorflow as tf

    classify = tf.saved_model.load(str(exported[0] / "served/digits/1")).signatures["classify"]
    answer = classify(input_layer=tf.constant(np.load(exported[0] / "x.npy")))
    return {name: value.numpy() for name, value in answer.items()}


@pytest.mark.parametrize("block", OURS, ids=lambda block: block.text)
def test_our_side_runs(exported, block):
    missing = [name for format_, name in NEEDED.items() if f"--format {format_} " in block.text]
    if missing and find_spec(missing[0]) is None:
        pytest.skip(f"{missing[0]} is not installed")
    result = exported[1][block]
    assert result.exit_code == 0, f"{result.stderr}{result.exception!r}"


@pytest.mark.parametrize("block", SHELL, ids=label)
def test_a_command_prints_what_the_page_shows(shell, block):
    if COMPILER is None and re.match(r"gcc|\./classify", block.text):
        pytest.skip("a C program needs gcc on Linux, and the libraries of TensorFlow's wheel there")
    ran = shell[block]
    assert ran.code == 0, ran.printed
    servingpage.assert_shown(block.shown, ran.printed, tolerance=0.5 if "def serve " in block.text else 0.05)


@pytest.mark.parametrize("block", PROGRAMS, ids=lambda block: block.section)
def test_a_program_without_this_library_prints_what_the_page_shows(strangers, block):
    needed = NEEDED.get(block.section)
    if needed and find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed")
    ran = strangers[block]
    assert ran.code == 0, ran.printed
    servingpage.assert_shown(block.shown, ran.printed, tolerance=0.05)


def test_saved_model_cli_prints_the_logits_of_the_ticket(shell, logits):
    (printed,) = (ran.printed for block, ran in shell.items() if "--signature_def serve " in block.text)
    assert servingpage.numbers(printed) == pytest.approx(logits.ravel().tolist(), abs=1e-4)


@pytest.mark.skipif(COMPILER is None, reason="a C program needs gcc on Linux")
def test_the_c_program_answers_as_python_does(shell, answers):
    printed = [ran.printed.split() for block, ran in shell.items() if block.text.startswith("./classify")]
    assert len(printed) == 2  # standardised images, and raw ones
    for words in printed:
        assert words[::2] == [label.decode() for label in answers["label"]]
        assert [*map(float, words[1::2])] == pytest.approx(answers["probability"].tolist(), abs=1e-4)


@pytest.mark.skipif(COMPILER is None, reason="a C program needs gcc on Linux")
def test_the_c_program_compiles_without_a_warning():
    import tensorflow as tf

    strict = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    command = ["gcc", *strict, f"-I{tf.sysconfig.get_include()}", SOURCE]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(COMPILER is None, reason="a C program needs gcc on Linux")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({0: "nowhere"}, "Error: nowhere: Could not find SavedModel"),
        ({1: "none.npy"}, "Error: none.npy: cannot be opened"),
        ({1: "raw.npy"}, "Error: raw.npy: must hold float32"),
        ({1: "classify.c"}, "Error: classify.c: must be an .npy file"),
        ({1: "small.npy"}, "Error: small.npy: holds images of another size"),
        ({2: "input"}, "Error: input: must name a tensor"),
        ({2: "classify_input_layer:7"}, "Error: classify_input_layer:7: the model has no such tensor"),
        ({3: "StatefulPartitionedCall:2"}, "labels must be text"),
    ],
)
def test_the_c_program_says_what_is_wrong(exported, shell, change, said):
    np.save(exported[0] / "small.npy", np.zeros((1, 4, 4, 1), "float32"))
    (first, *_) = (block for block in shell if block.text.startswith("./classify"))
    words = dict(enumerate(first.text.split()[1:])) | change
    done = subprocess.run(
        [exported[0] / "classify", *words.values()], cwd=exported[0], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stdout == ""


def test_the_folder_and_the_request_fit_tensorflow_serving(exported, answers):
    """The layout, and the request through the signature it names, row by row as the server's REST API is defined."""
    import tensorflow as tf

    folder = exported[0]
    assert [child.name for child in (folder / "served/digits").iterdir()] == ["1"]
    assert (folder / "served/digits/1/saved_model.pb").is_file()

    request = json.loads((folder / "request.json").read_text())
    assert sorted(request) == ["instances", "signature_name"]
    signature = tf.saved_model.load(str(folder / "served/digits/1")).signatures[request["signature_name"]]
    # A row that is a list, not an object by input, is allowed where there is one input.
    ((name, spec),) = signature.structured_input_signature[1].items()
    rows = tf.constant(request["instances"], spec.dtype)
    assert spec.shape.is_compatible_with(rows.shape)
    answered = {name: value.numpy().tolist() for name, value in signature(**{name: rows}).items()}
    rows = [dict(zip(answered, row, strict=True)) for row in zip(*answered.values(), strict=True)]
    shown = json.loads(SERVER[1].shown)["predictions"]
    assert [set(row) for row in shown] == [set(row) for row in rows]
    for row, answer in zip(shown, rows, strict=True):
        assert (row["class"], row["label"]) == (answer["class"], answer["label"].decode())
        assert row["probability"] == pytest.approx(answer["probability"], abs=0.05)


def test_tensorflow_serving_answers_as_the_page_shows(exported):
    missing = [name for name in ("tensorflow_model_server", "curl") if shutil.which(name) is None]
    if missing:
        pytest.skip(
            f"{' and '.join(missing)} not installed: neither the server nor the request to it was run"
        )
    start, ask = SERVER
    server = subprocess.Popen(
        ["bash", "-c", f"exec {start.text}"],
        cwd=exported[0],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(100):
            if server.poll() is not None or _available("http://localhost:8501/v1/models/digits"):
                break
            time.sleep(0.2)
        asked = subprocess.run(["bash", "-c", ask.text], cwd=exported[0], capture_output=True, text=True)
    finally:
        server.terminate()
        server.wait()
    shown, printed = (json.dumps(json.loads(text), sort_keys=True) for text in (ask.shown, asked.stdout))
    servingpage.assert_shown(shown, printed, tolerance=0.05)


def _available(address):
    try:
        return b"AVAILABLE" in urllib.request.urlopen(address).read()
    except OSError:  # nobody there yet, or no such model yet
        return False
