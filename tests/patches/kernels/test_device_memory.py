"""What the sums on a device hold at once does not grow with the stack: on the CPU, in small blocks."""

import pytest
import torch
from tests.patches.kernels.stacks import tensor_sums
from tests.peak_memory import peak_memory

from firstlight.patches.kernels import on_device

HELD = 1 << 21


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("settings", "count", "side"),
    [((3, 1), 600, 12), ((7, 1), 600, 12), ((2, 50), 10_000, 56), ((2, 50, 5), 10_000, 56)],
    ids=["3 x 3", "7 x 7", "most pixels unread", "dilated"],
)
def test_larger_stacks_take_no_more_memory(
    settings: tuple[int, ...], count: int, side: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(on_device, "_HELD", HELD)
    monkeypatch.setattr(on_device, "_tile_side", lambda count, windows, geometry: 2)
    image = torch.zeros(1, 3, side, side, dtype=dtype)
    few, many = (image.expand(number, 3, side, side) for number in (count, 3 * count))  # of no memory
    peak = peak_memory(many.device, lambda: tensor_sums(many, *settings))
    # The CPU, unlike CUDA, holds X twice: it converts bytes before it subtracts from them.
    assert peak < 2 * HELD
    assert peak == pytest.approx(peak_memory(few.device, lambda: tensor_sums(few, *settings)), rel=0.02)
