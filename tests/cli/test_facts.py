"""Facts of any analyzer as tables."""

from kerastickets_cli.facts import by_ticket, shown

FACTS = {
    "category": "separated",
    "shares": {"active": 0.25, "zombie": None},
    "coverage": [[1.0, 0.0], [0.5, 1.0]],
    "layers": [{"key": "a", "kept": 10}, {"key": "b", "kept": 2}],
    "totals": {"kept": 12},
    "map": [[[0] * 2] * 28] * 28,
    "edges": {"a": [0] * 20, "b": [1] * 20},
    "pairs": [{"a": 1, "b": 2, "total": {"z": 1234.56}, "layers": [{"key": "a", "ok": True}]}],
}


def test_values_come_first_then_tables():
    assert shown(FACTS) == "\n".join(
        [
            "category  separated",
            "shares    active 0.25  zombie -",
            "",
            "coverage:",
            "  1  2",
            "  1  0",
            "0.5  1",
            "",
            "layers:",
            "key    kept",
            "a        10",
            "b         2",
            "total    12",
            "",
            "map:",
            "28 x 28 x 2 numbers; see --json or --plot",
            "",
            "edges: 2 lists of numbers; see --json",
            "",
            "pairs:",
            "a  b       z",
            "1  2  1234.6",
            "",
            "pairs 1 layers:",
            "key   ok",
            "a    yes",
        ]
    )


def test_several_tickets_are_a_line_each():
    many = [{"ticket": "a", **FACTS}, {"ticket": "b", "category": "degraded"}]
    lines = by_ticket(many).splitlines()
    assert lines[0].split() == ["ticket", "category", "shares.active", "shares.zombie", "kept"]
    assert [line.split() for line in lines[1:]] == [
        ["a", "separated", "0.25", "-", "12"],
        ["b", "degraded", "-", "-", "-"],
    ]


def test_what_is_empty_is_shown_as_such():
    assert shown({}) == ""
    assert shown({"subnetworks": 0, "coverage": [], "layers": []}) == (
        "subnetworks  0\ncoverage     -\nlayers       -"
    )
    assert (
        shown({"coverage": [[], []], "rows": [{}]})
        == "coverage:\n2 x 0 numbers; see --json or --plot\n\nrows:"
    )
    assert shown({"coverage": [[1], [1, 2]]}) == "coverage:\n2 lists; see --json"
