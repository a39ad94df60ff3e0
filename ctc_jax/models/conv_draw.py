"""Convolutional DRAW: an image painted in steps, with a map of latents each. Tests: tests/models/test_draw.py."""

from dataclasses import dataclass
from typing import ClassVar

import jax

from ctc_jax.models import draw
from ctc_jax.models.chain_model import ChainModel
from ctc_jax.models.networks.conv_draw import ConvDrawNetwork
from ctc_jax.models.orders import Recurrent
from ctc_jax.models.setting import ModelOptions, Setting, SharedOptions, check_halving
from ctc_jax.options import option


@dataclass(frozen=True)
class ConvDraw(ModelOptions):
    """Convolutional recurrent encoder and decoder with one canvas."""

    unused: ClassVar[tuple[str, ...]] = ("latents", *draw.UNUSED)

    glimpses: int = option(8, "steps, each with a map of latents", at_least=1)
    levels: int = option(2, "times the image is halved for the maps of states and latents", at_least=1)
    channels: int = option(8, "numbers of a latent at each position of its map", at_least=1)

    def build(self, shared: SharedOptions, setting: Setting) -> ChainModel:
        """The model.

        Raises:
          OptionError: the image cannot be halved so often.
          ConfigError: a posterior of one latent alone.
        """
        check_halving(setting.space.shape, self.levels)
        draw.check_posterior(setting)
        height, width, _ = setting.space.shape
        positions = (height >> self.levels) * (width >> self.levels)
        posterior, trajectory = setting.posterior.together(self.glimpses * positions * self.channels)
        network = ConvDrawNetwork(
            posterior=posterior(self.channels).clone(gain=0.1),
            trajectory=trajectory,
            glimpses=self.glimpses,
            levels=self.levels,
            rolled=jax.default_backend() != "cpu",
            **draw.arguments(shared.convolutional(setting), shared),
        )
        return ChainModel(network, Recurrent)
