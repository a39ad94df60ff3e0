"""Autoencoder whose code is masks, alone or times Gaussian values. Tests: tests/models/test_mask_vae.py."""

from dataclasses import dataclass
from typing import ClassVar

from ctc_jax.models import codes
from ctc_jax.models.chain_model import ChainModel
from ctc_jax.models.networks.masked_mlp import MaskedMLP
from ctc_jax.models.setting import ModelOptions, Setting, SharedOptions, mean_image
from ctc_jax.options import OptionError, option


@dataclass(frozen=True)
class MaskVAE(ModelOptions):
    """One layer of independent masks between dense networks."""

    unused: ClassVar[tuple[str, ...]] = ()

    latent: str = option("bernoulli", "the code; of relu and lwta masks are tied to values", choices=tuple(codes.CODES))
    categories: int = option(10, "K alternatives of a one-hot mask", at_least=1)
    beta: float = option(1.0, "tied mask logits are this times the values' locations (relu, lwta)", above=0)
    prior: str = option("fixed", "uniform masks and N(0, 1) values, or learned ones", choices=("fixed", "learned"))
    narrowing: int = option(1, "each hidden layer of the encoder has this many times fewer units", at_least=1)
    som_sigma: float = option(0.0, "squared distance on a grid at which alternatives learn together", at_least=0)
    som_sigma_steps: int = option(0, "steps over which som_sigma falls linearly to 0; 0 keeps it", at_least=0)
    centered: bool = option(False, "the encoder sees x minus the mean image, the decoder 2 m - 1 of plain masks")

    @property
    def needs_mean(self) -> bool:
        """For the encoder."""
        return self.centered

    def build(self, shared: SharedOptions, setting: Setting) -> ChainModel:
        """The model; masks have one family of posteriors.

        Raises:
          OptionError: an option that does not fit the code or the widths.
          ConfigError: a posterior for Gaussian latents.
        """
        setting.posterior.check_idle()
        decoder = shared.blocks if shared.decoder is None else shared.decoder
        deepest = max(shared.blocks, decoder)
        if deepest and shared.width < self.narrowing ** (deepest - 1):
            allowed = f"so small that {deepest} layers from {shared.width} units on keep one unit"
            raise OptionError("narrowing", self.narrowing, allowed)
        code = codes.code(self.latent, shared.latents, self.categories, self.beta)
        network = MaskedMLP(
            latent=code,
            widths=tuple(shared.width // self.narrowing**block for block in range(shared.blocks)),
            decoder_widths=tuple(shared.width // self.narrowing**block for block in reversed(range(decoder))),
            mean_image=mean_image(setting.space) if self.centered else (),
            learned_prior=self.prior == "learned",
            pooling=codes.pooling(self.som_sigma, self.som_sigma_steps, code, f"latent={self.latent}"),
            signed=self.centered and not code.valued,
            **shared.network(setting),
        )
        return ChainModel(network)
