"""log p(x | class), exact. Tests: tests/models/test_class_conditional.py."""

from dataclasses import dataclass
from typing import ClassVar

from ctc_jax.models.chain_model import ChainModel
from ctc_jax.models.networks.class_conditional import ClassNetwork
from ctc_jax.models.setting import ModelOptions, Setting, SharedOptions


@dataclass(frozen=True)
class ClassConditional(ModelOptions):
    """An image model without latents, so that its bound is the likelihood."""

    unused: ClassVar[tuple[str, ...]] = ("latents", "decoder_blocks")

    def build(self, shared: SharedOptions, setting: Setting) -> ChainModel:
        """The model.

        Raises:
          ConfigError: a posterior.
        """
        setting.posterior.check_idle()
        network = ClassNetwork(
            classes=setting.space.classes, width=shared.width, blocks=shared.blocks, **shared.network(setting)
        )
        return ChainModel(network)
