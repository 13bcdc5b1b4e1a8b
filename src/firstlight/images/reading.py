"""Reading images, whatever names them: as one array, as a stream, in shards."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from firstlight.errors import InputError
from firstlight.images.array_files import read_npy
from firstlight.images.imageset import SPLITS, ImageSet
from firstlight.images.recognise import recognise
from firstlight.images.shards.shard import Shard
from firstlight.images.streams.stream import ImageStream
from firstlight.utils.given import user_path
from firstlight.utils.nearest import nearest_path

if TYPE_CHECKING:
    import numpy as np


def load_images(
    source: Any,
    split: str = "train",
    *,
    data_dir: str | Path | None = None,
    labels: "np.ndarray | Sequence[int] | str | Path | Literal[False] | None" = None,
    layout: str | None = None,
) -> ImageSet:
    """Load one split of a data set.

    Parameters
    ----------
    source : str, Path, ndarray, tensor or ImageSet
        - ``"cifar10"``, ``"cifar100"`` (downloaded once) or ``"photos"`` (no download).
        - The path of a .npy or .npz file.
        - A folder of images of one size, in FOLDER/train/CLASS and FOLDER/test/CLASS (or ``val``). Without these
          two, of images in FOLDER/CLASS, one in six is for testing, drawn by its pixels. All grey: one channel.
        - The original files of CIFAR-10 or CIFAR-100: the folder of batches, or the archive by its own name.
        - An array of shape (N, C, H, W) or (N, H, W, C), uint8 or floating; or an ImageSet, which is returned as it is.
    split : str
        ``"train"`` or ``"test"``. An array, or a file without named splits, is a train split.
    data_dir : str or Path, optional
        For CIFAR by name: the folder to cache in, or one in which the original batches or archives already lie, or
        such an archive; by default the environment variable FIRSTLIGHT_CACHE, else the platform's cache folder.
    labels : int array of shape (N,) or (N, 1), or the path of a .npy file with one; or False
        Class numbers for an array or a file; they replace those that the file has. False: those of a file are not read.
    layout : {"NCHW", "NHWC"}, optional
        ``"NCHW"`` or ``"NHWC"`` for an array or a file, where its shape does not tell.

    Returns
    -------
    ImageSet

    Raises
    ------
    InputError
        When the source is unknown, or a file or array is not images.
    SourceError
        When a named data set can be had from nowhere.

    Examples
    --------
    >>> import numpy as np
    >>> from firstlight.images import load_images
    >>> load_images(np.arange(384).reshape(2, 8, 8, 3).astype(np.uint8))
    ImageSet('array', train: 2 images of 3x8x8, uint8, no labels)
    """
    if split not in SPLITS:
        raise InputError(f"split is {split!r}; expected 'train' or 'test'")
    data = recognise(source, data_dir)
    if isinstance(labels, str | Path):
        labels = read_npy(_existing(Path(labels)))
    return data.image_set(split, labels=labels, layout=layout)


def load_splits(source: Any, data_dir: str | Path | None = None) -> tuple[ImageSet, ImageSet]:
    """Load the train and the test split of a data set; as `load_images`, but a folder of images is read once."""
    data = recognise(source, data_dir)
    return load_images(data, "train"), load_images(data, "test")


def image_stream(
    source: Any,
    *,
    resize: int | tuple[int, int] | None = None,
    crop: int | tuple[int, int] | None = None,
    channels: int | None = None,
    split: str | None = None,
    only: str | Sequence[str] = (),
    layout: str | None = None,
    max_pixels: int | None = None,
    pages: str = "first",
    strict: bool = False,
    workers: int | None = None,
    progress: bool = True,
) -> ImageStream:
    """Read a data set of any size, in constant memory.

    Parameters
    ----------
    source : str, Path, ndarray, ImageSet, or iterable of images
        - A folder: every image file below it is taken, ``train`` and ``test`` alike (JPEG, PNG, WebP, TIFF, BMP, GIF,
          PPM, AVIF, JPEG 2000 by suffix, in either case), links followed, hidden files passed over. Or one such file,
          whatever it is called.
        - An array (N, C, H, W) or (N, H, W, C), uint8 or floating; a .npy or .npz file; an `ImageSet`; a name that
          `load_images` knows.
        - A tar file of image files, or a folder of them, as WebDataset has them.
        - The folder that `save_to_disk` of a Hugging Face Dataset or DatasetDict has written; a Parquet or Arrow file,
          or a folder of Parquet files, with a column of encoded images.
        - The address of one of these in a remote store: ``s3://BUCKET/FOLDER`` or what else fsspec knows.
        - A torch Dataset or DataLoader, or any iterable, of images, of tuples that begin with one, or of dictionaries
          with an "image", "pixel_values" or "img"; or of lists of such. An `ImageStream`.
    resize : int or tuple of two int, optional
        The shorter side in pixels (the longer one in proportion, rounded down), or (height, width); bicubic with
        antialiasing, as Pillow does it. None: as they are.
    crop : int or tuple of two int, optional
        Side, or (height, width), of the window at the centre that is kept; smaller images are left out.
    channels : int, optional
        3 for RGB, 1 for grey: image files are converted to it (grey by ITU-R 601, alpha dropped), by default to RGB.
        Arrays must have as many, whatever the number, by default their own; but RGB bytes can become grey.
    split : str, optional
        Of a data set that has splits: by default "train", or else the first (DatasetDict), or all (Parquet, tar).
    only : str or sequence of str
        Which image files to read, by patterns of their names such as ``*.jpg``, or the column of a table. By default
        all images, without masks beside them (``7_mask.png``, ``masks/7.png``); the column called "image".
    layout : {"NCHW", "NHWC"}, optional
        "NCHW" or "NHWC" for arrays whose shape does not tell.
    max_pixels : int, optional
        How many an image file may declare, in place of Pillow's guard against decompression bombs (89,478,485).
    pages : {"first", "all"}
        Which to read of files with several: TIFF, GIF, WebP, animated PNG.
    strict : bool
        Stop at the first broken image, instead of leaving it out.
    workers : int, optional
        Number of threads that decode; by default one a core, at most 16.
    progress : bool
        Whether to tell on stderr how far the reading is.

    Returns
    -------
    ImageStream
        8 bits a channel, upright (EXIF). 16-bit images become ``round(x / 257)``; floating-point arrays and tensors
        stay as they are, and floating-point image files are left out as broken, since their range is not known.

    Raises
    ------
    InputError
        An option is none, or the source holds no images.
    SourceError
        A file that holds many images is damaged.

    Examples
    --------
    >>> import numpy as np
    >>> stream = image_stream(np.zeros((5, 3, 8, 8), np.uint8), crop=4, progress=False)
    >>> [stack.shape for stack in stream]
    [(5, 3, 4, 4)]
    >>> stream.summary()
    '5 images from array'
    """
    return recognise(source).stream(
        resize=resize,
        crop=crop,
        channels=channels,
        split=split,
        only=only,
        layout=layout,
        max_pixels=max_pixels,
        pages=pages,
        strict=strict,
        workers=workers,
        progress=progress,
    )


def shards_of(
    source: Any,
    *,
    images_per_shard: int = 2048,
    at_least: int = 1,
    resize: int | tuple[int, int] | None = None,
    crop: int | tuple[int, int] | None = None,
    channels: int | None = None,
    split: str | None = None,
    only: str | Sequence[str] = (),
    layout: str | None = None,
    max_pixels: int | None = None,
    pages: str = "first",
) -> list[Shard]:
    """Cut a data set into shards, in an order that is always the same.

    Nothing is decoded, and of files only names, sizes, time stamps and the heads of tables are read.

    Parameters
    ----------
    source : str, Path, ndarray, ImageSet, or list of Shard
        - A folder of image files, or one such file: shards are `images_per_shard` of its files.
        - A tar file (``.tar``, ``.tar.gz``, ``.tgz``) of image files, or a folder of them, as WebDataset has them:
          every tar file is a shard.
        - A Parquet or Arrow file, a folder of Parquet files, or a saved Hugging Face data set: a file is a shard.
        - An array (N, C, H, W) or (N, H, W, C), a .npy or .npz file, an `ImageSet`, a name that `load_images` knows:
          shards are slices. Those of a file are read where the task runs; others travel there, 8 MB at most.
        - Shards, which stay as they are.
    images_per_shard : int
        Of files or slices.
    at_least : int
        So many files or slices that they are fewer than `images_per_shard` in each, if there are not enough otherwise.
    resize, crop, channels, split, only, layout, max_pixels, pages : optional
        As of `image_stream`.

    Returns
    -------
    list of Shard

    Raises
    ------
    InputError
        An option is none, or the source holds no images, or is Python objects that only this process has.
    SourceError
        The first of several tables is damaged.

    Examples
    --------
    >>> import firstlight as fl, numpy as np
    >>> [shard.name for shard in fl.shards_of(np.zeros((5, 3, 8, 8), np.uint8), images_per_shard=2)]
    ['array[0:2]', 'array[2:4]', 'array[4:5]']
    """
    return recognise(source).shards(
        images_per_shard=images_per_shard,
        at_least=at_least,
        resize=resize,
        crop=crop,
        channels=channels,
        split=split,
        only=only,
        layout=layout,
        max_pixels=max_pixels,
        pages=pages,
    )


def _existing(path: Path) -> Path:
    path = user_path(path)
    if not path.is_file():
        raise InputError(f"labels file {path} does not exist{nearest_path(path)}; expected a .npy file")
    return path
