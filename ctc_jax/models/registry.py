"""Models by name: a new one is one file and one line here. Tests: tests/models/test_registry.py."""

import dataclasses

from ctc_jax.errors import ConfigError
from ctc_jax.models.chain_model import ChainModel
from ctc_jax.models.class_conditional import ClassConditional
from ctc_jax.models.conv_draw import ConvDraw
from ctc_jax.models.ctc_hierarchy import CTCHierarchy
from ctc_jax.models.draw import Draw
from ctc_jax.models.mask_vae import MaskVAE
from ctc_jax.models.networks.correlated import CorrelatedNetwork
from ctc_jax.models.orders import TopDown
from ctc_jax.models.setting import Setting, SharedOptions
from ctc_jax.models.top_down import TopDownVAE
from ctc_jax.models.vae import MLPVAE, ConvVAE
from ctc_jax.options import ConfigSection, OptionError, Section, at

REGISTRY = {
    "conv_vae": ConvVAE,
    "mlp_vae": MLPVAE,
    "mask_vae": MaskVAE,
    "ctc_hierarchy": CTCHierarchy,
    "top_down": TopDownVAE,
    "draw": Draw,
    "conv_draw": ConvDraw,
    "class_conditional": ClassConditional,
}

SECTION = Section("model", REGISTRY, "conv_vae", SharedOptions, "the network around the likelihood")


def build(config: ConfigSection, setting: Setting) -> ChainModel:
    """The model that the section `model` of a config names.

    Args:
      config: the section.
      setting: likelihood, posterior, data and compute type.

    Raises:
      ConfigError: an unknown name or key, or a value that does not fit.
    """
    part, shared = SECTION.read(config)
    # Of others that a model ignores, experiment files share values between models; on a command line they are refused.
    SECTION.check_shared("decoder_blocks", shared.decoder_blocks, config.get("name", SECTION.default))
    try:
        model = part.build(shared, setting)
    except OptionError as error:
        raise at(f"model.{config.get('name', SECTION.default)}", error) from None
    return with_factors(model, setting) if getattr(setting.likelihood, "rank", 0) else model


def with_factors(model: ChainModel, setting: Setting) -> ChainModel:
    """The model with the likelihood's random factors as its last latent.

    Raises:
      ConfigError: latents are drawn in another order, or by a family that takes one latent alone.
    """
    if model.inference is not TopDown:
        rank = setting.likelihood.rank
        raise ConfigError(f"likelihood.{setting.likelihood.family}.rank", rank, "0 where inference is bottom_up")
    why = "others need log p(x, z) of one latent alone, and factors of the likelihood are another"
    setting.posterior.check(lambda family: not family.needs_log_joint, why)
    return dataclasses.replace(model, network=CorrelatedNetwork(model.network, setting.likelihood.rank))
