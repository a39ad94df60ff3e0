import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax.layers.attention_window import AttentionWindow, whole_image

HEIGHT, WIDTH, SIZE = 5, 8, 3
# Center across and down, log variance, log stride, log intensity: no two alike, the last outside the image.
PARAMETERS = np.array([[0.3, -0.6, -0.5, -1.0, 0.2], [-0.8, 0.5, 0.4, -0.3, -0.7], [1.9, -0.2, -2.0, -1.5, 0.0]])
random = np.random.default_rng(0)
IMAGES, PATCHES = random.normal(size=(3, HEIGHT, WIDTH, 2)), random.normal(size=(3, SIZE, SIZE, 2))


def written_out(parameters):
    """Equations 22 to 26 of the paper for one image, pixels counted from 1: filters across, down, and the intensity."""
    x, y, log_variance, log_stride, log_intensity = parameters
    stride = (max(WIDTH, HEIGHT) - 1) / (SIZE - 1) * np.exp(log_stride)
    banks = []
    for center, extent in (((WIDTH + 1) / 2 * (x + 1), WIDTH), ((HEIGHT + 1) / 2 * (y + 1), HEIGHT)):
        bank = np.zeros((SIZE, extent))
        for i in range(1, SIZE + 1):
            place = center + (i - SIZE / 2 - 0.5) * stride
            for a in range(1, extent + 1):
                bank[i - 1, a - 1] = np.exp(-((a - place) ** 2) / (2 * np.exp(log_variance)))
        banks.append(bank / bank.sum(axis=1, keepdims=True))
    return *banks, np.exp(log_intensity)


def window_of(parameters=PARAMETERS):
    return AttentionWindow.of(jnp.asarray(parameters, jnp.float32), (HEIGHT, WIDTH), SIZE)


def test_a_window_reads_and_writes_as_the_paper_says():
    """Each image at its own center, across and down apart."""
    window = window_of()
    read, written = window.read(jnp.float32(IMAGES)), window.write(jnp.float32(PATCHES))
    for index, parameters in enumerate(PARAMETERS):
        across, down, intensity = written_out(parameters)
        np.testing.assert_allclose(window.across[index], across, rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(window.down[index], down, rtol=1e-3, atol=1e-6)
        for channel in range(2):
            seen = intensity * down @ IMAGES[index, :, :, channel] @ across.T
            np.testing.assert_allclose(read[index, :, :, channel], seen, rtol=1e-3, atol=1e-5)
            stroke = down.T @ PATCHES[index, :, :, channel] @ across / intensity
            np.testing.assert_allclose(written[index, :, :, channel], stroke, rtol=1e-3, atol=1e-5)


def test_a_center_moves_the_window_along_its_own_axis():
    moved = np.add(PARAMETERS[:1], [[0.4, 0, 0, 0, 0]])
    before, after = window_of(PARAMETERS[:1]), window_of(moved)
    np.testing.assert_array_equal(before.down, after.down)
    columns = np.arange(WIDTH)
    assert ((after.across - before.across) @ columns > 0.5).all()


def test_at_zero_the_filters_lie_evenly_on_the_whole_image():
    narrow = np.array([[0.0, 0.0, -4.0, 0.0, 0.0]])
    window = AttentionWindow.of(jnp.asarray(narrow, jnp.float32), (7, 7), 3)
    for bank in (window.across, window.down):
        np.testing.assert_array_equal(np.argmax(bank[0], axis=1), [0, 3, 6])


@pytest.mark.parametrize("far", [-50.0, 50.0])
def test_a_window_that_left_the_image_or_ran_away_is_finite_and_so_is_its_gradient(far):
    parameters = jnp.full((3, 5), far, jnp.float32)

    def loss(parameters):
        window = window_of(parameters)
        return jnp.sum(window.read(jnp.float32(IMAGES)) ** 2) + jnp.sum(window.write(jnp.float32(PATCHES)) ** 2)

    value, gradient = jax.value_and_grad(loss)(parameters)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def test_a_single_filter_stands_at_the_center():
    window = AttentionWindow.of(jnp.asarray([[0.5, -0.5, -4.0, 3.0, 0.0]]), (3, 3), 1)
    np.testing.assert_array_equal(np.argmax(window.across[0], axis=1), [2])
    np.testing.assert_array_equal(np.argmax(window.down[0], axis=1), [0])


@pytest.mark.parametrize("size", [1, 2, 5])
def test_at_the_start_a_window_covers_the_whole_image(size):
    """Every pixel has its share in what is read; a patch of ones is painted about as ones, within the margin."""
    reads, writes = (
        AttentionWindow.of(jnp.asarray([whole_image((20, 20), size, writes=writes)]), (20, 20), size)
        for writes in (False, True)
    )
    np.testing.assert_allclose(reads.read(jnp.ones((1, 20, 20, 1))), 1.0, rtol=1e-5)
    share = np.asarray(reads.across[0]).sum(axis=0) * 20 / size
    assert share.min() > 0.3
    assert share.max() < 2.0
    painted = np.asarray(writes.write(jnp.ones((1, size, size, 1))))[0, :, :, 0]
    assert 0.7 < np.median(painted) < 1.3
