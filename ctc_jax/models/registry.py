"""Models by name: a new one is one file and one line here. Tests: tests/models/test_registry.py."""

from ctc_jax.models.chain_model import ChainModel
from ctc_jax.models.class_conditional import ClassConditional
from ctc_jax.models.ctc_hierarchy import CTCHierarchy
from ctc_jax.models.mask_vae import MaskVAE
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
    try:
        return part.build(shared, setting)
    except OptionError as error:
        raise at(f"model.{config.get('name', SECTION.default)}", error) from None
