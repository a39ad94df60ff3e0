"""One config run many times with overrides, as processes or Slurm jobs. Floor 2: may import reporting."""

from ctc_jax.sweeps.dry_run import dry_run
from ctc_jax.sweeps.execute import execute
from ctc_jax.sweeps.expand import crossed, drawn, product, run_name, zipped
from ctc_jax.sweeps.search import search

__all__ = ["crossed", "drawn", "dry_run", "execute", "product", "run_name", "search", "zipped"]
