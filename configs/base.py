"""Every config key with its meaning and default. Experiment files change only what they are about."""

from typing import Any

import ml_collections

from ctc_jax import data, evaluation, gradients, likelihoods, reporting, training
from ctc_jax.errors import ConfigError, UserError, nearest

Changes = dict[str, Any]


def get_config() -> ml_collections.ConfigDict:
    """The defaults: a convolutional VAE on CIFAR-10 with a CTC likelihood, sized for one accelerator."""
    return ml_collections.ConfigDict({"seed": 0, **{name: section() for name, section in SECTIONS.items()}})


def experiment(
    changes: Changes, *, presets: dict[str, Changes] | None = None, preset: str = ""
) -> ml_collections.ConfigDict:
    """The defaults with an experiment's changes, then those of the preset named on the command line.

    Args:
      changes: dotted keys and values.
      presets: the changes of each preset.
      preset: what stood after the colon of `--config=FILE:PRESET`; "" is none.

    Raises:
      UserError: no such preset.
      ConfigError: a key that does not exist.
    """
    config = get_config().lock()  # unlocked, it would take a misspelt key for a new one
    presets = presets or {}
    if preset and preset not in presets:
        has = f"presets {', '.join(sorted(presets))}" if presets else "no presets"
        raise UserError(f"preset {preset!r} does not exist; this experiment has {has}{nearest(preset, presets)}")
    for key, value in {**changes, **presets.get(preset, {})}.items():
        try:
            config.update_from_flattened_dict({key: value})
        except KeyError:
            raise ConfigError(key, value, "only keys of configs/base.py") from None
    return config.unlock()


def model() -> dict:
    """The network around the likelihood."""
    return {
        "name": "conv_vae",  # conv_vae, mlp_vae, mask_vae, ctc_hierarchy, class_conditional
        "latents": 128,  # size of the code above all; number of masks where it is made of them (mask_vae, top=ctc)
        "width": 128,  # channels of a convolution, or units of a hidden layer
        "levels": 3,  # times the image is halved (conv_vae, ctc_hierarchy)
        "blocks": 2,  # residual blocks a level (conv_vae, ctc_hierarchy); hidden layers elsewhere
        "features": 32,  # a pixel's features, which the likelihood's output layer reads
        "activation": "silu",  # silu, relu, tanh, elu, leaky_relu
        "negative_slope": 0.01,  # of leaky_relu
        "latent": "bernoulli",  # bernoulli, categorical; times Gaussian values: bernoulli_ctc, ctc (mask_vae)
        "categories": 10,  # K alternatives of a mask (mask_vae with categorical or ctc, top=ctc)
        "families": "ctc_pool",  # gaussian, ctc_pool, ctc_relu, none: one, or with commas one a level (ctc_hierarchy)
        "channels": 8,  # units of a level at each position, of which masks choose (ctc_hierarchy)
        "patch": 1,  # side of the patches in which the image enters: a power of 2, at most 2**levels (ctc_hierarchy)
        "value_loc": 0.0,  # where the prior of a level's values starts: at 0 a value tells nothing of its place
        "value_scale": 1.0,  # its standard deviation at the start (both ctc_hierarchy)
        "beta": 0.0,  # mask logits are beta times the values' locations; 0 gives them their own (ctc_hierarchy)
        "inference": "top_down",  # top_down, bottom_up: what q of a level sees beside the image (ctc_hierarchy)
        "top": "gaussian",  # gaussian, ctc: the code above all levels (ctc_hierarchy)
        "prior": "fixed",  # fixed (uniform masks, N(0, 1) values), learned (mask_vae)
        "narrowing": 1,  # each hidden layer of the encoder has this many times fewer units than the last (mask_vae)
        "som_sigma": 0.0,  # alternatives learn with neighbors this far on a grid, squared; 0 is off (one-hot masks)
        "som_sigma_steps": 0,  # steps over which som_sigma falls linearly to 0; 0 keeps it
        "centered": False,  # the encoder sees x minus the mean image, the decoder 2 m - 1 of plain masks (mask_vae)
    }


def posterior() -> dict:
    """The family of the recognition model."""
    return {"name": "diagonal"}  # diagonal (a Gaussian with diagonal covariance)


def objective() -> dict:
    """What is maximized. Warm-up, free bits and annealing change the training loss, never a reported bound."""
    return {
        "name": "elbo",  # elbo, importance_weighted
        "samples": 5,  # latents an image (importance_weighted)
        "kl_warmup_steps": 0,  # steps over which the weight of the KL rises from 0 to 1; 0 is off
        "free_nats": 0.0,  # per layer: KL below this many nats an image is not penalized; 0 is off
        "mask_annealing_steps": 0,  # steps over which the masks' posterior is flattened ever less (ctc); 0 is off
        "mask_annealing_start": 0.06,  # its inverse temperature at the first step, above 0 and at most 1
        "mask_annealing_end": 1.0,  # that at the last of these steps; it is 1 afterwards
    }


SECTIONS = {
    "data": data.SECTION.defaults,
    "model": model,
    "likelihood": likelihoods.SECTION.defaults,
    "posterior": posterior,
    "estimator": gradients.SECTION.defaults,
    "objective": objective,
    "train": training.SECTION.defaults,
    "evaluate": evaluation.SECTION.defaults,
    "report": reporting.SECTION.defaults,
}
