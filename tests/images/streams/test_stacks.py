import numpy as np
from hypothesis import given, strategies as st

from firstlight.images.streams.stacks import STACK_BYTES, Stacks, pieces


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4)), max_size=40), st.integers(1, 60))
def test_all_images_come_out_in_bounded_stacks_of_one_size(sizes: list[tuple[int, int]], limit: int) -> None:
    images = [np.full((1, 3, *size), index, np.uint8) for index, size in enumerate(sizes)]
    stacks = Stacks(limit)
    out: list[np.ndarray] = []
    for count, image in enumerate(images, 1):
        out += stacks.add(image)
        held = sum(each.nbytes for each in images[:count]) - sum(stack.nbytes for stack in out)
        assert held <= max(limit, image.nbytes)
    out += stacks.rest()
    assert all(stack.nbytes <= limit or len(stack) == 1 for stack in out)
    assert all(stack.flags.c_contiguous for stack in out)
    found = {int(image.flat[0]): image.shape for stack in out for image in stack}
    assert found == {index: (3, *size) for index, size in enumerate(sizes)}
    for size in set(sizes):  # in order among their like
        order = [int(image.flat[0]) for stack in out for image in stack if image.shape[1:] == size]
        assert order == sorted(order)


def test_few_sizes_make_full_stacks() -> None:
    stacks = Stacks(1000)
    out = [stack for index in range(100) for stack in stacks.add(np.zeros((1, 1, 5, 4 + index % 2), np.uint8))]
    assert min(len(stack) for stack in out) >= 16


@given(st.integers(1, 50), st.integers(1, 40), st.integers(1, 200))
def test_pieces(count: int, size: int, limit: int) -> None:
    images = np.arange(count * size).astype(np.uint8).reshape(count, 1, 1, size)
    found = list(pieces(images, limit))
    assert all(piece.nbytes <= limit or len(piece) == 1 for piece in found)
    np.testing.assert_array_equal(np.concatenate(found), images)


def test_limit() -> None:
    assert STACK_BYTES <= 32 << 20
