"""Models by name: sub-configs in, a plain object out. Tests: tests/models/test_registry.py."""

import math
from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
from jax.typing import DTypeLike

from ctc_jax import posteriors
from ctc_jax.errors import ConfigError, choose
from ctc_jax.gradients import BERNOULLI, CATEGORICAL, MaskKind
from ctc_jax.layers import activation
from ctc_jax.layers.leaky_relu import LeakyReLU
from ctc_jax.layers.neighborhood_schedule import NeighborhoodSchedule
from ctc_jax.layers.som_pooling import SOMPooling
from ctc_jax.models.class_conditional import ClassConditional, ClassNetwork
from ctc_jax.models.convolutional import ConvolutionalNetwork, check_halving
from ctc_jax.models.ctc_hierarchy import CTCHierarchy
from ctc_jax.models.hierarchy_network import HierarchyNetwork
from ctc_jax.models.level_family import FAMILIES, LevelFamily
from ctc_jax.models.mask_law import MaskShape
from ctc_jax.models.mask_network import MaskNetwork
from ctc_jax.models.mask_vae import MaskVAE
from ctc_jax.models.mlp import MLPNetwork
from ctc_jax.models.model import Model
from ctc_jax.models.vae import VAE


class ImageSpace(NamedTuple):
    """What a model must know of its data.

    Attributes:
      shape: height, width, channels.
      bits: levels are 0 to 2**bits - 1.
      classes: number of labels.
      mean: the mean training image, scaled to [0, 1] and flattened; empty where nothing asked for it.
    """

    shape: tuple[int, int, int]
    bits: int
    classes: int
    mean: tuple[float, ...] = ()


# model.latent: the kind of the masks, and whether they multiply values.
LATENTS = {
    "bernoulli": (BERNOULLI, False),
    "categorical": (CATEGORICAL, False),
    "ctc": (CATEGORICAL, True),
    "bernoulli_ctc": (BERNOULLI, True),
}
PRIORS = {"fixed": False, "learned": True}
# model.top: whether the top code has masks.
TOPS = {"gaussian": False, "ctc": True}
# model.inference: whether q of a level sees the levels above.
INFERENCE = {"top_down": True, "bottom_up": False}


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
    choose(posteriors.REGISTRY, posterior.name, "posterior.name")  # of models too that have no use for it
    for key in ("latents", "width", "features"):
        if config[key] < 1:
            raise ConfigError(f"model.{key}", config[key], "1 or more")
    if config.blocks < 0:
        raise ConfigError("model.blocks", config.blocks, "0 or more")
    return make(config, posterior, likelihood, space, dtype)


def _activation(config) -> Callable:
    chosen = choose(activation.REGISTRY, config.activation, "model.activation")
    return LeakyReLU(config.negative_slope) if config.activation == "leaky_relu" else chosen


