"""Options are made of the fields of `Method` and `Recipe`: every setting is spelled once."""

from dataclasses import fields

import click
import pytest

from kerastickets.pruning.method import Method
from kerastickets.pruning.settings import MethodSettings
from kerastickets.registry.plugin_options import options
from kerastickets.training.recipe import Recipe, TrainSettings
from kerastickets_cli.main import kt as program

OF_METHOD = [field.name for field in fields(Method) if field.name not in ("name", "criterion", "options")]
OF_RECIPE = [field.name for field in fields(Recipe)]


def command(name):
    return program.get_command(click.Context(program), name)


def declared(name):
    return {p.name: p for p in command(name).params if isinstance(p, click.Option)}


@pytest.mark.parametrize(
    ("name", "settings"),
    [("prune", OF_METHOD), ("prune", OF_RECIPE), ("train", OF_RECIPE), ("transfer", OF_RECIPE)],
)
def test_every_setting_is_an_option_and_its_help_is_the_docstring(name, settings):
    found = declared(name)
    words = {option.name: option.help for cls in (Method, Recipe) for option in options(cls)}
    for setting in settings:
        assert words[setting], f"{setting} has no line in the docstring"
        assert found[setting].opts == [f"--{setting.replace('_', '-')}"]
        said = found[setting].help.partition("  [default")[0].rstrip(".").removesuffix(" (repeatable)")
        assert said.lower() == words[setting].replace("`", "").rstrip(".").lower()
        assert found[setting].default in (
            None,
            (),
            False,
            click.core.UNSET if hasattr(click.core, "UNSET") else None,
        )


def test_what_callers_may_name_is_what_there_is():
    assert {*MethodSettings.__annotations__} == {*OF_METHOD, "options"}
    assert {*TrainSettings.__annotations__} == {*OF_RECIPE}


def test_defaults_are_the_fields_own_for_prune_and_the_tickets_for_the_others():
    assert declared("prune")["train"].help.endswith("[default: 20ep]")
    assert declared("prune")["l1"].help.endswith("[default: 0.0]")
    assert declared("prune")["no_train"].help == "Leave the last level untrained."
    for name in ("train", "transfer"):
        assert declared(name)["train"].help.endswith("[default: as the ticket was trained]")
    assert declared("transfer")["train_size"].help.endswith("[default: all]")
    assert declared("train")["train_size"].help.endswith("[default: as the ticket was trained]")


def test_described_settings_are_the_fields():
    assert {*Recipe(eval_batch_size=10, no_test=True, distil=0.5).describe()} == {*OF_RECIPE}
    method = Method.of(
        "magnitude",
        {
            "spacing": "linear",
            "target": 9,
            "cuts": 2,
            "levels": 2,
            "all_alive": True,
            "pretrained": True,
            "stop_when": ["structure.effective<9"],
        },
    )
    # Settings that came later are left out where they have their default.
    assert {*method.describe()} == {*OF_METHOD} - {"extend", "schedule"}
    assert {*Method.of("magnitude", {}).describe()} == {*OF_METHOD} - {
        "extend",
        "spacing",
        "cuts",
        "stop_when",
        "all_alive",
        "pretrained",
        "schedule",
    }
