"""One config run many times with overrides, as processes or Slurm jobs. Floor 2: may import reporting."""

from ctc_jax.sweeps.execute import execute
from ctc_jax.sweeps.expand import crossed, product, run_name

__all__ = ["crossed", "execute", "product", "run_name"]
