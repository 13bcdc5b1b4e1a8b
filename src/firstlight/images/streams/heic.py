"""HEIC, which Pillow reads with a plugin: taken where it is installed, named where it is not."""

from functools import cache

HEIC_ADVICE = "HEIC, which Pillow reads with a plugin: pip install pillow-heif"
_BRANDS = ("heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1")


def is_heic(start: bytes) -> bool:
    """Whether a file begins so, by its first twelve bytes."""
    return start[4:12] in [f"ftyp{brand}".encode() for brand in _BRANDS]


@cache
def with_heic(formats: tuple[str, ...]) -> tuple[str, ...]:
    """Pillow's names of formats, with that of the plugin."""
    try:
        from pillow_heif import register_heif_opener  # pyright: ignore[reportMissingImports]
    except ImportError:
        return formats
    register_heif_opener()
    return (*formats, "HEIF")
