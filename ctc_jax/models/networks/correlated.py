"""Any network above pixels with random factors. Tests: tests/models/test_correlated.py."""

import dataclasses
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float, Integer
from numpyro.distributions import Distribution

from ctc_jax.data import Batch
from ctc_jax.distributions import MaskSite
from ctc_jax.distributions.masked import Masked, MaskedDistribution, standard
from ctc_jax.models.chain import Amortized, BlockChain, GroupedChain, Observed
from ctc_jax.models.factor_posterior import FactorPosterior

FACTORS = "factors"


class CorrelatedNetwork(nn.Module):
    """p(x | z, e) p(e) p(z): the factors e of the pixels are one more latent, drawn last, after all of the network's.

    Attributes:
      network: whose likelihood gives `CorrelatedPixels`; drawn top-down.
      rank: how many factors.
    """

    network: nn.Module
    rank: int

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return self.network.image_shape

    @property
    def latents(self) -> tuple[str, ...]:
        """The network's, then the factors."""
        return (*self.network.latents, FACTORS)

    @property
    def mask_sites(self) -> tuple[MaskSite, ...]:
        """The network's, on all of which q of the factors depends."""
        return tuple(dataclasses.replace(site, coupled=True) for site in self.network.mask_sites)

    def inputs(self, images: Integer[Array, "batch height width channels"]) -> Float[Array, "batch ..."]:
        """What the network sees of images."""
        return self.network.inputs(images)

    def encode(self, batch: Batch) -> tuple[Array, Any]:
        """Images as they are, and what the network makes of them."""
        return batch.image, self.network.encode(batch)  # type: ignore[return-value]

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The network's, then the factors."""
        alone = tuple((name,) for name in self.network.latents)
        return (*(self.network.groups if isinstance(self.network, GroupedChain) else alone), (FACTORS,))

    @property
    def rolled(self) -> bool:
        """As the network."""
        return isinstance(self.network, GroupedChain) and self.network.rolled

    def begin(self, count: int) -> Any:
        """The network's own start."""
        return self.network.begin(count)

    def reach(self, name: str, hidden: Any) -> Any:
        """After the network's last latent pixels but for the factors."""
        if name == FACTORS:
            return self.network.pixels(hidden)
        return self.network.reach(name, hidden) if isinstance(self.network, BlockChain) else hidden

    def own(self, names: tuple[str, ...]) -> Any:
        """The network's own."""
        return self.network.own(names) if isinstance(self.network, BlockChain) and FACTORS not in names else None

    def arrive(self, name: str, hidden: Any, own: Any) -> Any:
        """The network's own."""
        return hidden if own is None else self.network.arrive(name, hidden, own)

    def prior_of(self, name: str, hidden: Any) -> MaskedDistribution | Observed:
        """N(0, I) of the factors."""
        if name != FACTORS:
            return self.network.prior_of(name, hidden)
        return standard((*hidden.batch_shape, self.rank))

    def posterior_of(
        self, name: str, features: tuple[Array, Any], hidden: Any, prior: MaskedDistribution | Observed, step: Any
    ) -> MaskedDistribution | Amortized | Observed:
        """The network's own; of the factors the Gaussian that image and pixels give."""
        image, of_network = features
        if name != FACTORS:
            return self.network.posterior_of(name, of_network, hidden, prior, step)
        loc, cholesky = hidden.posterior(image)
        return Amortized(FactorPosterior(cholesky), loc)

    def advance(self, name: str, hidden: Any, latent: Masked) -> Any:
        """The network's own; after the factors the pixels."""
        return hidden.given(latent.product) if name == FACTORS else self.network.advance(name, hidden, latent)

    def weights(self, name: str) -> Float[Array, "entries hidden"]:
        """The network's own."""
        return self.network.weights(name)

    def enter(self, name: str, hidden: Any, projected: Float[Array, "batch hidden"]) -> Any:
        """As `advance`, of what a linear layer makes of a latent."""
        return self.network.enter(name, hidden, projected)

    def pixels(self, hidden: Distribution) -> Distribution:
        """p(x | all latents)."""
        return hidden
