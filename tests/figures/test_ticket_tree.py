"""Where the boxes of a graph stand."""

from xml.etree import ElementTree

from kerastickets.figures.chart import Graph, Node
from kerastickets.figures.ticket_tree import places, svg


def graph(nodes, *edges):
    return Graph("g", "G", tuple(Node(key, key, "<b>") for key in nodes), edges, "alt")


def test_chains_lie_in_rows():
    two = graph("abcd", ("a", "b"), ("c", "d"))
    assert places(two) == {"a": (0, 0), "c": (0, 1), "b": (1, 0), "d": (1, 1)}


def test_a_merge_stands_right_of_all_its_parents_and_in_their_middle():
    assert places(graph("abcm", ("a", "m"), ("b", "m"), ("c", "m")))["m"] == (1, 1)
    assert places(graph("abm", ("a", "b"), ("a", "m"), ("b", "m")))["m"] == (2, 0)


def test_no_two_boxes_share_a_place():
    where = places(graph("abcdef", *(("a", child) for child in "bcdef")))
    assert len({*where.values()}) == 6


def test_svg_is_well_formed_escaped_and_has_a_box_a_node():
    tree = ElementTree.fromstring(svg(graph(["a&b", "c"], ("a&b", "c"))))
    assert [len(tree.findall(f".//{tag}")) for tag in ("rect", "path", "b")] == [2, 1, 0]
    assert tree.find("g/title").text == "a&b <b>"


def test_an_empty_graph_is_an_empty_picture():
    assert len(ElementTree.fromstring(svg(graph("")))) == 0
