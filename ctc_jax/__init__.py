"""Image models with multimodal likelihoods in JAX. `ctc_jax.load(workdir)` reads a trained run."""

from typing import Any

from ctc_jax.sums import keep_sums_right
from ctc_jax.version import VERSION

__all__ = ["Run", "load"]
__version__ = VERSION

keep_sums_right()


def __getattr__(name: str) -> Any:
    """`load` and `Run` on first use: every module imports this package, and `ctc_jax.run` imports them all."""
    if name in __all__:
        from ctc_jax import run

        return getattr(run, name)
    raise AttributeError(f"module 'ctc_jax' has no attribute {name!r}")
