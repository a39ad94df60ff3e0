"""Categorical-times-continuous on pixels: a mixture whose mask is shared by a group. Tests: test_grouped_ctc.py."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, Key, Num
from numpyro.distributions import Distribution, constraints

from ctc_jax.distributions.levels import channels_first, told_levels
from ctc_jax.distributions.log_mixture import log_mixture
from ctc_jax.distributions.mask_group import MaskGroup
from ctc_jax.distributions.registry import VALUE_FAMILIES


class GroupedCTC(Distribution):
    """Images whose groups of positions each draw a one-hot mask m over K components, then their values s: x = m * s.

    `log p(x) = sum_g logsumexp_k [ log pi_{g,k} + sum_{i in g} log f(x_i; loc_{i,k}, scale_{i,k}) ]`, the inner sum
    over all positions and channels of the group. With `coefficients` the mean of channel c is
    `loc_c + sum_{j<c} a_{c,j} (x_j - (2^bits - 1) / 2)`, as in PixelCNN++ (Salimans et al. 2017). With `off` one more
    component is exactly black: mass 1 on groups that are 0 everywhere.

    Args:
      logits: mask logits, nats; the last one is the off component's where `off`.
      loc: in levels.
      log_scale: log levels, clamped by the family.
      coefficients: a_{c,j} in the order (1,0), (2,0), (2,1), ...; None leaves channels independent given the mask.
      bits: levels are 0..2^bits-1.
      family: name in `registry.VALUE_FAMILIES`.
      mask_group: the positions that share a mask.
      off: whether there is an off component.
    """

    arg_constraints: ClassVar[dict] = {"logits": constraints.real, "loc": constraints.real}
    pytree_data_fields = ("logits", "loc", "log_scale", "coefficients")
    pytree_aux_fields = ("bits", "family", "mask_group", "off")

    def __init__(
        self,
        logits: Float[Array, "*batch rows columns masks"],
        loc: Float[Array, "*batch height width K channels"],
        log_scale: Float[Array, "*batch height width K channels"],
        coefficients: Float[Array, "*batch height width K pairs"] | None = None,
        *,
        bits: int,
        family: str = "logistic",
        mask_group: MaskGroup = MaskGroup(1),  # noqa: B008 (frozen)
        off: bool = False,
        validate_args: bool | None = None,
    ):
        self.logits, self.loc, self.log_scale, self.coefficients = logits, loc, log_scale, coefficients
        self.bits, self.family, self.mask_group, self.off = bits, family, mask_group, off
        *batch, height, width, _, channels = loc.shape
        super().__init__(batch_shape=tuple(batch), event_shape=(height, width, channels), validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=3)
    def support(self) -> constraints.Constraint:
        """Images of the levels 0..2^bits-1."""
        return constraints.independent(constraints.integer_interval(0, 2**self.bits - 1), 3)

    @property
    def mask_probs(self) -> Float[Array, "*batch rows columns masks"]:
        """Probability of each component, the off component last."""
        return jax.nn.softmax(self.logits, axis=-1)

    def component_log_prob(self, value: Num[Array, "*batch height width channels"]) -> Float[Array, "masks *grid"]:
        """Log mass of each group's levels under each component, nats: `[K + off, *batch, rows, columns]`.

        Components lead and positions are innermost, so that elementwise work runs over long contiguous rows.
        """
        batch, (height, width, _) = value.shape[:-3], value.shape[-3:]
        components = self.loc.shape[-2]

        def positions_last(parameter):
            parameter = jnp.broadcast_to(parameter, batch + parameter.shape[-4:])
            return jnp.moveaxis(parameter, (-1, -2), (0, 1)).reshape(parameter.shape[-1], components, -1)

        level = channels_first(value).reshape(value.shape[-1], 1, -1)
        loc, log_scale = positions_last(self.loc), positions_last(self.log_scale)
        level = jnp.broadcast_to(level, loc.shape)
        if self.coefficients is not None:
            pairs = positions_last(self.coefficients)
            loc = jnp.stack([loc[c] + self._shift(c, level, pairs) for c in range(loc.shape[0])])
        total = VALUE_FAMILIES[self.family].log_mass(level, loc, log_scale, self.bits)
        total = self.mask_group.total(total.reshape(components, *batch, height, width))
        if self.off:
            black = self.mask_group.every(jnp.all(value == 0, axis=-1))
            total = jnp.concatenate([total, jnp.where(black, 0.0, -jnp.inf)[None]])
        return total

    def log_prob(self, value: Num[Array, "*batch height width channels"]) -> Float[Array, "*batch"]:
        """Log mass of each image, nats, -inf with a number that is no level; first derivatives in reverse mode only."""
        return self._over_masks(value, lambda logits, log_probs: log_mixture(logits, log_probs))

    def annealed_log_prob(
        self, value: Num[Array, "*batch height width channels"], inverse_temperature: Float[Array, ""]
    ) -> Float[Array, "*batch"]:
        """A lower bound on `log_prob` that spreads each image over several masks; equal to it at 1.

        `(1/b) log sum_k pi_k f_k^b` for an inverse temperature b in (0, 1]: the power mean of order b of the f_k,
        which increases with b. The posterior of the masks is flattened, `r_k ~ pi_k f_k^b`: in a large group it is
        otherwise one-hot from the first step on, and components that never win never learn (deterministic annealing,
        Rose 1998). Below 1 only the locations have gradients: probabilities and scales that follow a flattened
        posterior let components die before they are told apart.
        """
        held = inverse_temperature < 1.0

        def hold(parameter):
            return jnp.where(held, jax.lax.stop_gradient(parameter), parameter)

        distribution = GroupedCTC(
            hold(self.logits),
            self.loc,
            hold(self.log_scale),
            self.coefficients,
            bits=self.bits,
            family=self.family,
            mask_group=self.mask_group,
            off=self.off,
        )

        def tempered(logits, log_probs):
            return log_mixture(logits, inverse_temperature * log_probs) / inverse_temperature

        return distribution._over_masks(value, tempered)

    def _over_masks(self, value, combine):
        value, outside = told_levels(value, 2**self.bits)
        batch = lax.broadcast_shapes(value.shape[:-3], self.batch_shape)
        value = jnp.broadcast_to(value, batch + self.event_shape)
        # Added to an image's sum: chosen by, it would be computed again in the loops of the derivative.
        outside = jnp.sum(jnp.broadcast_to(outside, batch + self.event_shape), axis=(-3, -2, -1))
        logits = jnp.moveaxis(jnp.broadcast_to(self.logits, batch + self.logits.shape[-3:]), -1, 0)
        # Flat positions let XLA fuse this with the work before it.
        log_probs = self.component_log_prob(value)
        log_prob = combine(logits.reshape(logits.shape[0], -1), log_probs.reshape(logits.shape[0], -1))
        return jnp.sum(log_prob.reshape(*batch, -1), axis=-1) + outside

    def sample(
        self, key: Key[Array, ""] | None, sample_shape: tuple[int, ...] = ()
    ) -> Int[Array, "... height width channels"]:
        """Masks, then values, channel after channel where these depend on one another: int32 levels."""
        batch = tuple(sample_shape) + self.batch_shape
        mask_key, *keys = jax.random.split(key, 1 + self.event_shape[-1])
        mask = jax.random.categorical(mask_key, self.logits, shape=batch + self.logits.shape[-3:-1])
        family = VALUE_FAMILIES[self.family]
        return self._of_component(
            mask, lambda c, loc, log_scale: family.sample(keys[c], loc, log_scale, self.bits).astype(jnp.float32)
        ).astype(jnp.int32)

    @property
    def mode(self) -> Int[Array, "*batch height width channels"]:
        """The most probable values of the most probable mask, int32 levels."""
        family = VALUE_FAMILIES[self.family]
        return self._of_component(
            jnp.argmax(self.logits, axis=-1),
            lambda c, loc, log_scale: family.mode(loc, log_scale, self.bits).astype(jnp.float32),
        ).astype(jnp.int32)

    @property
    def mean(self) -> Float[Array, "*batch height width channels"]:
        """Marginal mean in levels: exact, save that with `coefficients` earlier channels enter by their mean."""
        components, (height, width, channels) = self.loc.shape[-2], self.event_shape
        probs = jnp.moveaxis(self.mask_probs[..., :components], -1, 0)
        probs = jnp.moveaxis(self.mask_group.upsample(probs, height, width), 0, -1)
        mean = self._values(
            [self.loc[..., c] for c in range(channels)],
            [self.log_scale[..., c] for c in range(channels)],
            self.coefficients,
            lambda c, loc, log_scale: VALUE_FAMILIES[self.family].mean(loc, log_scale, self.bits),
        )
        return jnp.sum(mean * probs[..., None], axis=-2)

    def _shift(self, channel, level, coefficients):
        """What the channels before add to a channel's mean; `level` and `coefficients` are indexed along axis 0."""
        start, center = math.comb(channel, 2), (2**self.bits - 1) / 2
        return sum((coefficients[start + j] * (level[j] - center) for j in range(channel)), jnp.zeros_like(level[0]))

    def _values(self, loc, log_scale, coefficients, value):
        """`value(channel, loc, log_scale)` for each channel in turn, stacked on the last axis."""
        levels = []
        pairs = None if coefficients is None else jnp.moveaxis(coefficients, -1, 0)
        for c, (channel_loc, channel_log_scale) in enumerate(zip(loc, log_scale, strict=True)):
            if pairs is not None and c > 0:
                channel_loc = channel_loc + self._shift(c, levels, pairs)
            levels.append(value(c, channel_loc, channel_log_scale))
        return jnp.stack(levels, axis=-1)

    def _of_component(self, mask, value):
        """Values of the masks' components, black where the mask is off."""
        components, (height, width, channels) = self.loc.shape[-2], self.event_shape
        batch = mask.shape[:-2]
        mask = self.mask_group.upsample(mask, height, width)
        index = jnp.minimum(mask, components - 1)[..., None, None]

        def pick(parameter):
            parameter = jnp.broadcast_to(parameter, batch + parameter.shape[-4:])
            return jnp.take_along_axis(parameter, index, axis=-2)[..., 0, :]

        loc, log_scale = pick(self.loc), pick(self.log_scale)
        coefficients = None if self.coefficients is None else pick(self.coefficients)
        levels = self._values(
            [loc[..., c] for c in range(channels)], [log_scale[..., c] for c in range(channels)], coefficients, value
        )
        return jnp.where((mask == components)[..., None], 0.0, levels)
