"""DRAW: an image painted in steps, with a latent each. Tests: tests/models/test_draw.py."""

from dataclasses import dataclass
from typing import Any, ClassVar

from ctc_jax.models.chain_model import ChainModel
from ctc_jax.models.networks.draw import DrawNetwork
from ctc_jax.models.orders import Recurrent
from ctc_jax.models.setting import ModelOptions, Setting, SharedOptions
from ctc_jax.options import option
from ctc_jax.posteriors import PathPosterior

# By networks that paint, whose nonlinearity is that of recurrent ones.
UNUSED = ("blocks", "decoder_blocks", "activation", "negative_slope")


@dataclass(frozen=True)
class Draw(ModelOptions):
    """Recurrent encoder and decoder with one canvas."""

    unused: ClassVar[tuple[str, ...]] = UNUSED

    glimpses: int = option(10, "steps, each with a latent of model.latents numbers", at_least=1)
    attention: bool = option(True, "read and write through windows of Gaussian filters; else on the whole image")
    read_size: int = option(2, "filters of the reading window on each axis", at_least=1)
    write_size: int = option(5, "filters of the writing window on each axis", at_least=1)

    def build(self, shared: SharedOptions, setting: Setting) -> ChainModel:
        """The model.

        Raises:
          ConfigError: a posterior of one latent alone.
        """
        check_posterior(setting)
        posterior, trajectory = setting.posterior.together(self.glimpses * shared.latents)
        network = DrawNetwork(
            posterior=posterior(shared.latents),
            trajectory=trajectory,
            glimpses=self.glimpses,
            read_size=self.read_size if self.attention else 0,
            write_size=self.write_size if self.attention else 0,
            **arguments(shared.network(setting), shared),
        )
        return ChainModel(network, Recurrent)


def check_posterior(setting: Setting) -> None:
    """Refuses a family that takes one latent alone: all of them at once are what log p(x, z) is known of.

    Raises:
      ConfigError: one that needs log p(x, z), and moves no latents together.
    """
    why = "others need log p(x, z) of one latent alone, not of one a step"
    setting.posterior.check(lambda family: not family.needs_log_joint or isinstance(family, PathPosterior), why)


def arguments(given: dict[str, Any], shared: SharedOptions) -> dict[str, Any]:
    """Of the arguments of networks those that painting ones take: their nonlinearity is the recurrent network's own."""
    return {**{key: value for key, value in given.items() if key != "activation"}, "width": shared.width}
