"""Recognition families by name: a new one is one file and one line here. Tests: tests/posteriors/test_registry.py."""

from collections.abc import Callable
from typing import NamedTuple

from ctc_jax.errors import ConfigError
from ctc_jax.options import ConfigSection, Options, Section
from ctc_jax.posteriors.annealed_hamiltonian import AnnealedHamiltonianOptions
from ctc_jax.posteriors.coupling import CouplingOptions
from ctc_jax.posteriors.diagonal import DiagonalGaussian, DiagonalOptions
from ctc_jax.posteriors.full import FullOptions
from ctc_jax.posteriors.hamiltonian import HamiltonianOptions
from ctc_jax.posteriors.iaf import IAFOptions
from ctc_jax.posteriors.neural_spline import NeuralSplineOptions
from ctc_jax.posteriors.path import PathPosterior
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


class Family(NamedTuple):
    """The recognition family that a config names, for latents of any size.

    Attributes:
      name: in the registry.
      options: of the family.
    """

    name: str
    options: Options

    def __call__(self, latents: int) -> AbstractPosterior:
        """The module for so many latents."""
        return self.options.build(latents=latents)  # type: ignore[attr-defined]

    def together(self, numbers: int) -> tuple["Family", PathPosterior | None]:
        """What draws each of several latents, and what then moves them all, where this is a family of paths.

        Args:
          numbers: of all latents of an image.
        """
        moved = self(numbers)
        return (Family("diagonal", DiagonalOptions()), moved) if isinstance(moved, PathPosterior) else (self, None)

    def check(self, fits: Callable[[AbstractPosterior], bool], why: str) -> None:
        """Refuses a family that does not fit a model.

        Args:
          fits: whether one does.
          why: others do not, in words.

        Raises:
          ConfigError: it does not fit; those that do are listed.
        """
        if not fits(self(1)):
            fitting = [name for name, options in REGISTRY.items() if fits(options().build(latents=1))]  # type: ignore[attr-defined]
            raise ConfigError("posterior.name", self.name, f"{', '.join(fitting)} ({why})")

    def check_idle(self) -> None:
        """Refuses a family that was chosen for a model which has no use for it.

        Raises:
          ConfigError: it is not the default.
        """
        self.check(lambda family: isinstance(family, DiagonalGaussian), "no latent of this model is Gaussian")


def build(config: ConfigSection) -> Family:
    """The recognition family that the config's `posterior` section names.

    Args:
      config: the section.

    Raises:
      ConfigError: an unknown name or key, or a value that is not allowed.
    """
    return Family(config.get("name", SECTION.default), SECTION.read(config)[0])
