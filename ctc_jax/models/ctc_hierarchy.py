"""Stochastic pooling, gates and winner-take-all at every resolution. Tests: tests/models/test_ctc_hierarchy.py."""

import math
from dataclasses import dataclass
from typing import ClassVar

from ctc_jax.layers import MaskedLayer
from ctc_jax.models import codes
from ctc_jax.models.chain_model import ChainModel
from ctc_jax.models.families import FAMILIES, families, is_gaussian
from ctc_jax.models.networks.class_conditional import LABEL
from ctc_jax.models.networks.hierarchy import HierarchyNetwork
from ctc_jax.models.orders import BottomUp, TopDown
from ctc_jax.models.setting import ModelOptions, Setting, SharedOptions, check_halving
from ctc_jax.options import OptionError, option
from ctc_jax.posteriors import AbstractPosterior, Family, PathPosterior
from ctc_jax.posteriors.diagonal import DiagonalGaussian


@dataclass(frozen=True)
class CTCHierarchy(ModelOptions):
    """A latent on a feature map at each resolution, and a code above all."""

    unused: ClassVar[tuple[str, ...]] = ()

    levels: int = option(3, "times the image is halved", at_least=1)
    families: str = option(
        "ctc_pool", f"what masks a level: one of {', '.join(FAMILIES)}, or with commas one for each, image upwards"
    )
    channels: int = option(8, "units of a level at each position, of which masks choose", at_least=1)
    block: int = option(2, "neighboring channels of which one wins (lwta)", at_least=2)
    patch: int = option(1, "side of the patches in which the image enters: a power of 2, at most 2**levels", at_least=1)
    value_loc: float = option(0.0, "where a level's prior of values starts: at 0 a value tells nothing of its place")
    value_scale: float = option(1.0, "its standard deviation at the start", above=0)
    beta: float = option(0.0, "mask logits are this times the values' locations; 0 gives them their own", at_least=0)
    inference: str = option(
        "top_down",
        "what q of a level sees: the image and the draws above, the draws below alone, or these and the image",
        choices=("top_down", "bottom_up", "bottom_up_with_image"),
    )
    top: str = option(
        "gaussian",
        "the code above all levels; label is the image's class alone, given and not paid for",
        choices=("gaussian", LABEL, *codes.CODES),
    )
    categories: int = option(10, "K alternatives of a one-hot mask of the top code", at_least=1)
    top_beta: float = option(1.0, "tied mask logits of the top code are this times its locations (relu, lwta)", above=0)
    som_sigma: float = option(
        0.0, "the top code's alternatives learn with neighbors this far, squared; 0 is off", at_least=0
    )
    som_sigma_steps: int = option(0, "steps over which som_sigma falls linearly to 0; 0 keeps it", at_least=0)

    def build(self, shared: SharedOptions, setting: Setting) -> ChainModel:
        """The model.

        Raises:
          OptionError: an option that does not fit the image or another one.
          ConfigError: a posterior that does not fit.
        """
        shape = setting.space.shape
        check_halving(shape, self.levels)
        if self.patch not in (2**halvings for halvings in range(self.levels + 1)):
            raise OptionError("patch", self.patch, f"a power of 2 up to 2**levels, {2**self.levels}")
        if self.top == LABEL:
            self._check_label(setting.space.classes)
        masked = self.top in codes.CODES
        masks = codes.code(self.top, shared.latents, self.categories, self.top_beta) if masked else None
        order = "from the image upwards, as many as levels"
        of_levels = families(self.families, self.levels, order, channels=self.channels, block=self.block)
        self._check_posterior(setting.posterior, of_levels)
        together = any(of_levels) and isinstance(setting.posterior(1), PathPosterior)
        code = DiagonalGaussian(shared.latents) if together else setting.posterior(shared.latents)
        network = HierarchyNetwork(
            top=masks or (setting.space.classes if self.top == LABEL else code),
            families=of_levels,
            drawn_by=(None,) * self.levels,
            trajectory=None,
            width=shared.width,
            blocks=shared.blocks,
            decoder_blocks=shared.decoder,
            channels=self.channels,
            patch=self.patch,
            value_loc=self.value_loc,
            value_scale=self.value_scale,
            beta=self.beta or None,
            top_down=self.inference == "top_down",
            sees_image=self.inference != "bottom_up",
            pooling=codes.pooling(self.som_sigma, self.som_sigma_steps, masks, f"top={self.top}"),
            **shared.convolutional(setting),
        )

        def drawn_by(level: int) -> AbstractPosterior | None:
            family = setting.posterior(self.channels * network.unit_patch(level) ** 2)
            # A diagonal Gaussian is a change of the prior, as it is of units with masks.
            change = isinstance(family, DiagonalGaussian) or not is_gaussian(of_levels[level])
            return None if change else family.clone(gain=network.gain)

        if together:
            numbers = shared.latents + sum(math.prod(network.unit_shape(level)) for level in network.levels.values())
            network = network.clone(trajectory=setting.posterior(numbers))
        else:
            network = network.clone(drawn_by=tuple(drawn_by(level) for level in range(self.levels)))
        return ChainModel(network, TopDown if network.top_down else BottomUp)

    def _check_label(self, classes: int) -> None:
        if classes < 2:
            allowed = ", ".join(("gaussian", *codes.CODES))
            raise OptionError("top", LABEL, f"{allowed} with these data, which have no labels")
        if self.inference != "top_down":
            raise OptionError("inference", self.inference, f"top_down with top={LABEL}, which is not inferred")

    def _check_posterior(self, posterior: Family, families: tuple[MaskedLayer | None, ...]) -> None:
        if self.top != "gaussian" and not any(map(is_gaussian, families)):
            posterior.check_idle()
        elif (
            self.top != "gaussian"
            or self.inference != "top_down"
            or not all(of is None or is_gaussian(of) for of in families)
        ):
            why = "others need log p(x, z) of latents without masks, and inference=top_down"
            posterior.check(lambda family: not family.needs_log_joint, why)
        elif any(families):
            why = "others need log p(x, z) of one latent alone, families=none"
            posterior.check(lambda family: not family.needs_log_joint or isinstance(family, PathPosterior), why)
