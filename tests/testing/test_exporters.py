"""What the contract of exporters refuses, each exporter being two dense layers that NumPy runs."""

from pathlib import Path

import numpy as np
import pytest

from kerastickets import testing
from kerastickets.errors import DataError
from kerastickets.models.trained_model import trained_model
from tests.helpers.badplugins import plugin, refused

READER = """import json, sys
import numpy as np
a, b, c, d = (array for _, array in sorted(np.load(sys.argv[1]).items()))
x = np.load(sys.argv[2])
np.save(sys.argv[3], np.maximum(x.reshape(len(x), -1) @ a + b, 0) @ c + d)
print(json.dumps({"runtime": "numpy", "peak_bytes": 0}))
"""


def write(ticket, path, *, model=None, data=None):
    model = trained_model(ticket) if model is None else model
    with path.open("wb") as file:
        np.savez(file, *model.get_weights())
    return {"layers": 2}


@pytest.fixture
def form(tmp_path):
    """The class attributes of a good exporter, its reader's text changed as asked."""

    def make(old="", new="", **changes):
        reader = tmp_path / "reader.py"
        reader.write_text(READER.replace(old, new) if old else READER)
        return {"suffix": ".npz", "reader": reader} | changes

    return make


def test_good_exporters_pass(form):
    testing.check_exporter(plugin(write, **form()))
    # One that needs data, takes inputs of its own and is less exact.
    inexact = form(inputs=lambda self, x, data: x + 0.01, tolerance=0.05)

    def needy(ticket, path, *, model=None, data=None):
        if data is None:
            raise DataError("Give data.")
        return write(ticket, path, model=model)

    testing.check_exporter(plugin(needy, **inexact), data=testing.toy_tasks())


def beside(ticket, path, **given):
    path.with_suffix(".log").write_text("done")
    return write(ticket, path, **given)


def scribble(ticket, path, *, model=None, data=None):
    facts = write(ticket, path, model=model)
    if model is not None:
        model.layers[-1].bias.assign_add(np.ones(10))
    return facts


def without_model(ticket, path, *, model=None, data=None):
    return write(ticket, path, model=model or model.layers)


BAD = {
    "elsewhere": (
        lambda ticket, path, **given: write(ticket, path.with_suffix(".keras"), **given),
        r"must write exported\.npz and nothing beside it\. Received: \['exported\.keras'\]",
    ),
    "beside": (beside, r"and nothing beside it\. Received: \['exported\.log', 'exported\.npz'\]"),
    "a path": (
        lambda ticket, path, **given: write(ticket, path, **given) | {"to": path},
        "must be JSON-ready. Received: TypeError",
    ),
    "nothing": (
        lambda ticket, path, **given: write(ticket, path, **given) and None,
        "must be a mapping. Received: NoneType",
    ),
    "failing": (lambda ticket, path, **given: path.read_text(), "must export. Received: FileNotFoundError"),
    "wanting": (without_model, "must export. Received: AttributeError"),
    "scribbling": (scribble, "must leave the model unchanged. Received: a changed dense_1/bias"),
    "old": (lambda ticket, path: write(ticket, path), "must export. Received: TypeError"),
}


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=BAD)
def test_a_bad_exporter_is_caught(call, message, form):
    refused(testing.check_exporter, call, message, **form())


READING = {
    "other outputs": ("+ d", "+ d + 1", "must agree. Received: ExportError: .*a difference of 1"),
    "kerastickets": ("import json", "import kerastickets, json", "it imported kerastickets"),
    "a plugin": ("import json", "import kerastickets_plugins, json", "it imported kerastickets_plugins"),
    "kerastickets, unsaid": (
        "print(",
        "import kerastickets; sys.exit(0); print(",
        "it imported kerastickets",
    ),
    "no facts": ("print(", "(", "must work alone. Received: ExportError: .*print one JSON object"),
    "no runtime": ('"numpy"', '""', "must print its runtime"),
    "a crash": ("x = ", "x = y", "must work alone. Received: ExportError: .*exit code 1, NameError"),
}


@pytest.mark.parametrize(("old", "new", "message"), READING.values(), ids=READING)
def test_a_bad_reader_is_caught(old, new, message, form):
    refused(testing.check_exporter, write, message, **form(old, new))


def test_a_reader_and_a_suffix_there_must_be(form, tmp_path):
    refused(testing.check_exporter, write, "must be a file. Received: None", **form(reader=None))
    refused(
        testing.check_exporter, write, "must be a file. Received: .*nowhere", **form(reader=Path("nowhere"))
    )
    refused(testing.check_exporter, write, "must have a `suffix`, a text", **form(suffix=None))


def test_an_exporter_that_writes_into_its_ticket_is_caught(form):
    def scribbling(ticket, path, **given):
        bias = ticket.weights("init")["dense/bias"]
        bias.flags.writeable = True
        bias += 1
        bias.flags.writeable = False
        return write(ticket, path, **given)

    with pytest.raises(AssertionError, match="must not change the ticket"):
        testing.check_exporter(plugin(scribbling, **form()), testing.toy_ticket.__wrapped__())
