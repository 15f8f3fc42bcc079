"""Fields of a dataclass as options: listed, filled in, described."""

import dataclasses
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field
from typing import Literal

import numpy as np
import pytest

from kerastickets.errors import PluginError
from kerastickets.registry.plugin_options import Option, arguments, describe, kebab, options, unknown


@dataclass(frozen=True)
class Score:
    """Scores things.

    Args:
        batches: minibatches, at least 1;
            more are slower: and better.
        signed: whether the sign counts.

    Returns:
        nothing: this is no option.
    """

    batches: int
    signed: bool = False
    norm: Literal["l1", "l2"] = field(default="l1", metadata={"help": "of each layer"})
    layer_rates: tuple[float, ...] = field(default_factory=tuple)
    hidden: int = field(default=0, init=False)


@dataclass(frozen=True)
class Better(Score):
    """Scores things better.

    Args:
        power: of each score.
    """

    power: float | None = None


def test_options_are_the_fields_with_their_docstring():
    assert options(Score) == (
        Option("batches", "int", MISSING, "minibatches, at least 1; more are slower: and better."),
        Option("signed", "bool", False, "whether the sign counts."),
        Option("norm", "Literal['l1', 'l2']", "l1", "of each layer"),
        Option("layer_rates", "tuple[float, ...]", (), ""),
    )
    assert [option.required for option in options(Score)] == [True, False, False, False]


def test_a_subclass_inherits_the_words_of_its_parent():
    helps = {option.name: option.help for option in options(Better)}
    assert helps["signed"] == "whether the sign counts."
    assert helps["power"] == "of each score."


def test_what_is_no_dataclass_has_no_options():
    assert options(dataclasses) == ()
    assert options(len) == ()
    assert options(object) == ()


def test_an_annotation_that_cannot_be_resolved_is_named():
    cls = dataclasses.make_dataclass("Lost", [("where", "Nowhere", None)])
    with pytest.raises(PluginError, match=r"options of Lost .*'Nowhere'.*TYPE_CHECKING"):
        options(cls)


def test_arguments_parse_text_and_take_both_spellings():
    assert arguments(Score, {"batches": "4", "layer-rates": "0.1-0.2", "signed": True}) == {
        "batches": 4,
        "layer_rates": (0.1, 0.2),
        "signed": True,
    }
    assert arguments(Score, {"batches": 4, "layer_rates": []}) == {"batches": 4, "layer_rates": ()}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"batches": 1, "bacthes": 2},
            r"No option of Score named 'bacthes'\. Did you mean 'batches'\? "
            r"Options: batches, layer-rates, norm, signed\.",
        ),
        ({"batches": 1, "hidden": 2}, "No option of Score named 'hidden'"),
        ({"batches": "many"}, r"Option 'batches' of Score must be int\. Received: batches='many'"),
        ({"batches": 2.5}, r"Option 'batches' of Score must be int\. Received: batches=2\.5"),
        (
            {"batches": 1, "norm": "l3"},
            r"Option 'norm' of Score must be Literal\['l1', 'l2'\]\. Received: norm='l3'",
        ),
        ({"signed": True}, r"Score needs the option 'batches' \(int\)"),
        ({"batches": 1, "layer-rates": "", "layer_rates": ""}, "'layer-rates' of Score was given twice"),
    ],
)
def test_wrong_options_are_named(given, message):
    with pytest.raises(PluginError, match=message):
        arguments(Score, given)


def test_describe_is_json_ready_and_made_again_by_arguments():
    score = Better(np.int64(4), layer_rates=(0.5, np.float64(1)), power=None)
    facts = describe(score)
    assert facts == {"batches": 4, "signed": False, "norm": "l1", "layer_rates": [0.5, 1.0], "power": None}
    assert type(facts["batches"]) is int
    assert Better(**arguments(Better, facts)) == score


@pytest.mark.parametrize("value", [len, float("nan"), {"a": 1}, np.zeros(2)])
def test_a_value_without_json_form_is_named(value):
    cls = dataclasses.make_dataclass("Odd", [("some_call", Callable)])
    with pytest.raises(PluginError, match="Option 'some-call' must have a value that JSON holds"):
        describe(cls(value))


def test_kebab():
    assert kebab("eval_every") == "eval-every"


def test_unknown_without_a_near_name_still_lists_what_there_is():
    assert unknown("model", "zzz", ["mlp", "conv-2"]) == "No model named 'zzz'. Installed: conv-2, mlp."
    assert unknown("model", "zzz", []) == "No model named 'zzz'. Installed: none."
