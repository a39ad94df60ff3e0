"""The prepared dataset is made here by TFDS itself, without TensorFlow."""

import io
import json
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter
from PIL import Image
from tensorflow_datasets.core.example_serializer import ExampleSerializer

from ctc_jax.data import build, cifar10, prepared
from ctc_jax.data.figures import Figures
from ctc_jax.data.prepared import Tfds
from ctc_jax.data.source import Unavailable
from ctc_jax.errors import ConfigError
from ctc_jax.options import OptionError


def pixels(index, shape=(4, 6, 3)):
    return np.random.default_rng(index).integers(256, size=shape, dtype=np.uint8)


def write(
    directory,
    name="tiny",
    version="1.0.0",
    splits=(("train", 12), ("test", 3)),
    shape=(4, 6, 3),
    file=pixels,
    labels=None,
):
    """Examples numbered through the splits, in reversed order of their `id`, as a preparation shuffles them."""
    folder = directory / name / version
    folder.mkdir(parents=True)
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=shape),
            "label": tfds.features.ClassLabel(num_classes=20),
            "id": tfds.features.Text(),
        }
    )
    serializer = ExampleSerializer(features.get_serialized_info())
    first = 0
    for split, count in splits:
        writer = ArrayRecordWriter(str(folder / f"{name}-{split}.array_record-00000-of-00001"), "group_size:1")
        for index in reversed(range(first, first + count)):
            content = io.BytesIO()
            Image.fromarray(file(index)).save(content, "png")
            content.seek(0)
            label = (labels or {}).get(split, int)(index)
            example = {"image": content, "label": label, "id": f"{split}_{index:05d}"}
            writer.write(serializer.serialize_example(features.encode_example(example)))
        writer.close()
        first += count
    features.save_config(folder)
    info = {
        "name": name,
        "version": version,
        "fileFormat": "array_record",
        "splits": [
            {
                "name": split,
                "shardLengths": [str(count)],
                "numBytes": "1",
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
            }
            for split, count in splits
        ],
    }
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return folder


def test_any_prepared_dataset_is_read_without_tensorflow(data_config, places):
    config = data_config("tfds", dataset="tiny")
    write(places.tfds_directory)
    data = build(config)
    assert (len(data.train), len(data.validation), len(data.test), data.classes) == (10, 2, 3, 20)
    assert data.origin == "TFDS tiny/1.0.0"
    assert data.train.labels.tolist() == list(range(11, 1, -1))
    for split in (data.train, data.validation, data.test):
        np.testing.assert_array_equal(split.images, np.stack([pixels(index) for index in split.labels]))
    assert isinstance(data.train.images, np.memmap)
    assert "tensorflow" not in sys.modules


def test_the_highest_version_is_read_unless_one_is_named(places, tmp_path):
    for version in ("2.0.0", "10.0.0"):
        write(tmp_path / "prepared", version=version, splits=(("train", 1),))
    assert Tfds("tiny").build(places).origin == "TFDS tiny/10.0.0"
    assert Tfds("tiny:2.0.0").build(places).origin == "TFDS tiny/2.0.0"


def test_the_cache_tells_versions_sizes_and_files_apart(places, tmp_path):
    for version in ("1.0.0", "2.0.0"):
        folder = write(tmp_path / "prepared", version=version, splits=(("train", 1),))
    names = {Tfds(f"tiny:{version}", size).cache_name(places) for version in ("1.0.0", "2.0.0") for size in (0, 2)}
    (folder / "label.labels.txt").write_text("cat")
    assert len(names | {Tfds("tiny:2.0.0").cache_name(places)}) == 5


def test_without_a_test_split_there_is_none(places, tmp_path):
    write(tmp_path / "prepared", splits=(("train", 3),))
    data = Tfds("tiny").build(places)
    assert data.test_images.shape == (0, 4, 6, 3)


def test_grey_files_among_colored_ones_are_colored(places, tmp_path):
    def file(index):
        return pixels(index)[..., 0] if index % 2 else pixels(index)

    write(tmp_path / "prepared", file=file)
    images = Tfds("tiny").build(places).images
    assert images.shape == (12, 4, 6, 3)
    np.testing.assert_array_equal(images[0], np.repeat(pixels(11)[..., :1], 3, axis=-1))


def test_a_test_split_without_labels_is_not_read(places, tmp_path):
    write(tmp_path / "prepared", labels={"test": lambda index: -1})
    data = Tfds("tiny").build(places)
    assert len(data.test_images) == 0
    assert data.notes[0].endswith("these splits are not read: test")


def test_training_labels_that_are_no_classes_are_refused(places, tmp_path):
    write(tmp_path / "prepared", labels={"train": lambda index: -1})
    with pytest.raises(OptionError, match=r"labels are int32 of shape \(12,\) from -1 to -1"):
        Tfds("tiny").build(places)


