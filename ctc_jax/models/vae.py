"""Variational autoencoders with one Gaussian code (Kingma and Welling 2014). Tests: tests/models/test_vae.py."""

from dataclasses import dataclass
from typing import ClassVar

from ctc_jax.models.chain_model import ChainModel
from ctc_jax.models.networks.convolutional import ConvolutionalNetwork
from ctc_jax.models.networks.mlp import MLPNetwork
from ctc_jax.models.setting import ModelOptions, Setting, SharedOptions, check_halving
from ctc_jax.options import option


@dataclass(frozen=True)
class MLPVAE(ModelOptions):
    """Dense layers on the flattened image."""

    unused: ClassVar[tuple[str, ...]] = ()

    def build(self, shared: SharedOptions, setting: Setting) -> ChainModel:
        """The model."""
        network = MLPNetwork(
            posterior=setting.posterior(shared.latents),
            width=shared.width,
            blocks=shared.blocks,
            decoder_blocks=shared.decoder,
            **shared.network(setting),
        )
        return ChainModel(network)


@dataclass(frozen=True)
class ConvVAE(ModelOptions):
    """Residual blocks at each resolution."""

    unused: ClassVar[tuple[str, ...]] = ()

    levels: int = option(3, "times the image is halved", at_least=1)

    def build(self, shared: SharedOptions, setting: Setting) -> ChainModel:
        """The model.

        Raises:
          OptionError: the image cannot be halved so often.
        """
        check_halving(setting.space.shape, self.levels)
        network = ConvolutionalNetwork(
            posterior=setting.posterior(shared.latents),
            width=shared.width,
            blocks=shared.blocks,
            decoder_blocks=shared.decoder,
            levels=self.levels,
            **shared.convolutional(setting),
        )
        return ChainModel(network)
