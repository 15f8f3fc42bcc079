"""A provenance of a stranger: entries that commands read have the types that they expect."""

import pytest

from kerastickets.errors import TicketError
from kerastickets.testing import toy_ticket
from kerastickets.tickets.provenance import check_provenance

SOUND = toy_ticket().provenance


def test_what_the_library_writes_is_sound():
    check_provenance(SOUND)
    check_provenance({})
    check_provenance(dict.fromkeys(SOUND))
    check_provenance({"of another program": [{"any": "JSON"}]})


@pytest.mark.parametrize(
    "name",
    [
        "operation", "criterion", "options", "level", "model", "dataset", "source", "stopped_by", "start", "files",
        "method", "recipe", "seeds", "parents", "metrics", "versions", "environment",
    ],
)  # fmt: skip
def test_entries_of_another_type_are_refused(name):
    texts = {"operation", "criterion", "model", "dataset", "source", "stopped_by", "start"}
    wrong = [True, 1.5, -1, [1], [None], {"a": [1]}] if name == "level" else [True, 1.5, -1, [1], [None]]
    for value in wrong if name in texts | {"level"} else [*wrong, "text"]:
        with pytest.raises(TicketError, match=f"`{name}` in a provenance must be"):
            toy_ticket().replace(provenance={name: value})


@pytest.mark.parametrize(
    "metrics", [{"loss": "0.5"}, {"loss": True}, {"loss": 10**400}, {"loss": {"a": 1}}, {"loss": [0.5]}]
)
def test_metrics_are_numbers(metrics):
    with pytest.raises(TicketError, match="`metrics` in a provenance must be an object of finite numbers"):
        check_provenance({"metrics": metrics})


def test_depth_is_bounded():
    deep: dict = {}
    for _ in range(500):
        deep = {"a": deep}
    with pytest.raises(TicketError, match="nested at most 64 levels deep"):
        toy_ticket().replace(provenance={"mine": deep})
