"""Moving averages kept among the parameters. Tests: tests/gradients/test_moving_average.py."""

import jax
from jaxtyping import Array, Float

from ctc_jax.distributions.mask_kind import total
from ctc_jax.gradients.surrogate import zero

# Parameters whose path contains this word take plain gradient steps of rate 1.
COLLECTION = "moving_averages"


def follow(average: Float[Array, "..."], targets: Float[Array, "batch ..."], decay: float) -> Float[Array, "batch"]:
    """Surrogate terms by which one gradient step of rate 1 moves the average to d c + (1 - d) mean target."""
    return zero(-0.5 * (1.0 - decay) * total((average[None] - jax.lax.stop_gradient(targets)) ** 2))
