"""An estimator for each of several latents with masks. Tests: tests/gradients/test_per_latent.py."""

from collections.abc import Mapping
from dataclasses import dataclass

from ctc_jax.errors import ConfigError
from ctc_jax.gradients.estimator import BoundEstimator
from ctc_jax.gradients.registry import REGISTRY, build


@dataclass(frozen=True)
class PerLatent:
    """Estimators whose masks carry their own gradient, one for each latent of a model that has masks.

    Others cannot be mixed: they reward a mask by what all masks drawn after it bring, and so estimate these as well.

    Attributes:
      estimators: latents by name, and the estimator of each.
    """

    estimators: tuple[tuple[str, BoundEstimator], ...]

    def of(self, latent: str) -> BoundEstimator:
        """That of one latent."""
        return dict(self.estimators)[latent]


def build_per_latent(config, mask_kinds: Mapping[str, str]) -> PerLatent:
    """The estimators whose names a config has with commas.

    Args:
      config: the section `estimator` of configs/base.py; the other options are those of every one.
      mask_kinds: latents that have masks, in the order of the names, and the kind of each.

    Raises:
      ConfigError: there are more or fewer names than latents, a name is unknown or of a family that cannot be mixed, or
        does not serve its latent's masks.
    """
    names = config.name.replace(" ", "").split(",")
    if len(names) != len(mask_kinds):
        allowed = f"one name, or with commas one for each latent with masks: {', '.join(mask_kinds) or 'none here'}"
        raise ConfigError("estimator.name", config.name, allowed)
    estimators = []
    for name, (latent, kind) in zip(names, mask_kinds.items(), strict=True):
        section = config.copy_and_resolve_references()
        section.name = name
        bound = build(section, mask_kinds=frozenset({kind}), linear=False)
        if bound.mask is None:
            fitting = ", ".join(sorted(one for one, entry in REGISTRY.items() if entry.family == "single_pass"))
            raise ConfigError("estimator.name", config.name, f"beside another, one of one pass: {fitting}")
        estimators.append((latent, bound))
    return PerLatent(tuple(estimators))
