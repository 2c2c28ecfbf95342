import numpy as np

from training.judging.sheets import grid, spread


def test_spread_reaches_both_ends_and_repeats_nothing() -> None:
    assert list(spread(9, 3)) == [0, 4, 8]
    assert list(spread(2, 16)) == [0, 1]


def test_grid_fills_short_rows_with_white() -> None:
    a, b = np.zeros((2, 4, 4, 3), np.uint8), np.ones((1, 4, 4, 3), np.uint8)
    sheet = grid([a, b])
    assert sheet.shape == (8, 8, 3)
    assert (sheet[4:, :4] == 1).all()
    assert (sheet[4:, 4:] == 255).all()
