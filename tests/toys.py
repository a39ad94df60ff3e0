"""Models whose every number has a closed form, for tests of what takes any model."""

from dataclasses import dataclass

import jax.numpy as jnp

from ctc_jax.distributions.masked import standard
from ctc_jax.models import ChainModel, Model


class Chain:
    """One code z ~ N(0, 1) of a batch; a subclass says its posterior and its pixels."""

    image_shape = (2, 2, 1)
    latents = ("z",)
    mask_sites = ()

    def __init__(self, params):
        self.params = params

    def inputs(self, images):
        return images.astype(jnp.float32)

    def encode(self, batch):
        return batch

    def begin(self, count):
        return count

    def prior_of(self, name, hidden):
        return standard((hidden, 1))

    def advance(self, name, hidden, latent):
        return latent.product[:, 0]


@dataclass(frozen=True)
class _Network:
    """What `ChainModel` asks of a flax module, of a chain that is given its parameters as they are."""

    chain: type[Chain]

    @property
    def image_shape(self):
        return self.chain.image_shape

    @property
    def latents(self):
        return self.chain.latents

    @property
    def mask_sites(self):
        return self.chain.mask_sites

    def init(self, key, *, method):
        raise AssertionError("parameters are given")

    def bind(self, variables):
        return self.chain(variables["params"])


def model(chain: type[Chain]) -> ChainModel:
    """The model of a chain."""
    return ChainModel(_Network(chain))


class Silent(Model):
    """A model that is asked nothing but what a subclass answers."""

    image_shape = (1, 1, 1)
    latents = ("z",)
    mask_sites = ()

    def init(self, key):
        raise AssertionError("not asked here")

    def infer(self, params, key, batch, *, schedule=None):
        raise AssertionError("not asked here")

    def bound(self, params, key, batch, *, schedule=None):
        raise AssertionError("not asked here")

    def joint(self, params, batch, latents):
        raise AssertionError("not asked here")

    def generate(self, params, key, count, *, given=None, temperatures=None):
        raise AssertionError("not asked here")

    def decode(self, params, latents):
        raise AssertionError("not asked here")
