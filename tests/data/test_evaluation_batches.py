import numpy as np
import pytest

from ctc_jax.data import Split, evaluation_batches


@pytest.mark.parametrize("batch_size", [1, 5, 10, 30])
def test_evaluation_covers_each_image_once_in_batches_of_one_size(batch_size):
    images = np.random.default_rng(0).integers(256, size=(10, 3, 2, 1), dtype=np.uint8)
    data = Split(images, np.arange(10, dtype=np.int32))
    seen = []
    for batch, weight, first in evaluation_batches(data, batch_size):
        assert batch.image.shape == (batch_size, 3, 2, 1)
        assert batch.label[0] == first
        np.testing.assert_array_equal(batch.image, data.images[batch.label])
        seen += batch.label[weight == 1].tolist()
    assert seen == list(range(10))
