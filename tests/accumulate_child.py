"""Accumulate in a process that a test can kill, on the engine that it names.

`accumulate_child.py FOLDER ENGINE [OPTION=VALUE...]`: ENGINE is "local", "dask" (a cluster of its own) or the address
of a scheduler. The options: shards, count, side, held of `noise_shards`, or data, a path of real images that are cut
into shards; strict; gpu, to ask for workers that have one. The state is FOLDER/state.npz and written after every shard,
the result goes to FOLDER/moments.npz, and what went wrong to stderr, in one line. A file FOLDER/listed tells that the
shards are made; a file FOLDER/wait keeps them from being read.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from synthetic_shards import noise_shards  # the tests' folder is this script's

from firstlight.engines import dask as dask_engine, open_engine
from firstlight.errors import FirstlightError
from firstlight.images import shards_of
from firstlight.patches.out_of_core import accumulate as module


def main(folder: Path, kind: str, **options: str) -> int:
    module.STATE_SECONDS = 0.0
    dask_engine.PATIENCE = 3
    data, strict = options.pop("data", None), bool(options.pop("strict", ""))
    resources = {"GPU": 1} if options.pop("gpu", "") else None
    if data is None:
        shards = noise_shards(folder, **{name: int(value) for name, value in options.items()})
    else:
        shards = shards_of(data, images_per_shard=5)
    (folder / "listed").touch()
    while (folder / "wait").exists():
        time.sleep(0.01)
    where: dict[str, Any] = {"workers": 2, "resources": resources} if kind in ("local", "dask") else {"scheduler": kind}
    try:
        with open_engine("local" if kind == "local" else "dask", **where) as engine:
            done = module.accumulate(
                shards, 3, engine=engine, state=folder / "state.npz", blocks=2, strict=strict, progress=False
            )
    except FirstlightError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    done.moments.save(folder / "moments.npz")
    print(json.dumps({"images": done.images, "broken_count": done.broken_count, "broken": done.broken}))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], **dict(option.split("=", 1) for option in sys.argv[3:])))
