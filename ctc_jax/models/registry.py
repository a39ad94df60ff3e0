"""Models by name: sub-configs in, a plain object out. Tests: tests/models/test_registry.py."""

from typing import NamedTuple

import flax.linen as nn
from jax.typing import DTypeLike

from ctc_jax import posteriors
from ctc_jax.errors import ConfigError, choose
from ctc_jax.layers import activation
from ctc_jax.models.class_conditional import ClassConditional, ClassNetwork
from ctc_jax.models.convolutional import ConvolutionalNetwork, check_halving
from ctc_jax.models.mlp import MLPNetwork
from ctc_jax.models.model import Model
from ctc_jax.models.vae import VAE


class ImageSpace(NamedTuple):
    """What a model must know of its data.

    Attributes:
      shape: height, width, channels.
      bits: levels are 0 to 2**bits - 1.
      classes: number of labels.
    """

    shape: tuple[int, int, int]
    bits: int
    classes: int


def build(config, posterior, likelihood: nn.Module, space: ImageSpace, dtype: DTypeLike) -> Model:
    """The model a config names.

    Args:
      config: the section `model` of configs/base.py.
      posterior: the section `posterior`.
      likelihood: features -> distribution on pixels.
      space: shape, bits and classes of the data.
      dtype: compute type of the network; parameters and log-probabilities are float32.

    Raises:
      ConfigError: an unknown name, a size below 1, or an image that cannot be halved `model.levels` times.
    """
    make = choose(REGISTRY, config.name, "model.name")
    for key in ("latents", "width", "features"):
        if config[key] < 1:
            raise ConfigError(f"model.{key}", config[key], "1 or more")
    if config.blocks < 0:
        raise ConfigError("model.blocks", config.blocks, "0 or more")
    return make(config, posterior, likelihood, space, dtype)


def _shared(config, likelihood: nn.Module, space: ImageSpace, dtype: DTypeLike) -> dict:
    return {
        "likelihood": likelihood,
        "image_shape": space.shape,
        "width": config.width,
        "blocks": config.blocks,
        "features": config.features,
        "activation": choose(activation.REGISTRY, config.activation, "model.activation"),
        "dtype": dtype,
    }


def _conv_vae(config, posterior, likelihood: nn.Module, space: ImageSpace, dtype: DTypeLike) -> VAE:
    check_halving(space.shape, config.levels)
    network = ConvolutionalNetwork(
        posterior=posteriors.build(posterior, latents=config.latents),
        maximum=2**space.bits - 1,
        levels=config.levels,
        **_shared(config, likelihood, space, dtype),
    )
    return VAE(network, config.latents, space.shape)


def _mlp_vae(config, posterior, likelihood: nn.Module, space: ImageSpace, dtype: DTypeLike) -> VAE:
    network = MLPNetwork(
        posterior=posteriors.build(posterior, latents=config.latents),
        maximum=2**space.bits - 1,
        **_shared(config, likelihood, space, dtype),
    )
    return VAE(network, config.latents, space.shape)


def _class_conditional(
    config, posterior, likelihood: nn.Module, space: ImageSpace, dtype: DTypeLike
) -> ClassConditional:
    del posterior  # there is nothing to recognize
    network = ClassNetwork(classes=space.classes, **_shared(config, likelihood, space, dtype))
    return ClassConditional(network, space.classes, space.shape)


REGISTRY = {"conv_vae": _conv_vae, "mlp_vae": _mlp_vae, "class_conditional": _class_conditional}
