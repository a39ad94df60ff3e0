"""What every model answers: all that objectives and evaluation need. Tests: tests/models/test_chain_model.py."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Array, Float, Key
from numpyro.distributions import Distribution

from ctc_jax.data import Batch
from ctc_jax.distributions import MaskSite
from ctc_jax.distributions.masked import Masked
from ctc_jax.models.trace import END, Bound, Joint, Latents, Schedule, Trace

Params = Any


@runtime_checkable
class Model(Protocol):
    """A generative model of images with its recognition model; all methods are pure functions of `params`.

    A batch carries images of integer levels [batch, height, width, channels] and labels [batch].

    Attributes:
      image_shape: height, width, channels.
      latents: names of the latents, in generative order; several at one resolution agree up to a dot.
      mask_sites: those that have masks.
    """

    image_shape: tuple[int, int, int]
    latents: tuple[str, ...]
    mask_sites: tuple[MaskSite, ...]

    def init(self, key: Key[Array, ""]) -> Params:
        """Fresh parameters, float32."""

    def infer(
        self,
        params: Params,
        key: Key[Array, ""] | None,
        batch: Batch,
        *,
        given: Latents | None = None,
        schedule: Schedule = END,
    ) -> Trace:
        """Latents ~ q(z|x), masks plain samples; without a key each at the center of its posterior. Those that are
        given are scored as they are."""

    def bound(self, params: Params, key: Key[Array, ""], batch: Batch, *, schedule: Schedule = END) -> Bound:
        """The evidence lower bound in parts, with the gradient that the model's estimator gives masks."""

    def joint(self, params: Params, batch: Batch, latents: Latents) -> Joint:
        """log p(x, z) in its parts."""

    def generate(
        self,
        params: Params,
        key: Key[Array, ""],
        count: int,
        *,
        given: Mapping[str, Masked] | None = None,
        temperatures: Mapping[str, Float[Array, ""] | float] | None = None,
    ) -> tuple[Latents, Distribution]:
        """`count` latents, those that are not given drawn from their priors, and p(x | latents) of each. Those named
        may be at another temperature than 1, which brings values nearer to their mean and sharpens masks; at 0 both are
        at their mean."""

    def decode(self, params: Params, latents: Latents) -> Distribution:
        """p(x | latents)."""

    def frames(self, params: Params, latents: Latents) -> Float[Array, "times batch height width channels"] | None:
        """The mean of the pixels before the first latent and after each, in levels, of a model that paints on a canvas;
        None of any other."""
