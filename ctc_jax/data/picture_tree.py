"""Which files of a folder are pictures of which part and class, and what is left out.

Tests: tests/data/test_picture_tree.py.
"""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True)
class PictureTree:
    """The pictures under a folder.

    Attributes:
      root: the folder.
      parts: paths of "train", "validation" and "test", the latter two empty where the folder has no such subfolders.
      classes: names of the class folders in alphabetical order; [""] where there are none.
      depth: folders between the root and a class folder: 1 below train, validation and test, else 0.
      notes: what was left out, a sentence each.
    """

    root: Path
    parts: dict[str, list[Path]]
    classes: list[str]
    depth: int
    notes: list[str]

    @classmethod
    def of(cls, root: Path | None) -> "PictureTree":
        """Looks through a folder and the folders in it, linked ones too.

        Raises:
          ValueError: it has no pictures, or its folders can be read in several ways; the message says what is allowed.
        """
        paths, folders, left_out = _walk(root) if root and os.path.isdir(root) else ([], [], Counter())
        if not paths:
            found = f"; left out: {_listed(left_out)}" if left_out else ""
            raise ValueError(f"a folder with pictures ({', '.join(sorted(ENDINGS))}{found})")
        named = {path: path.relative_to(root).parts for path in paths}
        tops = {parts[0] if len(parts) > 1 else "" for parts in named.values()}
        split = {top for top in tops if top.lower() in PARTS}
        roles = {PARTS[top.lower()] for top in split}
        notes = [f"left out of {root}: {_listed(left_out)}"] if left_out else []
        depth = int(bool(roles) and split == tops)
        if depth and "train" not in roles:
            raise ValueError(f"a folder with train beside {_some(split)}, or one of these itself")
        if not depth and "train" in roles and len(roles) > 1:
            others = _some((tops - split - {""}) or {"pictures"})
            raise ValueError(f"a folder of classes or of parts; it has {_some(split)} beside {others}")
        if depth:
            notes.append(f"{_some(split)} of {root} are taken for parts of the data, the folders in them for classes")
        tree = cls(root, {part: [] for part in ("train", "validation", "test")}, [], depth, notes)
        for path, parts in named.items():
            tree.parts[PARTS[parts[0].lower()] if depth else "train"].append(path)
        tree.classes.extend(sorted({tree.class_of(path) for path in paths}))
        tree._check_classes()
        empty = {parts[depth] for parts in folders if len(parts) == depth + 1} - set(tree.classes)
        if empty:
            notes.append(f"{len(empty):,} folders of {root} have no pictures and are no classes: {_some(empty)}")
        return tree

    def class_of(self, path: Path) -> str:
        """The name of the picture's class folder, "" where it lies in none."""
        parts = path.relative_to(self.root).parts
        return parts[self.depth] if len(parts) > self.depth + 1 else ""

    def _check_classes(self) -> None:
        own = {part: {self.class_of(path) for path in paths} for part, paths in self.parts.items() if paths}
        if "" in self.classes and len(self.classes) > 1:
            count = sum(not self.class_of(path) for paths in self.parts.values() for path in paths)
            classes = _some(set(self.classes) - {""})
            raise ValueError(f"pictures that all lie in class folders, or none; {count:,} lie beside {classes}")
        for part, classes in own.items():
            if unseen := classes - own["train"]:
                self.notes.append(f"{len(unseen):,} classes of {part} have no training pictures: {_some(unseen)}")


def _walk(root: Path) -> tuple[list[Path], list[tuple[str, ...]], Counter]:
    """Pictures in order, the folders by their names below the root, and how many files of which kind were left out."""
    paths, folders, left_out = [], [], Counter()
    waiting = [(root, frozenset({_identity(root)}))]
    while waiting:
        folder, above = waiting.pop()
        try:
            for entry in os.scandir(folder):
                path, ending = Path(entry.path), Path(entry.name).suffix.lower()
                if entry.name.startswith(".") or entry.name.lower() in HIDDEN:
                    left_out["hidden"] += 1
                elif entry.is_dir():
                    if (identity := _identity(path)) in above:
                        left_out["links to a folder around them"] += 1
                    else:
                        folders.append(path.relative_to(root).parts)
                        waiting.append((path, above | {identity}))
                elif not entry.is_file():
                    left_out["broken links or no regular files"] += 1
                elif ending not in ENDINGS:
                    left_out[f"ending in {ending}" if ending else "without an ending"] += 1
                else:
                    paths.append(path)
        except OSError as error:
            raise ValueError(f"a folder that can be read; {folder}: {error.strerror}") from None
    return sorted(paths, key=lambda path: path.relative_to(root).parts), folders, left_out


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _listed(left_out: Counter) -> str:
    return ", ".join(f"{count:,} {words}" for words, count in sorted(left_out.items()))


def _some(names: set[str]) -> str:
    shown = sorted(names)[:EXAMPLES]
    return ", ".join(shown) + (f" and {len(names) - EXAMPLES:,} more" if len(names) > EXAMPLES else "")
