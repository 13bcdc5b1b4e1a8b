"""One target under atheris, in a process of its own: `python -m fuzz.child TARGET FOLDER [libFuzzer options]`."""

import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

from firstlight.errors import FirstlightError
from fuzz.seeds import targets

atheris: Any = import_module("atheris")  # only installed where somebody fuzzes
with atheris.instrument_imports(
    include=["firstlight.filters", "firstlight.images", "firstlight.inspection", "firstlight.patches", "PIL"]
):
    import firstlight.filters.choice.first_layer
    import firstlight.filters.formats.detect
    import firstlight.filters.formats.exported.reader
    import firstlight.filters.formats.numpy.reader
    import firstlight.filters.formats.onnx.reader
    import firstlight.filters.formats.safetensors.reader
    import firstlight.filters.formats.torch.reader
    import firstlight.images.streams.decode
    import firstlight.inspection.atlas
    import firstlight.patches.statistics

LONGEST = 2000  # characters of a message


def read(reader: str, path: Path) -> None:
    """Read a file as the target says."""
    if reader == "filters":
        firstlight.filters.load_filters(path)
    elif reader == "images":
        for _ in firstlight.images.image_stream(path, workers=1, progress=False):
            pass
    elif reader == "atlas":
        firstlight.inspection.atlas.read_atlas(path)
    else:
        firstlight.patches.statistics.patch_statistics(path)


def main() -> None:
    """Fuzz until libFuzzer's limits."""
    name, folder = sys.argv.pop(1), Path(sys.argv.pop(1))
    target = targets(folder)[name]
    path = folder / f"input{target.suffix}"
    warnings.simplefilter("error")

    def one(data: bytes) -> None:
        path.write_bytes(target.wrap(data))
        message = ""
        try:
            read(target.reader, path)
        except FirstlightError as error:
            message = str(error)
        assert "\n" not in message, "the message has several lines"
        assert len(message) < LONGEST, "the message is too long"

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
