"""`dask worker --preload` this: a worker on whose machine firstlight is not installed."""

import sys

for name in [name for name in sys.modules if name.partition(".")[0] == "firstlight"]:
    del sys.modules[name]


class NotInstalled:
    """Finds nothing, and lets nobody else find it."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name == "firstlight":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, NotInstalled)
