"""A folder of pictures; subfolders are classes. Tests: tests/data/test_folder.py."""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from ctc_jax.data.cache import fingerprint, plain_name
from ctc_jax.data.digest import digest_of
from ctc_jax.data.picture_tree import Picture, PictureTree
from ctc_jax.data.pictures import VERSION, is_color, opened, peculiarities, shown
from ctc_jax.data.places import Places, user_path
from ctc_jax.data.source import Arrays, Source
from ctc_jax.options import OptionError, option

T = TypeVar("T")
SEED = 2_001  # of the order, so that the held-out end of the list is a fair sample of every subfolder


@dataclass(frozen=True)
class Folder(Source):
    """Grey when every picture is, else RGB. The class is the subfolder's place in alphabetical order."""

    path: str = option("", "the folder")
    image_size: int = option(
        0, "side of the square that pictures are cropped and scaled to; 0 keeps their size", at_least=0
    )
    background: int = option(255, "grey level behind transparent pixels", at_least=0, at_most=255)

    def build(self, places: Places) -> Arrays:
        """Raises `OptionError`: no pictures, one that cannot be read, or different sizes without `image_size`."""
        tree = self._tree()
        pictures = [picture for part in ("train", "validation", "test") for picture in shuffled(tree.parts[part])]
        paths = [picture.path for picture in pictures]
        facts = [self._opened(path, lambda image: (is_color(image), peculiarities(image))) for path in paths]
        color = any(colored for colored, _ in facts)
        size = {"side": self.image_size, "color": color, "background": self.background}
        first = self._opened(paths[0], lambda image: shown(image, **size))
        images = places.allocate((len(paths), *first.shape))
        digests: Counter[bytes] = Counter()
        for index, path in enumerate(paths):
            image = self._opened(path, lambda image: shown(image, **size))
            if image.shape != first.shape:
                allowed = f"a side to scale to, since {paths[0]} is {first.shape[:2]} and {path} is {image.shape[:2]}"
                raise OptionError("image_size", self.image_size, allowed)
            images[index] = image
            digests[hashlib.blake2b(image.tobytes(), digest_size=16).digest()] += 1
        numbers = {name: number for number, name in enumerate(tree.classes)}
        labels = np.array([numbers[picture.class_name] for picture in pictures], np.int32)
        cut = len(pictures) - len(tree.parts["test"])
        return Arrays(
            images[:cut],
            labels[:cut],
            images[cut:],
            labels[cut:],
            len(tree.classes),
            str(tree.root),
            len(tree.parts["validation"]) or None,
            notes=(*tree.notes, *_counted(facts), *_copies(digests)),
        )

    def cache_name(self, places: Places) -> str:
        """Changes with the files that are loaded, the notes on those left out and the options; raises as `build`."""
        del places
        tree = self._tree()
        digest = digest_of(
            fingerprint(picture.path for pictures in tree.parts.values() for picture in pictures), *tree.notes
        )[:16]
        name = plain_name(tree.root.resolve().name)
        return f"folder-{name}-{self.image_size}-{self.background}-v{VERSION}-{digest}"

    def _tree(self) -> PictureTree:
        try:
            return PictureTree.of(user_path(self.path) if self.path else None)
        except ValueError as error:
            raise OptionError("path", self.path, str(error)) from None

    def _opened(self, path: Path, use: Callable[[Image.Image], T]) -> T:
        try:
            return opened(path, use)
        except ValueError as error:
            raise OptionError("path", self.path, f"a folder of readable pictures; {path}: {error}") from None


def shuffled(pictures: list[Picture]) -> list[Picture]:
    """The pictures in an order that depends on their number alone."""
    return [pictures[index] for index in np.random.default_rng(SEED).permutation(len(pictures))]


def _counted(facts: list[tuple[bool, list[str]]]) -> list[str]:
    counts = Counter(words for _, found in facts for words in found)
    return [f"{count:,} of {len(facts):,} pictures {words}" for words, count in sorted(counts.items())]


def _copies(digests: Counter) -> list[str]:
    copies = sum(count - 1 for count in digests.values())
    words = "are copies of others, which may lie in different parts of the data"
    return [f"{copies:,} of {digests.total():,} pictures {words}"] if copies else []
