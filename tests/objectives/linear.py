"""A linear-Gaussian model of two levels, whose posterior and evidence have closed forms."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from scipy import stats

from ctc_jax.data import Batch
from ctc_jax.distributions.masked import MaskedDistribution
from tests import toys

DIRECTION = jnp.array([0.8, -0.5, 0.3, 1.0]).reshape(1, 2, 2, 1)
IMAGES = Batch(jnp.array([[1, 0, 0, 1], [0, 2, 1, 0]]).reshape(2, 2, 2, 1), jnp.zeros(2, jnp.int32))


class Linear(toys.Chain):
    """z_1 ~ N(0, 1), z_2 ~ N(a z_1, 1), x ~ N(w z_2, 1), q of z_2 linear in x and z_1: probabilistic PCA with a level.

    Every mean of p and q has its own parameter, the scales of q as well.
    """

    latents = ("first", "second")

    def begin(self, count):
        return jnp.zeros((count, 1))

    def prior_of(self, name, hidden):
        loc = hidden if name == "first" else self.params["a"] * hidden
        return MaskedDistribution(None, None, dist.Normal(loc, jnp.ones_like(loc)))

    def posterior_of(self, name, features, hidden, prior, step):
        seen = jnp.sum(features.image * DIRECTION, axis=(1, 2, 3))[:, None]
        loc = self.params[f"{name}_of_image"] * seen
        if name == "second":
            loc += self.params["second_of_first"] * hidden
        return MaskedDistribution(None, None, dist.Normal(loc, jnp.exp(self.params[f"{name}_log_scale"])))

    def advance(self, name, hidden, latent):
        return latent.value

    def pixels(self, hidden):
        return dist.Normal(self.params["w"] * hidden[:, :, None, None] * DIRECTION, 1.0).to_event(3)


MODEL = toys.model(Linear)
GENERATIVE = {"a": jnp.float32(0.7), "w": jnp.float32(0.9)}
ROUGH = {
    "first_of_image": jnp.float32(0.1),
    "second_of_image": jnp.float32(0.25),
    "second_of_first": jnp.float32(0.4),
    "first_log_scale": jnp.float32(0.1),
    "second_log_scale": jnp.float32(-0.2),
}


def exact():
    """The parameters with which q is p(z|x)."""
    a, w = 0.7, 0.9
    square = w**2 * float(jnp.sum(DIRECTION**2))
    # Of z_2 given x and z_1; of z_1 given x, by what x says of z_2 with z_2 ~ N(a z_1, 1) integrated out.
    second, told = 1.0 + square, square / (1.0 + square)
    first = 1.0 + a**2 * told
    return {
        "second_of_image": w / second,
        "second_of_first": a / second,
        "second_log_scale": -0.5 * np.log(second),
        "first_of_image": a * w / (1.0 + square) / first,
        "first_log_scale": -0.5 * np.log(first),
    }


def log_evidence():
    """log p(x) of each image."""
    direction = 0.9 * np.asarray(DIRECTION, np.float64).ravel()
    covariance = np.eye(4) + (1 + 0.7**2) * np.outer(direction, direction)
    return stats.multivariate_normal.logpdf(np.asarray(IMAGES.image).reshape(2, 4), np.zeros(4), covariance)
