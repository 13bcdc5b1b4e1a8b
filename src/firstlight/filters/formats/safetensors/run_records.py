"""The first layer of one of firstlight's own runs: its folder holds every record of the filters over time."""

from dataclasses import replace

from firstlight.filters.choice.tensors import TensorEntry, TensorFile

RECORDS = "filters.safetensors"  # in a run's folder


def one_record(file: TensorFile, layer: str | None) -> TensorFile:
    """Of a file with all records the last, as the layer "trained", or the first, "initial"; other files as they are."""
    stored = {entry.name: entry for entry in file.entries}
    if set(stored) != {"steps", "weight"} or len(stored["weight"].shape) != 5:
        return file
    weight = stored["weight"]
    name, index = ("initial", 0) if layer == "initial" else ("trained", -1)
    entry = TensorEntry(name, weight.shape[1:], weight.dtype, lambda: weight.read()[index])
    note = f"the {'first' if index == 0 else 'last'} record of a training run; --layer trained and initial choose"
    return replace(file, entries=(entry,), ordered=True, notes=(*file.notes, note))
