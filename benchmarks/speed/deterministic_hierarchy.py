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
from ctc_jax.models.gaussian_law import standard
from ctc_jax.models.hierarchy_network import HierarchyNetwork
from ctc_jax.models.level_family import WINDOW
from jaxtyping import Array, Float, Key
from ml_collections import ConfigDict

from benchmarks.harness.trainer import Trainer
from benchmarks.harness.worker import serve
from ctc_jax.data import Batch
from ctc_jax.layers import depth_to_space, positionwise
from ctc_jax.models.ctc_hierarchy import TOP, CTCHierarchy
from ctc_jax.models.model import ElboTerms, Params, pixel_log_prob

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
    Gaussian. Inference is top-down.

    Attributes:
      network: of the hierarchy.
    """

    network: HierarchyNetwork
    mask_kinds: ClassVar[frozenset[str]] = frozenset()
    mask_levels: ClassVar[int] = 0

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return self.network.image_shape

    def init(self, key: Key[Array, ""]) -> Params:
        """Those of the hierarchy's parameters that are used here."""
        params = self.network.init(key, jnp.zeros((1, *self.image_shape), jnp.int32))["params"]
        used = {name: value for name, value in params.items() if not name.startswith("priors")}
        return {name: {"loc": value["loc"]} if name.startswith("posteriors") else value for name, value in used.items()}

    def elbo_terms(
        self, params: Params, key: Key[Array, ""], batch: Batch, mask_annealing=None, step=None, kl_weight=1.0
    ) -> ElboTerms:
        """One draw of the likelihood, and the KL of the top code: a bound of an autoencoder with skip connections."""
        del step, kl_weight
        hidden, found = self._apply(params, "scaled", batch.image), []
        for level in range(len(self.network.families)):
            hidden = self._apply(params, "recognized", level, hidden)
            found.append(hidden)
        law = self._apply(params, "top_law", self._apply(params, "recognized", len(found), hidden))
        hidden = self._apply(params, "start", law.draw_values(key))
        for level in reversed(range(len(found))):
            hidden = self._apply(params, "expand", level, hidden)
            loc = self._location(params, level, found[level], hidden)
            latent = keep_largest(loc) if self.network.families[level].pooled else nn.relu(loc)
            hidden = self._apply(params, "merge", level, hidden, latent)
        pixels = self._apply(params, "pixels", hidden)
        log_likelihood = pixel_log_prob(pixels, batch.image, mask_annealing)
        return ElboTerms(log_likelihood, {TOP: law.kl(standard(len(batch.image), self.network.latents))})

    def _apply(self, params, method, *inputs):
        return self.network.apply({"params": params}, *inputs, method=method)

    def _location(self, params, level, features, hidden):
        """As the network's `posterior`, whose other outputs have no parameters here."""

        def joined(network):
            both = jnp.concatenate([features, hidden], axis=-1)
            return network.activation(positionwise(network.joined[level], both))

        patch = self.network.unit_patch(level)
        head = nn.Dense(self.network.channels * patch**2).bind({"params": params[f"posteriors_{level}"]["loc"]})
        return depth_to_space(positionwise(head, self._apply(params, joined).astype(jnp.float32)), patch)


def twin(model: CTCHierarchy) -> DeterministicHierarchy:
    """The twin of a hierarchy of masks at every level, a Gaussian top, and top-down inference.

    Raises:
      ValueError: another hierarchy.
    """
    network = model.network
    if network.top is None or not network.top_down or any(of is None or of.kind is None for of in network.families):
        raise ValueError("a twin has masks at every level, a Gaussian top code and top-down inference")
    return DeterministicHierarchy(network)


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