def test_parts_of_different_sizes_need_an_image_size(places, tmp_path):
    write(tmp_path / "prepared", shape=(None, None, 3), file=lambda index: pixels(index, (4 + index // 12, 6, 3)))
    with pytest.raises(OptionError, match=r"train has images of \(4, 6, 3\) and test of \(5, 6, 3\)"):
        Tfds("tiny").build(places)


def test_few_levels_are_told(places, tmp_path):
    write(tmp_path / "prepared", file=lambda index: pixels(index) % 2)
    data = Tfds("tiny").build(places)
    assert (data.bits, data.notes[0]) == (1, "levels are 0 to 1, 1-bit; of dark 8-bit images stored_bits must say so")
    assert Tfds("tiny", stored_bits=8).build(places).bits == 8


def test_a_path_in_place_of_a_name_is_read(data_config, places, tmp_path):
    write(tmp_path / "elsewhere")
    assert len(build(data_config("tfds", dataset=str(tmp_path / "elsewhere" / "tiny"))).train) == 10


def test_splits_that_are_not_read_are_named(places, tmp_path):
    write(tmp_path / "prepared", splits=(("train", 3), ("validation", 2), ("extra", 1)))
    (note,) = Tfds("tiny").build(places).notes
    assert note.endswith("these splits are not read: extra, validation")


def test_images_of_different_sizes_need_an_image_size(places, tmp_path):
    def file(index):
        return pixels(index, (4 + index, 6, 3))

    write(tmp_path / "prepared", shape=(None, None, 3), file=file)
    with pytest.raises(OptionError, match=r"image_size is 0; allowed: a side to scale to"):
        Tfds("tiny").build(places)
    assert Tfds("tiny", 4).build(places).images.shape == (12, 4, 4, 3)


@pytest.mark.parametrize("name", ["", "other", "tiny:3.0.0"])
def test_what_is_not_prepared_is_said_with_how_to_prepare_it(data_config, places, name):
    config = data_config("tfds", dataset=name)
    write(places.tfds_directory, splits=(("train", 1),))
    with pytest.raises(ConfigError, match=r"config\.data\.tfds\.dataset .* tfds build .* --file_format=array_record"):
        build(config)


@pytest.mark.parametrize("damage", ["features.json", "dataset_info.json", "tiny-train.array_record-00000-of-00001"])
def test_a_damaged_dataset_is_named(places, tmp_path, damage):
    folder = write(tmp_path / "prepared", splits=(("train", 2),))
    (folder / damage).write_bytes((folder / damage).read_bytes()[:30])
    with pytest.raises(OptionError, match=r"tiny/1\.0\.0 cannot be read"):
        Tfds("tiny").build(places)


def test_another_file_format_is_refused(places, tmp_path):
    folder = write(tmp_path / "prepared", splits=(("train", 2),))
    path = folder / "dataset_info.json"
    path.write_text(path.read_text().replace("array_record", "tfrecord"))
    with pytest.raises(OptionError, match="is not in the array_record format; to prepare one: pip install tensorflow"):
        Tfds("tiny").build(places)


def test_cifar10_comes_back_in_its_published_order(data_config, places, monkeypatch):
    config = data_config("cifar10", validation=2)
    write(places.tfds_directory, "cifar10", "3.0.2")
    levels = np.stack([pixels(index) for index in range(12)]).reshape(-1, 3) / 255
    figures = Figures(12, 3, (4, 6, 3), tuple(levels.mean(0)), tuple(levels.std(0)), (0, 1, 2))
    monkeypatch.setattr(cifar10, "FIGURES", figures)
    data = build(config)
    assert data.origin == "TFDS cifar10/3.0.2"
    assert data.train.labels.tolist() == list(range(10))
    np.testing.assert_array_equal(data.test.images, np.stack([pixels(index) for index in (12, 13, 14)]))


def test_preparing_needs_tensorflow(places, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Unavailable, match="TensorFlow is not installed"):
        prepared.prepare(places, "tiny")


def test_a_preparation_runs_in_a_process_of_its_own(places, monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: True)
    monkeypatch.setattr(prepared, "PREPARE", "import sys; sys.exit(f'no {sys.argv[1]} for {sys.argv[2]}')")
    with pytest.raises(Unavailable, match=f"^no tiny for {tmp_path / 'prepared'}$"):
        prepared.prepare(places, "tiny")
    write(tmp_path / "prepared")
    monkeypatch.setattr(prepared, "PREPARE", "import sys; assert sys.argv[1] == 'tiny'")
    assert prepared.prepare(places, "tiny").origin == "TFDS tiny/1.0.0"
