"""The deterministic twin of a hierarchy, trained as it is.

Run as a module, it is the worker that hierarchy.py times: of the twin, or of the hierarchy itself.
Tests: tests/benchmarks/speed/test_deterministic_hierarchy.py.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key
from ml_collections import ConfigDict

from benchmarks.harness.trainer import Trainer
from benchmarks.harness.worker import serve
from ctc_jax.data import Batch
from ctc_jax.layers import StochasticMaxPool, StochasticReLU, depth_to_space, positionwise
from ctc_jax.layers.dense_ctc import DenseCTC
from ctc_jax.models import END, Bound, ChainModel, Masked, Params, Schedule
from ctc_jax.models.networks.hierarchy import TOP
from ctc_jax.models.walk import log_likelihood, sampled

WINDOW = (2, 2)

Features = Float[Array, "batch height width channels"]


def keep_largest(units: Features) -> Features:
    """Max pooling and unpooling at once: of each window the largest unit stays where it is, the others are 0."""
    batch, height, width, channels = units.shape
    rows, columns = WINDOW
    tiles = units.reshape(batch, height // rows, rows, width // columns, columns, channels)
    largest = jnp.max(tiles, axis=(2, 4), keepdims=True)
    return jnp.where(tiles == jax.lax.stop_gradient(largest), tiles, 0.0).reshape(units.shape)


@dataclass(frozen=True)
class DeterministicHierarchy:
    """A hierarchy's network with max pooling and unpooling, or ReLU, where the hierarchy draws masks and values.

    A level is the limit of the hierarchy's q: logits tied to locations by a beta without bound, scales of 0. It has no
    prior, and so neither logits nor scales; switches and values reach the decoder for free. The code at the top stays
    Gaussian. Inference is top-down. It answers what training asks of a model, and no more.

    Attributes:
      hierarchy: whose network it is.
    """

    hierarchy: ChainModel
    mask_sites: ClassVar[tuple] = ()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return self.hierarchy.image_shape

    def init(self, key: Key[Array, ""]) -> Params:
        """Those of the hierarchy's parameters that are used here."""
        used = {name: value for name, value in self.hierarchy.init(key).items() if not name.startswith("priors")}
        return {name: {"loc": value["loc"]} if name.startswith("posteriors") else value for name, value in used.items()}

    def bound(self, params: Params, key: Key[Array, ""], batch: Batch, *, schedule: Schedule = END) -> Bound:
        """One draw of the likelihood, and the KL of the top code: a bound of an autoencoder with skip connections."""
        network, count = self.hierarchy.bound_network(params), len(batch.image)
        features, prior = network.encode(batch), network.prior_of(TOP, count)
        top = sampled(key)(0, TOP, network.posterior_of(TOP, features, count, prior, None), prior, None)
        hidden = network.advance(TOP, count, top.latent)
        for name, level in network.levels.items():
            family = network.families[level]
            loc = self._location(network, params, level, features[name], hidden)
            units = keep_largest(loc) if isinstance(family, StochasticMaxPool) else nn.relu(loc)
            hidden = network.advance(name, hidden, Masked(family.arrange(units)))
        return Bound(log_likelihood(network.pixels(hidden), batch, schedule), {TOP: top.known})

    def _location(self, network, params, level, features, hidden):
        """As the network's posterior, whose other outputs have no parameters here."""
        joined = positionwise(network.joined[level], jnp.concatenate([features, hidden], axis=-1))
        patch = network.unit_patch(level)
        head = nn.Dense(network.channels * patch**2).bind({"params": params[f"posteriors_{level}"]["loc"]})
        return depth_to_space(positionwise(head, network.activation(joined).astype(jnp.float32)), patch)


def twin(model: ChainModel) -> DeterministicHierarchy:
    """The twin of a hierarchy of pooling and gates at every level, a Gaussian top, and top-down inference.

    Raises:
      ValueError: another hierarchy.
    """
    network = model.network
    deterministic = all(isinstance(family, StochasticMaxPool | StochasticReLU) for family in network.families)
    if isinstance(network.top, DenseCTC) or not network.top_down or not deterministic:
        raise ValueError("a twin has masks at every level, a Gaussian top code and top-down inference")
    return DeterministicHierarchy(model)


def main() -> None:
    """Trains what the first argument says, `hierarchy` or `twin`, of the config in the directory that is the second."""
    side, directory = sys.argv[1:]
    config = ConfigDict(json.loads((Path(directory) / "config.json").read_text()))
    trainer = Trainer(config, change=twin if side == "twin" else None)

    def report() -> dict[str, float]:
        planned = trainer.buffers_mib()
        return {"parameters": trainer.parameters, "steps_per_call": trainer.count, "buffers_mib": planned}

    serve(trainer.advance, report)


if __name__ == "__main__":
    main()
