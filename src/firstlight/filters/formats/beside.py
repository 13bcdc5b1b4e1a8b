"""Files that belong to a model and are named in it: beside it, and nowhere else."""

from pathlib import Path


def beside(model: Path, name: str) -> Path | None:
    """The file of that name in the model's folder; where the model is a link, also in that of what it leads to.

    None where the name or a link leads out of these folders.

    In the cache of the Hugging Face hub models are links into a store of all files, by their hashes, and so are those
    that belong to them.

    Raises
    ------
    OSError, RuntimeError, ValueError
        There is no such file.
    """
    folders = list(dict.fromkeys((model.parent.resolve(strict=True), model.resolve(strict=True).parent)))
    stores = [one.parent / "blobs" for one in (folders[0], *folders[0].parents) if one.name == "snapshots"]
    there = [folder for folder in folders if (folder / name).exists()] or folders
    path = (there[0] / name).resolve(strict=True)
    inside = name and any(path.is_relative_to(folder) for folder in (*folders, *stores))
    return path if inside else None
