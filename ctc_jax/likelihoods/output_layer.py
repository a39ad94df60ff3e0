"""The 1x1 convolution from decoder features to a likelihood's parameters. Tests: test_output_layer.py."""

from itertools import accumulate

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from ctc_jax.distributions import MaskGroup
from ctc_jax.likelihoods.affine import affine
from ctc_jax.likelihoods.factored import Factored, Features


class OutputLayer(nn.Module):
    """A dense layer at every position; parameters float32, outputs float32 with positions innermost.

    Each group of outputs comes as `[outputs, positions]`, positions running over batch, height and width: the
    elementwise work that follows then runs over long contiguous rows. Reshaping the positions within that work makes
    XLA's CPU backend compute an index for each element instead of vectorizing.

    Attributes:
      units: for each group, what one unit of each output is worth, so that the kernel is learned at a scale near 1.
      start: for each group, each output's value at initialization, in units.
      gains: for each group, the standard deviation of its outputs at initialization over that of the features, in
        units; empty is 0.1 for all.
      mean_over: for each group, the pixels over which its outputs are averaged; empty averages none. Computed from the
        mean of the features, which is the same and costs a row for each patch in place of each pixel.
    """

    units: tuple[tuple[float, ...], ...]
    start: tuple[tuple[float, ...], ...]
    gains: tuple[float, ...] = ()
    mean_over: tuple[MaskGroup, ...] = ()

    @nn.compact
    def __call__(self, features: Features) -> tuple[Float[Array, "_ _"], ...]:
        """Products in the features' dtype, sums in float32.

        Raises:
          OptionError: patches do not tile the image.
        """
        units, start = (jnp.asarray(sum(groups, ()), jnp.float32) for groups in (self.units, self.start))
        gains = self.gains or (0.1,) * len(self.units)
        std = jnp.asarray([gain for gain, group in zip(gains, self.units, strict=True) for _ in group], jnp.float32)
        normal = nn.initializers.variance_scaling(1.0, "fan_in", "normal", in_axis=1, out_axis=0)
        kernel = self.param("kernel", lambda *of: normal(*of) * std[:, None], (len(units), features.shape[-1]))
        bias = self.param("bias", lambda *_: start)
        ends = list(accumulate(len(group) for group in self.units))[:-1]
        if isinstance(features, Factored):
            if len(units) < features.shape[-1] and not self.mean_over:
                return tuple(jnp.split(features.through(kernel * units[:, None], bias * units), ends))
            features = features.product
        weights = (kernel * units[:, None]).astype(features.dtype)
        parts = list(zip(jnp.split(weights, ends), jnp.split(bias * units, ends), strict=True))
        means = self.mean_over or (MaskGroup(1),) * len(parts)
        outputs: list[Array] = [None] * len(parts)
        for group in sorted(set(means), key=means.index):
            indices = [index for index, mean in enumerate(means) if mean == group]
            chosen_weights, chosen_offset = (jnp.concatenate([parts[i][j] for i in indices]) for j in (0, 1))
            product = affine(chosen_weights, chosen_offset, _rows(features, group))
            ends = list(accumulate(len(parts[index][1]) for index in indices))[:-1]
            for index, output in zip(indices, jnp.split(product, ends), strict=True):
                outputs[index] = output
        return tuple(outputs)


def _rows(
    features: Float[Array, "*batch height width features"], group: MaskGroup
) -> Float[Array, "positions features"]:
    if group != MaskGroup(1):
        *batch, height, width, number = features.shape
        (rows, columns), (high, wide) = group.grid(height, width), group.patch(height, width)
        features = jnp.mean(features.reshape(*batch, rows, high, columns, wide, number), axis=(-4, -2))
    return features.reshape(-1, features.shape[-1])


def values_last(
    outputs: Float[Array, "outputs positions"], values: tuple[int, ...], positions: tuple[int, ...]
) -> Float[Array, "..."]:
    """`[prod(values), prod(positions)]` as `[*positions, *reversed(values)]`.

    A view: XLA cancels it against the distribution's own way back.
    """
    outputs = outputs.reshape(*values, *positions)
    return outputs.transpose(*range(len(values), outputs.ndim), *reversed(range(len(values))))
