"""A folder of pictures; subfolders are classes. Tests: tests/data/test_folder.py."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from ctc_jax.data.cache import fingerprint
from ctc_jax.data.pictures import fit, is_color
from ctc_jax.data.source import Arrays, Source
from ctc_jax.errors import ConfigError

ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
SEED = 2_001  # of the order, so that the held-out end of the list is a fair sample of every subfolder


def load(source: Source) -> Arrays:
    """Grey when every picture is, else RGB. The class is the subfolder's place in alphabetical order.

    Raises:
      ConfigError: no pictures, one that cannot be read, or different sizes without `data.image_size`.
    """
    root = Path(source.path).expanduser()
    paths = find(source)
    paths = [paths[index] for index in np.random.default_rng(SEED).permutation(len(paths))]
    color = any(opened(source, path, is_color) for path in paths)
    shape = opened(source, paths[0], lambda image: fit(image, source.image_size, color)).shape
    images = source.allocate((len(paths), *shape))
    for index, path in enumerate(paths):
        image = opened(source, path, lambda image: fit(image, source.image_size, color))
        if image.shape != shape:
            allowed = f"a side to scale to, since {paths[0]} is {shape[:2]} and {path} is {image.shape[:2]}"
            raise ConfigError("data.image_size", source.image_size, allowed)
        images[index] = image
    names = [path.relative_to(root).parts[0] if len(path.relative_to(root).parts) > 1 else "" for path in paths]
    classes = sorted(set(names))
    labels = np.array([classes.index(name) for name in names], np.int32)
    return Arrays(images, labels, images[:0], labels[:0], len(classes), str(root))


def cache_name(source: Source) -> str:
    """Changes when a file is added, removed or written to, and with the image size."""
    name = Path(source.path).expanduser().resolve().name
    return f"folder-{name}-{source.image_size}-{fingerprint(find(source))}"


def find(source: Source) -> list[Path]:
    """The pictures under the folder in alphabetical order.

    Raises:
      ConfigError: there are none.
    """
    root = Path(source.path).expanduser()
    found = root.rglob("*") if source.path and root.is_dir() else []
    paths = sorted(path for path in found if path.suffix.lower() in ENDINGS and path.is_file())
    if not paths:
        raise ConfigError("data.path", source.path, f"a folder with pictures ({', '.join(sorted(ENDINGS))})")
    return paths


def opened(source: Source, path: Path, use: object) -> UInt8[np.ndarray, "height width channels"] | bool:
    """`use` of the opened picture.

    Raises:
      ConfigError: the picture cannot be read.
    """
    try:
        with Image.open(path) as image:
            return use(image)
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError) as error:
        raise ConfigError("data.path", source.path, f"a folder of readable 8-bit pictures; {path}: {error}") from None
