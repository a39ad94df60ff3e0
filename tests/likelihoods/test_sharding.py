import re

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

BATCH = 8
CASES = {
    "bernoulli": {"bits": 1},
    "gaussian": {},
    "gaussian-optimal": {"scale": "optimal"},
    "logistic": {"scale": "channel"},
    "categorical": {},
    "ctc": {"components": 2},
    "ctc-autoregressive": {"components": 2, "autoregressive": True},
    "ctc-patch": {"components": 2, "mask_group": "patch:2", "off": True},
    "ctc-image": {"components": 2, "mask_group": "image"},
}


@pytest.mark.parametrize("case", CASES)
def test_devices_share_nothing_but_sums(make, case):
    """An image's log-probability and its gradient need no other device's images, so none may be gathered."""
    changes = dict(CASES[case])
    bits = changes.pop("bits", 2)
    likelihood = make(case.split("-")[0], channels=3, bits=bits, **changes)
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
    split = NamedSharding(mesh, PartitionSpec("data"))
    features = jax.device_put(jax.random.normal(jax.random.key(0), (BATCH, 4, 4, 5)), split)
    images = jax.device_put(jnp.zeros((BATCH, 4, 4, 3), jnp.uint8), split)
    params = jax.jit(likelihood.init)(jax.random.key(1), features)
    loss = jax.value_and_grad(lambda *of: jnp.mean(likelihood.apply(*of).log_prob(images)), argnums=(0, 1))
    text = jax.jit(loss).lower(params, features).compile().as_text()
    assert re.search(r"all-reduce", text)
    assert not re.findall(r"(?:all-gather|all-to-all|collective-permute)", text)
