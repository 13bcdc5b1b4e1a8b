"""Tiles of small pictures."""

import numpy as np

from firstlight.figures.pictures import tile


def test_each_picture_is_scaled_by_its_own_largest_weight_and_zero_is_gray():
    pictures = np.zeros((3, 3, 2, 2))
    pictures[0, 0, 0, 0] = 5.0
    pictures[1, 1, 1, 1] = -1e-9
    canvas = tile(pictures, columns=3)
    assert canvas.shape == (2, 8, 4)
    assert canvas[0, 0].tolist() == [1.0, 0.5, 0.5, 1.0]
    assert canvas[1, 4].tolist() == [0.5, 0.0, 0.5, 1.0]
    assert (canvas[:, 6:, :3] == 0.5).all()  # nothing there: grey, not NaN
    assert (canvas[:, [2, 5], 3] == 0).all()  # the page is seen between them
    assert (np.delete(canvas, [2, 5], axis=1)[..., 3] == 1).all()


def test_other_numbers_of_channels_are_shown_by_their_mean():
    canvas = tile(np.stack([np.full((5, 2, 2), -2.0), np.full((5, 2, 2), 2.0)]), columns=2)
    assert (canvas[:, :2, :3] == 0).all()
    assert (canvas[:, 3:, :3] == 1).all()
