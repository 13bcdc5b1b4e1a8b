"""Whether an image that cannot be decoded only lacks memory: decoders without it may call the data damaged."""

from firstlight.utils.trouble import check_room

# What decoding takes at most for every pixel, and besides.
_BYTES_PER_PIXEL, _BYTES = 32, 64 << 20


def check_memory(pixels: int) -> None:
    """See whether the memory that decoding of so many may take can be had.

    Raises
    ------
    MemoryError, OSError
        It cannot, or there are too many open files.
    """
    check_room(_BYTES + _BYTES_PER_PIXEL * pixels)


def webp_pixels(start: bytes) -> int | None:
    """How many a WebP file declares in its first 30 bytes, for all of which Pillow takes memory with the header.

    None of any other file.
    """
    if start[:4] != b"RIFF" or start[12:15] != b"VP8":
        return None
    if start[15:16] == b"X":
        return (1 + int.from_bytes(start[24:27], "little")) * (1 + int.from_bytes(start[27:30], "little"))
    if start[15:16] == b"L":  # two sides of 14 bits
        sides = int.from_bytes(start[21:25], "little")
        return (1 + (sides & 0x3FFF)) * (1 + (sides >> 14 & 0x3FFF))
    sides = int.from_bytes(start[26:30], "little")
    return (sides & 0x3FFF) * (sides >> 16 & 0x3FFF)
