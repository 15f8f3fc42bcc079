import keras
import pytest
from hypothesis import given, strategies as st

from kerastickets.foundations.structure import is_nested, leaves, map_leaves, named_leaves

STRUCTURES = st.recursive(
    st.integers(),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3),
        st.lists(inner, min_size=1, max_size=3).map(tuple),
        st.dictionaries(st.sampled_from("abcd"), inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)


@given(STRUCTURES)
def test_leaves_come_in_the_order_of_keras(structure):
    assert leaves(structure) == keras.tree.flatten(structure)


@given(STRUCTURES)
def test_map_leaves_is_that_of_keras(structure):
    assert map_leaves(lambda leaf: leaf + 1, structure) == keras.tree.map_structure(
        lambda leaf: leaf + 1, structure
    )


@given(STRUCTURES)
def test_names_lead_to_their_leaves(structure):
    for name, leaf in named_leaves(structure):
        found = structure
        for step in name.split(".") if name else ():
            found = found[step] if isinstance(found, dict) else found[int(step)]
        assert found == leaf


@pytest.mark.parametrize("others", [((1, 2),), ({"a": 1},), (3,)])
def test_structures_that_differ_are_refused(others):
    with pytest.raises(ValueError, match="structures differ"):
        map_leaves(lambda *parts: parts, (1, 2, 3), *others)


def test_none_is_a_leaf():
    assert leaves((None, [1])) == [None, 1]
    assert not is_nested(None)
