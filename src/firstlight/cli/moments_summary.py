"""What `moments` tells of the images that it has read: on the terminal, in JSON, in its file, in a table."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstlight.cli.output import write_csv
from firstlight.errors import InputError
from firstlight.utils.console import note
from firstlight.utils.text import plural

if TYPE_CHECKING:
    from firstlight.images import Data
    from firstlight.patches.out_of_core.accumulate import Accumulated
    from firstlight.whitening.curve import AutocorrelationCurve

_NAMED, _NAMED_IN_FILE = 5, 100  # broken images


def write_broken(done: "Accumulated", path: Path) -> None:
    """Write the table of the images that were left out, and say so where it does not name all."""
    write_csv(path, [done.broken_table()])
    if len(done.named) < done.broken_count:
        note(f"--broken {path} names {len(done.named):,} of {done.broken_count:,} images")


def about_images(data: "Data", done: "Accumulated") -> dict[str, Any]:
    """What to know of the images; mean and std are missing where a channel is constant."""
    from firstlight.patches.pixel_statistics import pixel_statistics

    about: dict[str, Any] = {"data": data.name}
    with contextlib.suppress(InputError):
        mean, std = pixel_statistics(done.pixels)
        about |= {"mean": list(mean), "std": list(std)}
    counts = {"images": done.images, "patches": done.moments.count, "broken": done.broken_count}
    counts |= {"left_out": done.left_out} if done.left_out else {}
    return {**about, **counts, "broken_files": done.broken[:_NAMED_IN_FILE]}


def summary(about: dict[str, Any]) -> list[tuple[str, str]]:
    from firstlight.images.streams.choice import left_out_text

    rows = [("images", f"{about['images']:,} of {about['data']}"), ("patches", f"{about['patches']:,}")]
    if about["broken"]:
        named = "; ".join(f"{name} ({reason})" for name, reason in about["broken_files"][:_NAMED])
        rows.append(("broken, left out", f"{about['broken']:,}: {named}"))
    if "left_out" in about:
        rows.append(("left out", f"{left_out_text(about['left_out'])} (--only PATTERN takes others)"))
    for name in ("mean", "std"):
        rows.append((f"{name} of the pixels", ", ".join(f"{value:.4f}" for value in about.get(name, ())) or "constant"))
    return rows


def pixel_curve(done: "Accumulated") -> "AutocorrelationCurve | None":
    """That of the pixels, if pairs were summed, of images that vary."""
    if done.lags is None or done.lags.max_distance == 0:
        return None
    from firstlight.whitening import autocorrelation

    with contextlib.suppress(InputError):  # a channel is constant
        return autocorrelation(None, done.lags)


def curve_text(curve: "AutocorrelationCurve") -> str:
    """C(d) / C(0) at doubling distances."""
    last = len(curve.value) - 1
    shown = [*(2**i for i in range(last.bit_length()) if 2**i < last), last]
    values = ", ".join(f"{curve.value[d]:.3f}" for d in shown)
    return f"{values} of the pixels at {', '.join(map(str, shown))} {plural(last, 'pixel')}"


def versions() -> dict[str, str]:
    """Of what decides the pixels, and of nothing else: the file is the same wherever these are."""
    import PIL

    return {"pillow": PIL.__version__}
