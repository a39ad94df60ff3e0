"""Which files of a folder are pictures of which part and class, and what is left out.

Tests: tests/data/test_picture_tree.py.
"""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ENDINGS = {
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".webp"),
    *(".ppm", ".pgm", ".pbm", ".pnm"),
}
# What systems and archives leave in folders, besides names that begin with a dot.
HIDDEN = {"__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found", "thumbs.db", "desktop.ini"}
PARTS = {
    "train": "train",
    "training": "train",
    "dev": "validation",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "eval": "test",
    "evaluation": "test",
    "test": "test",
    "testing": "test",
}
EXAMPLES = 3  # names of folders in a message


class Picture(NamedTuple):
    """A picture's file, and the name of its class folder, "" where it lies in none."""

    path: Path
    class_name: str


@dataclass(frozen=True)
class PictureTree:
    """The pictures under a folder.

    Attributes:
      root: the folder.
      parts: pictures of "train", "validation" and "test", each in the order of their names below the root; the latter
        two empty where the folder has no such subfolders.
      classes: names of the class folders in alphabetical order; [""] where there are none.
      notes: what was left out, a sentence each.
    """

    root: Path
    parts: dict[str, list[Picture]]
    classes: list[str]
    notes: list[str]

    @classmethod
    def of(cls, root: Path | None) -> "PictureTree":
        """Looks through a folder and the folders in it, linked ones too.

        Raises:
          ValueError: it has no pictures, or its folders can be read in several ways; the message says what is allowed.
        """
        files, folders, left_out = _walk(root) if root and os.path.isdir(root) else ([], [], Counter())
        if not files:
            found = f"; left out: {_listed(left_out)}" if left_out else ""
            raise ValueError(f"a folder with pictures ({', '.join(sorted(ENDINGS))}{found})")
        notes = [f"left out of {root}: {_listed(left_out)}"] if left_out else []
        named = _named_for_parts({names[0] if len(names) > 1 else "" for names, _ in files})
        if named:
            notes.append(f"{_some(named)} of {root} are taken for parts of the data, the folders in them for classes")
        depth = int(bool(named))  # folders between the root and a class folder
        parts: dict[str, list[Picture]] = {part: [] for part in ("train", "validation", "test")}
        for names, path in files:
            class_name = names[depth] if len(names) > depth + 1 else ""
            parts[PARTS[names[0].lower()] if named else "train"].append(Picture(path, class_name))
        classes, more = _classes(parts)
        empty = {names[depth] for names in folders if len(names) == depth + 1} - set(classes)
        if empty:
            more.append(f"{len(empty):,} folders of {root} have no pictures and are no classes: {_some(empty)}")
        return cls(root, parts, classes, notes + more)


def _named_for_parts(tops: set[str]) -> set[str]:
    """The uppermost folders ("" is the root) if they are named for parts of the data, none if they are classes."""
    named = {top for top in tops if top.lower() in PARTS}
    roles = {PARTS[top.lower()] for top in named}
    if named == tops:
        if "train" not in roles:
            raise ValueError(f"a folder with train beside {_some(named)}, or one of these itself")
        return named
    if "train" in roles and len(roles) > 1:
        others = _some((tops - named - {""}) or {"pictures"})
        raise ValueError(f"a folder of classes or of parts; it has {_some(named)} beside {others}")
    return set()


def _classes(parts: dict[str, list[Picture]]) -> tuple[list[str], list[str]]:
    """Names of all classes in order, and what to say of them."""
    own = {part: Counter(picture.class_name for picture in pictures) for part, pictures in parts.items()}
    classes = set().union(*own.values())
    if "" in classes and len(classes) > 1:
        beside = sum(counts[""] for counts in own.values())
        raise ValueError(
            f"pictures that all lie in class folders, or none; {beside:,} lie beside {_some(classes - {''})}"
        )
    unseen = {part: counts.keys() - own["train"].keys() for part, counts in own.items()}
    words = "classes of {} have no training pictures: {}"
    return sorted(classes), [
        f"{len(names):,} {words.format(part, _some(names))}" for part, names in unseen.items() if names
    ]


def _walk(root: Path) -> tuple[list[tuple[tuple[str, ...], Path]], list[tuple[str, ...]], Counter]:
    """Pictures in order and folders, by their names below the root, and how many files of which kind were left out."""
    files: list[tuple[tuple[str, ...], Path]] = []
    folders: list[tuple[str, ...]] = []
    left_out: Counter[str] = Counter()
    waiting: list[tuple[Path, tuple[str, ...], frozenset]] = [(root, (), frozenset({_identity(root)}))]
    while waiting:
        folder, above, around = waiting.pop()
        try:
            for entry in os.scandir(folder):
                names, ending = (*above, entry.name), os.path.splitext(entry.name)[1].lower()
                if entry.name.startswith(".") or entry.name.lower() in HIDDEN:
                    left_out["hidden"] += 1
                elif entry.is_dir():
                    if (identity := _identity(Path(entry.path))) in around:
                        left_out["links to a folder around them"] += 1
                    else:
                        folders.append(names)
                        waiting.append((Path(entry.path), names, around | {identity}))
                elif not entry.is_file():
                    left_out["broken links or no regular files"] += 1
                elif ending not in ENDINGS:
                    left_out[f"ending in {ending}" if ending else "without an ending"] += 1
                else:
                    files.append((names, Path(entry.path)))
        except OSError as error:
            raise ValueError(f"a folder that can be read; {folder}: {error.strerror}") from None
    return sorted(files), folders, left_out


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _listed(left_out: Counter) -> str:
    return ", ".join(f"{count:,} {words}" for words, count in sorted(left_out.items()))


def _some(names: set[str]) -> str:
    shown = sorted(names)[:EXAMPLES]
    return ", ".join(shown) + (f" and {len(names) - EXAMPLES:,} more" if len(names) > EXAMPLES else "")
