"""Whether numbers can be the sums over any patches."""

import numpy as np


def are_possible(second: np.ndarray, first: np.ndarray, count: np.ndarray, dtype: str | None) -> bool:
    """Whether patches can have these sums: none of bytes is negative or too large, and no product above the squares."""
    pairs, sums, number = second.astype(np.float64), first.astype(np.float64), count[..., None].astype(np.float64)
    # A pair of patches at a distance is counted in both orders.
    if dtype == "uint8" and not (
        (second >= 0).all()
        and (first >= 0).all()
        and (pairs <= 2 * 255**2 * number[..., None]).all()
        and (sums <= 2 * 255 * number).all()
    ):
        return False
    if second.ndim == 3:  # of patches with themselves, and then with those at a distance
        pairs, sums, number = pairs[0], sums[0], number[0]
    squares = np.diag(pairs)
    room = 1 + 1e-6  # of rounding
    with np.errstate(over="ignore"):
        products = np.sqrt(np.maximum(squares, 0))
        return bool(
            (squares >= 0).all()
            and (abs(pairs) <= room * np.multiply.outer(products, products)).all()
            and (abs(sums) <= room * np.sqrt(number) * products).all()
        )
