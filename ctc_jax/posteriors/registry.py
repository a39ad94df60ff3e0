"""Recognition families by name: a new one is one file and one line here. Tests: tests/posteriors/test_registry.py."""

from ctc_jax.options import ConfigSection, Section
from ctc_jax.posteriors.annealed_hamiltonian import AnnealedHamiltonianOptions
from ctc_jax.posteriors.coupling import CouplingOptions
from ctc_jax.posteriors.diagonal import DiagonalOptions
from ctc_jax.posteriors.full import FullOptions
from ctc_jax.posteriors.hamiltonian import HamiltonianOptions
from ctc_jax.posteriors.iaf import IAFOptions
from ctc_jax.posteriors.neural_spline import NeuralSplineOptions
from ctc_jax.posteriors.planar import PlanarOptions
from ctc_jax.posteriors.posterior import AbstractPosterior
from ctc_jax.posteriors.radial import RadialOptions
from ctc_jax.posteriors.semi_amortized import SemiAmortizedOptions

REGISTRY = {
    "diagonal": DiagonalOptions,
    "full": FullOptions,
    "planar": PlanarOptions,
    "radial": RadialOptions,
    "iaf": IAFOptions,
    "coupling": CouplingOptions,
    "neural_spline": NeuralSplineOptions,
    "semi_amortized": SemiAmortizedOptions,
    "hamiltonian": HamiltonianOptions,
    "annealed_hamiltonian": AnnealedHamiltonianOptions,
}

SECTION = Section("posterior", REGISTRY, "diagonal", meaning="the family of the recognition model q(z|x)")


def build(config: ConfigSection, *, latents: int) -> AbstractPosterior:
    """The recognition family that the config's `posterior` section names.

    Args:
      config: the section.
      latents: size of the code.

    Raises:
      ConfigError: an unknown name or key, or a value that is not allowed.
    """
    return SECTION.read(config)[0].build(latents=latents)
