from ctc_jax.layers.positionwise import positionwise
from ctc_jax.layers.residual import ResidualBlock
from ctc_jax.layers.space_to_depth import depth_to_space, space_to_depth

__all__ = ["ResidualBlock", "depth_to_space", "positionwise", "space_to_depth"]
