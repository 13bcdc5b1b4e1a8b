"""Whether an image that cannot be decoded only lacks memory: decoders without it may call the data damaged."""

from typing import BinaryIO

from firstlight.utils.trouble import check_room, trouble_of

# What decoding takes at most for every pixel, and besides.
_BYTES_PER_PIXEL, _BYTES = 32, 64 << 20


def check_memory(file: BinaryIO, formats: tuple[str, ...]) -> None:
    """See whether the memory that decoding may take can be had.

    Parameters
    ----------
    file : BinaryIO
        An image that could not be decoded; it can be searched.
    formats : tuple of str
        As Pillow calls them.

    Raises
    ------
    MemoryError, OSError
        It cannot, or there are too many open files.
    """
    check_room(_BYTES + _BYTES_PER_PIXEL * _pixels(file, formats))


def _pixels(file: BinaryIO, formats: tuple[str, ...]) -> int:
    """How many the header declares; 0 where it cannot be read, or declares more than Pillow opens."""
    from PIL import Image

    file.seek(0)
    start = file.read(30)
    if start[:4] == b"RIFF" and start[12:16] == b"VP8X":  # for which Pillow takes all memory with the header
        return int.from_bytes(start[24:27], "little") * int.from_bytes(start[27:30], "little")
    if start[:4] == b"RIFF" and start[12:15] == b"VP8":  # two sides of 14 bits
        lossless = start[12:16] == b"VP8L"
        sides = int.from_bytes(start[21:25] if lossless else start[26:30], "little")
        return (sides & 0x3FFF) * (sides >> (14 if lossless else 16) & 0x3FFF)
    file.seek(0)
    try:
        width, height = Image.open(file, formats=formats).size
    except Exception as error:
        if trouble_of(error):
            raise
        return 0
    return width * height
