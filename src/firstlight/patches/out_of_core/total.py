"""The total of an accumulation: the sums over the shards that are done, as they are kept on disk."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from firstlight.errors import InputError
from firstlight.images.shards.shard import Shard
from firstlight.images.streams.left_out import MOST_NAMED, Broken
from firstlight.patches.image_lags import ImageLags
from firstlight.patches.moments import PatchMoments
from firstlight.patches.out_of_core.shard_sums import PatchesAndPixels, ShardSums, SumsKind
from firstlight.patches.sums import PatchSums
from firstlight.utils.damage import DAMAGE
from firstlight.utils.npz import header_of, open_npz, write_npz
from firstlight.utils.text import counted
from firstlight.utils.trouble import refuse_trouble

FORMAT = 2
_HINT = "begin anew with --restart (restart=True), or name another file"


@dataclass(frozen=True, eq=False)
class Total:
    """The sums over the shards that are done; adding makes a new one, so that an interrupt never meets half a sum.

    Attributes
    ----------
    kind : SumsKind
    shards : list of (str, str)
        Names and identities of all shards, done or not.
    done : ndarray of bool
        Which are.
    sums : PatchesAndPixels or ImageLags
        Over all patches.
    blocks, images, broken_count : list of sums, int and int
        As of `Accumulated`.
    left_out : mapping from str to int
        What lay beside the images and was not read, by kind.
    named : list of (int, Broken)
        Shard and what to tell of the first images that were left out.
    failed : bool
        Whether the run ended with an error, after which the command is likely to be given in another way.
    """

    kind: SumsKind
    shards: list[tuple[str, str]]
    done: np.ndarray
    sums: PatchesAndPixels | ImageLags
    blocks: list[PatchMoments]
    images: int = 0
    broken_count: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    named: list[tuple[int, Broken]] = field(default_factory=list)
    failed: bool = False

    @classmethod
    def empty(cls, kind: SumsKind, blocks: int, shards: Sequence[Shard]) -> Self:
        """Nothing is done."""
        return cls(
            kind=kind,
            shards=[(shard.name, shard.identity) for shard in shards],
            done=np.zeros(len(shards), bool),
            sums=kind.empty(),
            blocks=[PatchMoments(**asdict(kind.geometry)) for _ in range(blocks)],
        )

    @property
    def broken(self) -> list[Broken]:
        """The first images that were left out, in the order of the shards."""
        return [broken for _, broken in self.named]

    @property
    def parts(self) -> list[PatchSums]:
        """All sums, in the order in which they are kept."""
        return [*self.sums.parts, *self.blocks]

    def add(self, index: int, more: ShardSums) -> Self:
        """With the sums over a shard."""
        done, blocks = self.done.copy(), list(self.blocks)
        done[index] = True
        if blocks:
            blocks[index % len(blocks)] += more.sums.moments
        named = self.named
        if more.broken:
            # Sorted by shard and cut off, so that they do not depend on the order in which shards are done.
            named = sorted([*named, *((index, one) for one in more.broken)], key=lambda entry: entry[0])[:MOST_NAMED]
        return replace(
            self,
            done=done,
            # Of one kind.
            sums=self.sums + more.sums,  # pyright: ignore[reportOperatorIssue]
            blocks=blocks,
            images=self.images + more.images,
            broken_count=self.broken_count + more.broken_count,
            left_out=Counter(self.left_out) + Counter(more.left_out),
            named=named,
        )

    def save(self, path: Path) -> None:
        """Write all this to a file, atomically."""
        header = {
            "format": FORMAT,
            "window": self.kind.to_dict(),
            "blocks": len(self.blocks),
            "shards": self.shards,
            "images": self.images,
            "broken_count": self.broken_count,
            "left_out": dict(self.left_out),
            "broken": [(index, *broken) for index, broken in self.named],
            "failed": self.failed,
            "counts": [np.asarray(part.count).tolist() for part in self.parts],
            "dtypes": [part.dtype for part in self.parts],
        }
        arrays = {"done": self.done}
        for i, part in enumerate(self.parts):
            arrays |= {f"second{i}": part.second, f"first{i}": part.first}
        write_npz(path, arrays, header)

    @classmethod
    def load(cls, path: Path, kind: SumsKind, blocks: int, shards: Sequence[Shard]) -> Self:
        """Read what `save` wrote, for the same shards and options.

        Nothing is taken from a state without an image, nor from one of other shards or options that an error ended.

        Raises
        ------
        InputError
            The file is damaged, none of these, or of other shards or options.
        """
        total = cls.empty(kind, blocks, shards)
        try:
            with open_npz(path) as arrays:
                header = header_of(arrays)
                if header["format"] != FORMAT:
                    raise InputError(f"{path}: state of format {header['format']!r}; expected {FORMAT}: {_HINT}")
                other = total._other(header)
                if not header["images"] or (other and header.get("failed")):
                    return total
                if other:
                    raise InputError(f"{path}: {other}: {_HINT}")
                return total._with(header, arrays)
        except InputError:
            raise
        except DAMAGE as error:
            refuse_trouble(error, str(path))
            raise InputError(f"{path}: no whole state of an accumulation ({type(error).__name__}): {_HINT}") from None

    def _other(self, header: dict[str, Any]) -> str:
        """The first option or shard that is not that of the state; nothing where all are."""
        now = {**self.kind.to_dict(), "blocks": len(self.blocks)}
        for name, value in {**header["window"], "blocks": header["blocks"]}.items():
            if now[name] != value:
                return f"this state is of {name} {value}; expected {now[name]}"
        for index, ((old, old_identity), (new, identity)) in enumerate(
            zip(header["shards"], self.shards, strict=False)
        ):
            if old != new:
                return f"in this state shard {index} is {old}; expected {new}"
            if old_identity != identity:
                return (
                    f"shard {new} is not what it was when this state was begun: its files, or how they are read, have "
                    "changed"
                )
        if len(header["shards"]) != len(self.shards):
            return f"this state is of {counted(len(header['shards']), 'shard')}; expected {len(self.shards):,}"
        return ""

    def _with(self, header: dict[str, Any], arrays: Any) -> Self:
        """What a state holds, taken into the sums of an empty one; ValueError if it contradicts itself."""
        for i, (part, count, dtype) in enumerate(zip(self.parts, header["counts"], header["dtypes"], strict=True)):
            part.fill(arrays[f"second{i}"], arrays[f"first{i}"], count, dtype)
        done = arrays["done"]
        if done.shape != self.done.shape or done.dtype != bool:
            raise ValueError("another number of shards")
        return replace(
            self,
            done=done,
            images=int(header["images"]),
            broken_count=int(header["broken_count"]),
            left_out={str(kind): int(count) for kind, count in header.get("left_out", {}).items()},
            # Version 0.1.0 kept no kinds.
            named=[(int(index), Broken(*map(str, broken))) for index, *broken in header["broken"]],
        )
