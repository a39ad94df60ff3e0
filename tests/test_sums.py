import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import jaxlib.version
import numpy as np
import pytest

from ctc_jax.sums import FUSION_FLAG


@pytest.mark.parametrize("count", [8_193, 32_768])
def test_a_sum_with_something_broadcast_to_it_is_that_of_numpy(count):
    """Fails with jaxlib 0.10.2 where the package does not keep it from YNNPACK."""
    random = np.random.default_rng(0)
    z, w, b = (random.standard_normal(shape, np.float32) for shape in ((count, 4, 3), (4, 3), (4,)))
    found = jax.jit(lambda z: jnp.sum(w[None] * z, axis=-1) + b[None])(z)
    np.testing.assert_allclose(found, (np.float64(w) * z).sum(axis=-1) + b, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(jaxlib.version.__version_info__[:2] > (0, 11), reason="later ones are right without a flag")
@pytest.mark.parametrize(
    ("before", "after"),
    [("", f"{FUSION_FLAG}=-reduce"), (f"{FUSION_FLAG}=individual_dot", f"{FUSION_FLAG}=individual_dot")],
)
def test_the_flag_is_there_once_the_package_is_imported_and_a_choice_made_before_stays(before, after):
    program = "import os, ctc_jax; print(os.environ['XLA_FLAGS'])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"XLA_FLAGS": before},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == after