def _shared(config, likelihood: nn.Module, space: ImageSpace, dtype: DTypeLike) -> dict:
    return {
        "likelihood": likelihood,
        "image_shape": space.shape,
        "width": config.width,
        "blocks": config.blocks,
        "features": config.features,
        "activation": _activation(config),
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


def _mask_vae(config, posterior, likelihood: nn.Module, space: ImageSpace, dtype: DTypeLike) -> MaskVAE:
    del posterior  # masks have one family
    kind, valued = choose(LATENTS, config.latent, "model.latent")
    if kind is CATEGORICAL and config.categories < 2:
        raise ConfigError("model.categories", config.categories, "2 or more: one alternative leaves a mask no choice")
    if config.narrowing < 1 or (config.blocks and config.width < config.narrowing ** (config.blocks - 1)):
        allowed = f"1 or more, so that {config.blocks} layers from {config.width} units on keep one unit"
        raise ConfigError("model.narrowing", config.narrowing, allowed)
    shared = _shared(config, likelihood, space, dtype)
    del shared["width"], shared["blocks"]
    network = MaskNetwork(
        latent=MaskShape(kind, config.latents, config.categories, valued),
        maximum=2**space.bits - 1,
        widths=tuple(config.width // config.narrowing**block for block in range(config.blocks)),
        mean_image=_mean_image(space) if config.centered else (),
        learned_prior=choose(PRIORS, config.prior, "model.prior"),
        **shared,
    )
    return MaskVAE(network, space.shape, _pooling(config, kind), signed=config.centered and not valued)


def _ctc_hierarchy(config, posterior, likelihood: nn.Module, space: ImageSpace, dtype: DTypeLike) -> CTCHierarchy:
    check_halving(space.shape, config.levels)
    if config.channels < 1:
        raise ConfigError("model.channels", config.channels, "1 or more")
    if not 0 <= config.beta < float("inf"):
        allowed = "0 (free logits) or more; at infinity a mask is certain and has no gradient"
        raise ConfigError("model.beta", config.beta, allowed)
    if config.patch not in (2**halvings for halvings in range(config.levels + 1)):
        allowed = f"a power of 2 up to 2**model.levels, {2**config.levels}"
        raise ConfigError("model.patch", config.patch, allowed)
    if not math.isfinite(config.value_loc):
        raise ConfigError("model.value_loc", config.value_loc, "a finite number")
    if not 0 < config.value_scale < float("inf"):
        raise ConfigError("model.value_scale", config.value_scale, "above 0")
    top_masks = None
    if choose(TOPS, config.top, "model.top"):
        if config.categories < 2:
            raise ConfigError("model.categories", config.categories, "2 or more: one leaves a mask no choice")
        top_masks = MaskShape(CATEGORICAL, config.latents, config.categories, valued=True)
    elif config.som_sigma:
        raise ConfigError("model.som_sigma", config.som_sigma, "0, or model.top=ctc, which has a grid of alternatives")
    network = HierarchyNetwork(
        top=None if top_masks else posteriors.build(posterior, latents=config.latents),
        top_masks=top_masks,
        latents=config.latents,
        families=_families(config),
        maximum=2**space.bits - 1,
        channels=config.channels,
        patch=config.patch,
        value_loc=config.value_loc,
        value_scale=config.value_scale,
        beta=config.beta or None,
        top_down=choose(INFERENCE, config.inference, "model.inference"),
        **_shared(config, likelihood, space, dtype),
    )
    return CTCHierarchy(network, _pooling(config, CATEGORICAL))


def _families(config) -> tuple[LevelFamily | None, ...]:
    names = config.families.replace(" ", "").split(",")
    if len(names) not in (1, config.levels):
        allowed = f"one name, or {config.levels} with commas from the image upwards, as many as model.levels"
        raise ConfigError("model.families", config.families, allowed)
    found = tuple(choose(FAMILIES, name, "model.families") for name in names)
    return found * config.levels if len(found) == 1 else found


def _pooling(config, kind: MaskKind) -> SOMPooling | None:
    for key in ("som_sigma", "som_sigma_steps"):
        if not 0 <= config[key] < float("inf"):
            raise ConfigError(f"model.{key}", config[key], "0 (off) or more")
    if not config.som_sigma:
        return None
    if kind is not CATEGORICAL:
        allowed = f"0 with model.latent={config.latent}: gates have no alternatives on a grid"
        raise ConfigError("model.som_sigma", config.som_sigma, allowed)
    steps = config.som_sigma_steps
    return SOMPooling(NeighborhoodSchedule(config.som_sigma, 0.0 if steps else config.som_sigma, steps))


def _mean_image(space: ImageSpace) -> tuple[float, ...]:
    return space.mean or (0.5,) * math.prod(space.shape)


REGISTRY = {
    "conv_vae": _conv_vae,
    "mlp_vae": _mlp_vae,
    "mask_vae": _mask_vae,
    "ctc_hierarchy": _ctc_hierarchy,
    "class_conditional": _class_conditional,
}
