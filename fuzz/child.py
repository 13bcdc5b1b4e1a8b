"""One target under atheris, in a process of its own: `python -m fuzz.child TARGET FOLDER [libFuzzer options]`."""

import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

from firstlight.errors import FirstlightError
from fuzz.seeds import targets

atheris: Any = import_module("atheris")  # only installed where somebody fuzzes
with atheris.instrument_imports(include=["firstlight.filters"]):
    import firstlight.filters.choice.first_layer
    import firstlight.filters.formats.detect
    import firstlight.filters.formats.exported.reader
    import firstlight.filters.formats.numpy.reader
    import firstlight.filters.formats.onnx.reader
    import firstlight.filters.formats.safetensors.reader
    import firstlight.filters.formats.torch.reader

LONGEST = 2000  # characters of a message


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
            firstlight.filters.load_filters(path)
        except FirstlightError as error:
            message = str(error)
        assert "\n" not in message, "the message has several lines"
        assert len(message) < LONGEST, "the message is too long"

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
