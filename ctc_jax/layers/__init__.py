from ctc_jax.layers.residual import ResidualBlock
from ctc_jax.layers.space_to_depth import depth_to_space, space_to_depth

__all__ = ["ResidualBlock", "depth_to_space", "space_to_depth"]
