"""A deep top-down VAE, from ladder to very deep. Tests: tests/models/test_top_down.py."""

from dataclasses import dataclass
from typing import ClassVar

import jax

from ctc_jax.layers import StochasticMaxPool
from ctc_jax.models.chain_model import ChainModel
from ctc_jax.models.families import FAMILIES, families, is_gaussian
from ctc_jax.models.networks.top_down import Resolution, TopDownNetwork
from ctc_jax.models.setting import ModelOptions, Setting, SharedOptions
from ctc_jax.options import OptionError, option
from ctc_jax.posteriors import Family, PathPosterior
from ctc_jax.posteriors.diagonal import DiagonalGaussian


@dataclass(frozen=True)
class TopDownVAE(ModelOptions):
    """Residual blocks with a latent each at several resolutions."""

    unused: ClassVar[tuple[str, ...]] = ("latents", "decoder_blocks")

    decoder: str = option(
        "1x1,4x2,8x3,16x3",
        "RESOLUTIONxBLOCKS with commas of the way down, a latent a block, from the lowest resolution to the highest; a "
        "resolution is the height of maps, and the image enters in patches of what is left",
    )
    encoder: str = option("", "RESOLUTIONxBLOCKS of the way up; where it is empty, model.blocks at each resolution")
    widths: str = option("", "RESOLUTIONxCHANNELS where these are others than model.width")
    bottleneck: float = option(0.25, "channels of a convolution relative to those around it", above=0, at_most=4)
    resampling: str = option(
        "learned",
        "between resolutions: learned exchanges resolution for channels, mean takes means of patches and repeats them",
        choices=("learned", "mean"),
    )
    channels: int = option(16, "units of a latent at each position, of which masks choose", at_least=1)
    families: str = option(
        "gaussian",
        f"what masks latents: one of {', '.join(FAMILIES)}, or with commas one for each resolution of the decoder",
    )
    block: int = option(2, "neighboring channels of which one wins (lwta)", at_least=2)
    value_loc: float = option(0.0, "where priors of values start: at 0 a value tells nothing of its place")
    value_scale: float = option(1.0, "their standard deviation at the start", above=0)
    beta: float = option(0.0, "mask logits are this times the values' locations; 0 gives them their own", at_least=0)
    merge: str = option(
        "change",
        "how q comes of the prior: change alters it by what is seen of the image and of the way down, product "
        "multiplies it by what is seen of the image alone (ladder VAE)",
        choices=("change", "product"),
    )
    rematerialize: bool = option(False, "compute what convolutions find again for their gradient, to keep less of it")

    def build(self, shared: SharedOptions, setting: Setting) -> ChainModel:
        """The model.

        Raises:
          OptionError: an option that does not fit the image or another one.
          ConfigError: a posterior that does not fit.
        """
        resolutions = self._resolutions(shared, setting.space.shape)
        self._check_posterior(setting.posterior, resolutions)
        numbers = sum(of.down * of.height * of.width * self.channels for of in resolutions if of.family)
        posterior, trajectory = setting.posterior.together(numbers)
        change = isinstance(posterior(1), DiagonalGaussian)
        return ChainModel(
            TopDownNetwork(
                posterior=None if change else posterior,
                trajectory=trajectory,
                resolutions=resolutions,
                units=self.channels,
                bottleneck=self.bottleneck,
                resampling=self.resampling,
                value_loc=self.value_loc,
                value_scale=self.value_scale,
                beta=self.beta or None,
                product=self.merge == "product",
                rematerialize=self.rematerialize,
                rolled=jax.default_backend() != "cpu",
                **shared.convolutional(setting),
            )
        )

    def _check_posterior(self, posterior: Family, resolutions: tuple[Resolution, ...]) -> None:
        gaussian = [is_gaussian(of.family) for of in resolutions if of.family]
        # What moves all latents together starts at the draw that a diagonal Gaussian gives, whatever its merge.
        moved = PathPosterior if all(gaussian) else ()
        if not any(gaussian):
            posterior.check_idle()
        elif self.merge == "product":
            why = "others are no factor, as merge=product has it"
            posterior.check(lambda family: isinstance(family, (DiagonalGaussian, moved)), why)
        else:
            why = "others need log p(x, z) of one latent alone, or of latents without masks"
            posterior.check(lambda family: not family.needs_log_joint or isinstance(family, moved), why)

    def _resolutions(self, shared: SharedOptions, image_shape: tuple[int, int, int]) -> tuple[Resolution, ...]:
        down = _counts("decoder", self.decoder, least=1)
        heights = list(down)
        height, width, _ = image_shape
        steps = zip(heights, [*heights[1:], height], strict=True)
        if not all(
            lower < upper and upper % lower == 0 for lower, upper in steps if (lower, upper) != (height, height)
        ):
            allowed = f"heights from the lowest to the highest, each a divisor of the next and of the image's {height}"
            raise OptionError("decoder", self.decoder, allowed)
        if any(width % (height // of) for of in heights):
            allowed = f"heights that are those of patches which divide the image's width, {width}"
            raise OptionError("decoder", self.decoder, allowed)
        up = self._of_heights("encoder", self.encoder, heights, default=shared.blocks, otherwise=0, least=0)
        widths = self._of_heights("widths", self.widths, heights, default=shared.width, otherwise=shared.width, least=1)
        masks = families(
            self.families,
            len(heights),
            "in the order of decoder, as many as it has resolutions",
            channels=self.channels,
            block=self.block,
        )
        if not any(masks):
            raise OptionError("families", self.families, "one that is not none at one resolution at least")
        found = tuple(
            Resolution(of, width // (height // of), widths[of], up[of], down[of], masks_of)
            for of, masks_of in zip(heights, masks, strict=True)
        )
        odd = [of for of in found if isinstance(of.family, StochasticMaxPool) and (of.height % 2 or of.width % 2)]
        if odd:
            allowed = f"others than ctc_pool at {odd[0].height}x{odd[0].width}, which windows of 2x2 do not divide"
            raise OptionError("families", self.families, allowed)
        return found

    def _of_heights(
        self, name: str, text: str, heights: list[int], *, default: int, otherwise: int, least: int
    ) -> dict[int, int]:
        if not text:
            return dict.fromkeys(heights, default)
        counts = _counts(name, text, least=least)
        if other := [of for of in counts if of not in heights]:
            allowed = f"resolutions of decoder: {', '.join(map(str, heights))} ({other[0]} is none)"
            raise OptionError(name, text, allowed)
        return {of: counts.get(of, otherwise) for of in heights}


def _counts(name: str, text: str, *, least: int) -> dict[int, int]:
    """Numbers by resolution, in the order of the text.

    Raises:
      OptionError: it is not made of such pairs, each resolution once.
    """
    found: dict[int, int] = {}
    for pair in text.replace(" ", "").split(","):
        parts = pair.split("x")
        if len(parts) != 2 or not all(part.isdecimal() for part in parts):
            raise OptionError(name, text, f"pairs such as 8x3 with commas ({pair!r} is none)")
        of, count = map(int, parts)
        if of < 1 or count < least or of in found:
            raise OptionError(name, text, f"each resolution once, 1 or more, and {least} or more of each ({pair!r})")
        found[of] = count
    return found
