import gc

import jax
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from ctc_jax.data import BatchStream, Split
from ctc_jax.data.variation import Variation
from ctc_jax.options import OptionError


def split(count=22, highest_grey=0, variation=None):
    images = np.random.default_rng(0).integers(256, size=(count, 3, 2, 1), dtype=np.uint8)
    return Split(images, np.arange(count, dtype=np.int32), highest_grey, variation)


def sharding(devices):
    mesh = jax.make_mesh((devices,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:devices])
    return NamedSharding(mesh, PartitionSpec(None, "data"))


def stream(data, devices=1, budget=1, batch_size=4, seed=0):
    return BatchStream(
        data,
        batch_size=batch_size,
        seed=seed,
        sharding=sharding(devices),
        device_budget_mib=budget,
    )


def assert_equal(one, other):
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(one), jax.device_get(other))


def test_an_epoch_is_the_documented_permutation_without_its_incomplete_batch():
    data = split()
    batches = stream(data, seed=7)
    assert batches.steps_per_epoch == 5
    for epoch in range(2):
        order = np.random.default_rng((7, epoch)).permutation(22)[:20]
        batch = batches(5 * epoch, 5)
        np.testing.assert_array_equal(np.asarray(batch.label).ravel(), data.labels[order])
        np.testing.assert_array_equal(np.asarray(batch.image).reshape(20, 3, 2, 1), data.images[order])


def test_several_steps_at_once_are_the_steps_one_by_one():
    batches = stream(split(highest_grey=255))
    together = batches(3, 4)
    for offset in range(4):
        assert_equal(jax.tree.map(lambda a, offset=offset: a[offset : offset + 1], together), batches(3 + offset))


@pytest.mark.parametrize("highest_grey", [0, 255])
def test_host_and_devices_give_the_same_batches_in_any_order_of_calls(highest_grey):
    data = split(highest_grey=highest_grey)
    resident = stream(data, devices=1)
    gathered = stream(data, devices=4, budget=0)
    spread = stream(data, devices=4)
    assert (resident.on_device, gathered.on_device, spread.on_device) == (True, False, True)
    for step in (4, 6, 8, 1, 8, 10):
        expected = resident(step, 2)
        assert_equal(gathered(step, 2), expected)
        assert_equal(spread(step, 2), expected)
    gathered.close()


@pytest.mark.parametrize("highest_grey", [0, 255])
def test_places_and_contrasts_are_a_function_of_seed_and_step_on_any_number_of_devices(highest_grey):
    data = split(highest_grey=highest_grey, variation=Variation(255, canvas=6, objects=2, contrast=0.5))
    one, four, other = stream(data), stream(data, devices=4), stream(data, seed=1)
    together = jax.device_get(one(2, 5))
    assert together.image.shape == (5, 4, 6, 6, 1)
    for step in (4, 2, 6):  # as after a restart
        again = jax.device_get(four(step))
        np.testing.assert_array_equal(again.image[0], together.image[step - 2])
        np.testing.assert_array_equal(again.label[0], together.label[step - 2])
    seen = np.concatenate([together.image, jax.device_get(other(2, 5)).image]).reshape(40, -1)
    assert len(np.unique(seen, axis=0)) == 40
    for batches in (one, four, other):
        batches.close()


def test_batches_are_spread_over_the_devices():
    where = sharding(4)
    for budget in (0, 1):
        batches = stream(split(highest_grey=255), devices=4, budget=budget)
        batch = batches(0, 2)
        assert batch.image.sharding.is_equivalent_to(where, batch.image.ndim)
        assert batch.label.sharding.is_equivalent_to(where, batch.label.ndim)
        assert batch.image.shape == (2, 4, 3, 2, 1)
        batches.close()


@pytest.mark.parametrize("highest", [255, 15])
def test_dynamic_pixels_are_one_with_probability_level_over_the_highest(highest):
    levels = np.array([0, 1, highest // 2, highest], np.uint8)
    images = np.tile(levels, 1024).reshape(4, 32, 32, 1)
    batch = stream(Split(images, np.zeros(4, np.int32), highest))(0, 16)
    drawn = np.asarray(batch.image).reshape(-1, 4)
    assert set(np.unique(drawn)) == {0, 1}
    probability = levels / highest
    error = np.sqrt(probability * (1 - probability) / len(drawn))
    assert np.all(abs(drawn.mean(0) - probability) <= 4 * error)


def test_dynamic_pixels_differ_between_steps_images_and_seeds():
    images = np.full((4, 8, 8, 1), 128, np.uint8)
    data = Split(images, np.zeros(4, np.int32), 255)
    drawn = np.asarray(stream(data)(0, 2).image).reshape(8, 64)
    other = np.asarray(stream(data, seed=1)(0, 2).image).reshape(8, 64)
    assert len(np.unique(np.concatenate([drawn, other]), axis=0)) == 16


def test_the_host_reads_a_memory_mapped_file(tmp_path):
    data = split()
    np.save(tmp_path / "images.npy", data.images)
    mapped = Split(np.load(tmp_path / "images.npy", mmap_mode="r"), data.labels)
    batches = stream(mapped, budget=0)
    assert_equal(batches(0, 3), stream(data)(0, 3))
    batches.close()


def test_a_forgotten_stream_is_collected():
    batches = stream(split(), budget=0)
    batches(0)
    thread = next(iter(batches.prefetch.executor._threads))
    del batches
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize(("batch_size", "devices"), [(23, 1), (0, 1), (-4, 1), (6, 4)])
def test_a_batch_that_does_not_fit_is_refused(batch_size, devices):
    with pytest.raises(OptionError, match=f"batch_size is {batch_size}; allowed: a multiple of the"):
        stream(split(), devices=devices, batch_size=batch_size)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_is_none_is_refused(seed):
    with pytest.raises(OptionError, match=f"seed is {seed}; allowed: 0 to 4294967295"):
        stream(split(), seed=seed)
