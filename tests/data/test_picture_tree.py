import os

import pytest

from ctc_jax.data.picture_tree import PictureTree


@pytest.fixture
def tree(tmp_path):
    """The tree of a folder with these files, all empty; a name that ends in a slash is a folder."""

    def make(*names):
        for name in names:
            path = tmp_path / "root" / name
            (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
            if not name.endswith("/"):
                path.touch()
        return PictureTree.of(tmp_path / "root")

    return make


def names(tree, part="train"):
    return [str(picture.path.relative_to(tree.root)) for picture in tree.parts[part]]


def test_subfolders_are_classes_in_alphabetical_order_and_deeper_ones_none(tree):
    found = tree("dog/b.png", "dog/young/a.PNG", "cat/c.Jpg", "10/d.gif", "9/e.tif")
    assert found.classes == ["10", "9", "cat", "dog"]
    assert names(found) == ["10/d.gif", "9/e.tif", "cat/c.Jpg", "dog/b.png", "dog/young/a.PNG"]
    assert [picture.class_name for picture in found.parts["train"]] == ["10", "9", "cat", "dog", "dog"]
    assert found.notes == []


def test_linked_folders_and_files_count_as_the_folders_and_files_they_link_to(tree, tmp_path):
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    (tmp_path / "elsewhere" / "deep" / "a.png").touch()
    (tmp_path / "root" / "cat").mkdir(parents=True)
    (tmp_path / "root" / "dog").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root" / "cat" / "b.png").symlink_to(tmp_path / "elsewhere" / "deep" / "a.png")
    found = tree()
    assert names(found) == ["cat/b.png", "dog/deep/a.png"]
    assert found.classes == ["cat", "dog"]


def test_a_folder_that_is_linked_into_itself_ends_and_is_told(tree, tmp_path):
    (tmp_path / "root" / "cat").mkdir(parents=True)
    (tmp_path / "root" / "cat" / "again").symlink_to(tmp_path / "root")
    found = tree("cat/a.png")
    assert names(found) == ["cat/a.png"]
    assert found.notes == [f"left out of {found.root}: 1 links to a folder around them"]


def test_what_is_left_out_is_counted(tree, tmp_path):
    (tmp_path / "root" / "cat").mkdir(parents=True)
    (tmp_path / "root" / "cat" / "gone.png").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "root" / "cat" / "pipe.png")
    hidden = ("__MACOSX/cat/._a.png", ".git/a.png", "cat/.ipynb_checkpoints/a.png", "cat/.b.png", "cat/Thumbs.db")
    found = tree("cat/a.png", "cat/a.heic", "cat/b.heic", "labels.csv", "cat/README", *hidden)
    assert names(found) == ["cat/a.png"]
    assert found.classes == ["cat"]
    assert found.notes == [
        f"left out of {found.root}: 2 broken links or no regular files, 1 ending in .csv, 2 ending in .heic,"
        " 5 hidden, 1 without an ending"
    ]


def test_a_folder_without_pictures_is_no_class_and_is_told(tree):
    found = tree("cat/a.png", "bird/", "dog/a.heic")
    assert found.classes == ["cat"]
    assert found.notes[-1] == f"2 folders of {found.root} have no pictures and are no classes: bird, dog"


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [("train", "val", "test"), ("Training", "valid", "TESTING"), ("train", "dev", "eval")],
)
def test_folders_named_for_parts_are_parts(tree, train, validation, test):
    found = tree(f"{train}/cat/a.png", f"{train}/dog/a.png", f"{validation}/cat/b.png", f"{test}/dog/c.png")
    assert names(found) == [f"{train}/cat/a.png", f"{train}/dog/a.png"]
    assert names(found, "validation") == [f"{validation}/cat/b.png"]
    assert names(found, "test") == [f"{test}/dog/c.png"]
    assert found.classes == ["cat", "dog"]
    assert "are taken for parts of the data, the folders in them for classes" in found.notes[0]


def test_parts_need_no_classes(tree):
    found = tree("train/a.png", "test/b.png")
    assert (names(found), names(found, "test"), found.classes) == (["train/a.png"], ["test/b.png"], [""])


def test_a_class_named_as_a_part_is_a_class_among_others(tree):
    assert tree("train/a.png", "plane/b.png").classes == ["plane", "train"]


def test_a_class_that_training_lacks_is_told(tree):
    found = tree("train/cat/a.png", "test/cat/b.png", "test/bird/c.png")
    assert found.classes == ["bird", "cat"]
    assert found.notes[-1] == "1 classes of test have no training pictures: bird"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (("test/cat/a.png",), "a folder with train beside test, or one of these itself"),
        (("train/a.png", "test/b.png", "extra/c.png"), "it has test, train beside extra"),
        (("train/a.png", "test/b.png", "c.png"), "it has test, train beside pictures"),
        (("cat/a.png", "b.png", "c.png"), "all lie in class folders, or none; 2 lie beside cat"),
        (("train/cat/a.png", "test/b.png"), "all lie in class folders, or none; 1 lie beside cat"),
        (("a.txt", ".b.png"), "left out: 1 ending in .txt, 1 hidden"),
        ((), "a folder with pictures"),
    ],
)
def test_what_can_be_read_in_several_ways_is_refused(tree, files, words):
    with pytest.raises(ValueError, match="folder") as caught:
        tree(*files)
    assert words in str(caught.value)
