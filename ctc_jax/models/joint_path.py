"""All latents of a chain moved together on log p(x, z). Tests: tests/models/test_joint_path.py."""

import itertools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ctc_jax.data import Batch
from ctc_jax.distributions.masked import Masked
from ctc_jax.models.chain import PathChain
from ctc_jax.models.orders import Generation, TopDown
from ctc_jax.models.trace import Latents, Schedule, Trace
from ctc_jax.models.walk import given, sampled, walk


def walk_and_move(first: TopDown, key: Key[Array, ""], batch: Batch, schedule: Schedule) -> Trace:
    """Draws all latents in the order of inference, then moves them along the chain's path, which starts at that draw.

    What the path adds to log q is a sum over numbers, so that each latent has its share: shares of log q and of the KL
    are no densities of one latent on its own, only their sums over all latents mean something exactly.

    Args:
      first: inference of the batch, of a `PathChain`.
      key: of everything drawn.
      batch: images.
      schedule: of the likelihood.
    """
    chain, generation = first.chain, Generation(first.chain, len(batch.image))
    key_start, key_path = jax.random.split(key)
    start = walk(first, sampled(key_start))
    shapes = {name: start.latents[name].value.shape for name in chain.latents}

    def log_first(flat: Float[Array, "batch numbers"]) -> Float[Array, " batch"]:
        return sum(site.log_q for site in walk(first, given(_latents(flat, shapes))).sites.values())  # type: ignore[return-value]

    def log_joint(flat: Float[Array, "batch numbers"]) -> Float[Array, " batch"]:
        trace = walk(generation, given(_latents(flat, shapes)), batch, schedule)
        return trace.log_likelihood + sum(site.log_prior for site in trace.sites.values())

    features = chain.trajectory_features(first.features)  # type: ignore[attr-defined]
    moved, gained = chain.trajectory.moved(key_path, _joined(start.latents, chain), features, log_first, log_joint)  # type: ignore[attr-defined]
    trace = walk(generation, given(_latents(moved, shapes)), batch, schedule)
    sites = {}
    for name, share in _split(gained, shapes).items():
        log_q, site = start.sites[name].log_q + share.sum(axis=-1), trace.sites[name]
        sites[name] = site._replace(posterior=None, log_q=log_q, kl=log_q - site.log_prior)
    return trace._replace(sites=sites)


def _joined(latents: Latents, chain: PathChain) -> Float[Array, "batch numbers"]:
    rows = [latents[name].value.reshape(len(latents[name].value), -1) for name in chain.latents]
    return jnp.concatenate(rows, axis=-1)


def _latents(flat, shapes) -> Latents:
    return {name: Masked(part.reshape(shapes[name])) for name, part in _split(flat, shapes).items()}


def _split(flat, shapes):
    ends = list(itertools.accumulate(math.prod(shape[1:]) for shape in shapes.values()))
    return dict(zip(shapes, jnp.split(flat, ends[:-1], axis=-1), strict=True))
