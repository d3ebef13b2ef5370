"""Weights as pods: never fewer than there were, as near as whole pods allow, each one further than the last."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshup.model.weights import legs, read


@pytest.mark.parametrize(
    ("pods", "wanted"),
    [
        (1, [(10, 1, 1), (100, 1, 0)]),
        (2, [(10, 1, 2), (50, 1, 1), (100, 2, 0)]),
        (3, [(10, 1, 3), (50, 2, 2), (100, 3, 0)]),
        (10, [(10, 1, 9), (50, 5, 5), (100, 10, 0)]),
    ],
)
def test_few_pods_come_as_near_as_they_can_and_a_weight_that_changes_nothing_is_left_out(
    pods: int, wanted: list[tuple[int, int, int]]
) -> None:
    assert [(each.wanted, each.new, each.old) for each in legs((10, 50, 100), pods)] == wanted


@given(
    pods=st.integers(1, 200),
    weights=st.lists(st.integers(1, 99), unique=True, max_size=6).map(sorted).map(lambda several: [*several, 100]),
)
def test_no_leg_has_fewer_pods_than_the_gateway_had_and_none_goes_back(pods: int, weights: list[int]) -> None:
    found = legs(weights, pods)
    assert (found[-1].new, found[-1].old) == (pods, 0)
    assert all(each.new + each.old >= pods for each in found)
    assert all(one.new <= other.new and one.old >= other.old for one, other in itertools.pairwise(found))
    assert all(one.share < other.share for one, other in itertools.pairwise(found))
    assert all(each.new > 0 and each.old > 0 for each in found[:-1])


@pytest.mark.parametrize(
    "odd", [["10"], [0, 100], [10, 10, 100], [50, 10, 100], [10, 50], [True, 100], [10.5, 100], 100.0, "100", [101]]
)
def test_what_is_no_weight_is_refused(odd: object) -> None:
    with pytest.raises(ValueError, match=r"percents|rise"):
        read(odd)


@pytest.mark.parametrize("right", [[], [100], [1, 2, 100]])
def test_weights_are_read_as_they_stand(right: list[int]) -> None:
    assert read(right) == right
