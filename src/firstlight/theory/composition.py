"""A stack of linear convolutions that learns to whiten the centre of its window: the loss, and its gradient.

With one layer it is eq. 3. With more, the first layer shares what has to be learned with those above it, tap by tap.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

# The first variance lambda_1^2 of the patches, which says what the unit of time is. It is that of CIFAR-10 as the
# networks were trained on it with which the shape of the theory was chosen.
UNIT = 25.8


@dataclass(frozen=True, eq=False)
class Composition:
    """Linear convolutions in a row, as matrices; the weights of several stacks lie side by side, flat.

    The stack sees windows w and gives P w. What it is to give is the whitened centre y of the window, ``<y, u_i> =
    lambda_i`` times the coefficient of unit variance: the label that eq. 3 assumes. Its loss is
    ``1/2 E|P w - y|^2`` up to a constant, ``1/2 tr(P M P^T) - tr(P C)``.

    Attributes
    ----------
    second : ndarray, shape (D, D)
        M, the uncentred second moment of the windows, in units in which lambda_1^2 of the patches is `UNIT`.
    cross : ndarray, shape (D, T)
        C = E[w y^T], of the windows and what is to be learned.
    sizes : tuple of int
        Side of every layer's kernels, the first layer first.
    channels, width, stride : int
        Channels of the images, filters of every layer but the last, and the first layer's stride: the kernels after it
        read every stride-th pixel.
    """

    second: np.ndarray = field(repr=False)
    cross: np.ndarray = field(repr=False)
    sizes: tuple[int, ...]
    channels: int
    width: int
    stride: int

    @cached_property
    def spatial(self) -> int:
        """Number of layers up to the last whose kernel is not 1 x 1; at least the first."""
        return max([1, *(i + 1 for i, size in enumerate(self.sizes) if size > 1)])

    @cached_property
    def spans(self) -> tuple[int, ...]:
        """Pixels in a row that the first 1, 2, ... layers see together."""
        further = np.cumsum([self.stride * (size - 1) for size in self.sizes[1:]], dtype=int).tolist()
        return tuple(self.sizes[0] + more for more in (0, *further))

    @cached_property
    def shapes(self) -> list[tuple[int, int]]:
        """Of every layer's matrix: what it sees, or the filters below it, by its filters, at all its taps."""
        filters = [self.width] * (len(self.sizes) - 1) + [self.cross.shape[1]]
        first = self.channels * self.sizes[0] ** 2, filters[0]
        above = zip(filters, filters[1:], self.sizes[1:], strict=False)
        return [first, *((below, size**2 * own) for below, own, size in above)]

    @property
    def products(self) -> int:
        """Multiplications of one gradient, roughly, of one stack."""
        seen, learned = self.cross.shape
        kernels = sum(
            rows * columns * self.channels * span**2
            for (rows, columns), span in zip(self.shapes[1 : self.spatial], self.spans, strict=False)
        )
        return self.width * seen * (seen + 2 * learned) + 3 * kernels

    def initial(self, scale: float, seeds: Sequence[int]) -> np.ndarray:
        """Gaussian weights of deviation ``scale / sqrt(fan in)``, a stack a seed, shape (N, P)."""
        fan_in = [self.shapes[0][0], *(self.width * size**2 for size in self.sizes[1:])]
        draws = [np.random.default_rng(seed) for seed in seeds]
        return np.array(
            [
                np.concatenate(
                    [
                        scale / np.sqrt(fan) * random.standard_normal(rows * columns)
                        for fan, (rows, columns) in zip(fan_in, self.shapes, strict=True)
                    ]
                )
                for random in draws
            ]
        )

    def layers(self, weights: np.ndarray) -> list[np.ndarray]:
        """Views of flat weights (N, P), one for each layer: (N, rows, columns), see `shapes`."""
        ends = np.cumsum([0, *(rows * columns for rows, columns in self.shapes)])
        parts = zip(ends, ends[1:], self.shapes, strict=False)
        return [weights[:, start:stop].reshape(len(weights), *shape) for start, stop, shape in parts]

    def loss(self, weights: np.ndarray) -> np.ndarray:
        """Of every stack, up to the constant, shape (N,)."""
        layers = self.layers(weights)
        composite = _product([self._composites(layers)[-1], *layers[self.spatial :]])
        return np.sum(composite * (self.second @ composite / 2 - self.cross), axis=(1, 2))

    def flow(self, weights: np.ndarray) -> np.ndarray:
        """Minus the gradient of every stack's loss, shape (N, P)."""
        layers = self.layers(weights)
        composites, head = self._composites(layers), layers[self.spatial :]
        seen = composites[-1]
        result = np.empty_like(weights)
        results = self.layers(result)
        residual = np.matmul(self.second, seen)
        if head:  # 1 x 1: one matrix, and never the whole composite, which is as wide as the target
            matrix = _product(head)
            residual_head = self.cross.T @ seen
            residual_head = _t(residual_head) - _t(seen) @ residual @ matrix
            residual = self.cross @ _t(matrix) - residual @ (matrix @ _t(matrix))
            for place, own in enumerate(results[self.spatial :]):
                below, above = head[:place], head[place + 1 :]
                change = _t(_product(below)) @ residual_head if below else residual_head
                own[:] = change @ _t(_product(above)) if above else change
        else:
            residual = self.cross - residual
        for place in range(self.spatial - 1, 0, -1):
            taken = np.empty((*composites[place - 1].shape[:2], layers[place].shape[2]))
            for part, taps in zip(self._parts(taken, place), self._taps(residual, place), strict=True):
                part[:] = taps
            np.matmul(_t(composites[place - 1]), taken, out=results[place])
            residual = taken @ _t(layers[place])
        results[0][:] = residual
        return result

    def _composites(self, layers: Sequence[np.ndarray]) -> list[np.ndarray]:
        """What the first 1, 2, ... spatial layers do together to a window, each of shape (N, D_l, filters)."""
        found = [layers[0]]
        for place in range(1, self.spatial):
            parts = found[-1] @ layers[place]
            filters = parts.shape[2] // self.sizes[place] ** 2
            wider = np.zeros((len(parts), self.channels * self.spans[place] ** 2, filters))
            for taps, part in zip(self._taps(wider, place), self._parts(parts, place), strict=True):
                taps += part
            found.append(wider)
        return found

    def _taps(self, composite: np.ndarray, place: int) -> list[np.ndarray]:
        """Where in a composite (N, D_l, filters) each tap of that layer reads, views (N, C, side, side, filters)."""
        side, size = self.spans[place - 1], self.sizes[place]
        image = composite.reshape(len(composite), self.channels, self.spans[place], self.spans[place], -1)
        starts = [self.stride * tap for tap in range(size)]
        return [image[:, :, y : y + side, x : x + side] for y in starts for x in starts]

    def _parts(self, parts: np.ndarray, place: int) -> list[np.ndarray]:
        """What each tap of that layer contributes, of (N, D_l, taps * filters), views (N, C, side, side, filters)."""
        side, taps = self.spans[place - 1], self.sizes[place] ** 2
        apart = parts.reshape(len(parts), self.channels, side, side, taps, -1)
        return [apart[..., tap, :] for tap in range(taps)]


def _product(matrices: Sequence[np.ndarray]) -> np.ndarray:
    result = matrices[0]
    for matrix in matrices[1:]:
        result = result @ matrix
    return result


def _t(matrices: np.ndarray) -> np.ndarray:
    return matrices.transpose(0, 2, 1)
