"""Every config key with its default, from the options of all parts. Experiment files change only what they are about.

python -m configs.base                        every key with its default, its meaning and the values allowed
python -m configs.base model.ctc_hierarchy    those that start so
"""

import sys
from typing import Any

import ml_collections

from ctc_jax import (
    data,
    evaluation,
    gradients,
    inference,
    likelihoods,
    models,
    objectives,
    posteriors,
    reporting,
    training,
)
from ctc_jax.errors import ConfigError, UserError, nearest
from ctc_jax.options import reference

Changes = dict[str, Any]


def get_config() -> ml_collections.ConfigDict:
    """The defaults: a convolutional VAE on CIFAR-10 with a CTC likelihood, sized for one accelerator."""
    return ml_collections.ConfigDict({"seed": 0, **{section.key: section.defaults() for section in SECTIONS}})


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


SECTIONS = (
    data.SECTION,
    models.SECTION,
    likelihoods.SECTION,
    posteriors.SECTION,
    gradients.SECTION,
    objectives.SECTION,
    inference.SECTION,
    training.SECTION,
    evaluation.SECTION,
    reporting.SECTION,
)

if __name__ == "__main__":
    print(reference(SECTIONS, *sys.argv[1:]))
