"""Estimators by name, and the one that a config chooses. Tests: tests/gradients/test_registry.py."""

from dataclasses import dataclass

from ctc_jax.distributions.mask_site import MaskSite
from ctc_jax.errors import ConfigError
from ctc_jax.gradients.arms import ARMS
from ctc_jax.gradients.carms import CARMS
from ctc_jax.gradients.daps import DAPS
from ctc_jax.gradients.disarm import DisARM
from ctc_jax.gradients.double_cv import DoubleCV
from ctc_jax.gradients.enumeration import Enumerate
from ctc_jax.gradients.estimator import AbstractEstimator, Pathwise, SinglePass
from ctc_jax.gradients.gumbel_rao import GumbelRao
from ctc_jax.gradients.gumbel_softmax import GumbelSoftmax, STGumbel
from ctc_jax.gradients.local_expectation import LocalExpectation
from ctc_jax.gradients.low_rank_local_expectation import LowRankLocalExpectation
from ctc_jax.gradients.moving_average import ScoreMovingAverage
from ctc_jax.gradients.muprop import MuProp
from ctc_jax.gradients.nvil import NVIL
from ctc_jax.gradients.reinmax import ReinMax
from ctc_jax.gradients.reinmax_cv import ReinMaxCV
from ctc_jax.gradients.reinmax_rao import ReinMaxRao
from ctc_jax.gradients.relaxed_control import REBAR, RELAX
from ctc_jax.gradients.rloo import RLOO
from ctc_jax.gradients.rodeo import RODEO
from ctc_jax.gradients.sampled_flips import DiagonalFlips, SingleFlips
from ctc_jax.gradients.score_function import ScoreFunction
from ctc_jax.gradients.source_baseline import SourceBaseline, SourceBaselineUnbiased
from ctc_jax.gradients.stick_breaking import DisARMStickBreaking
from ctc_jax.gradients.straight_through import StraightThrough
from ctc_jax.options import ConfigSection, Section

# Of an example: more are a mistake in the number of masks, not a computation that would end.
MAXIMUM_REWARDS = 2**16

REGISTRY: dict[str, type[AbstractEstimator]] = {
    "pathwise": Pathwise,
    "enumerate": Enumerate,
    "local_expectation": LocalExpectation,
    "low_rank_local_expectation": LowRankLocalExpectation,
    "single_flips": SingleFlips,
    "diagonal_flips": DiagonalFlips,
    "score": ScoreFunction,
    "score_moving_average": ScoreMovingAverage,
    "nvil": NVIL,
    "rloo": RLOO,
    "muprop": MuProp,
    "double_cv": DoubleCV,
    "rodeo": RODEO,
    "disarm": DisARM,
    "arms": ARMS,
    "disarm_stick_breaking": DisARMStickBreaking,
    "carms": CARMS,
    "rebar": REBAR,
    "relax": RELAX,
    "straight_through": StraightThrough,
    "gumbel_softmax": GumbelSoftmax,
    "st_gumbel": STGumbel,
    "gumbel_rao": GumbelRao,
    "reinmax": ReinMax,
    "reinmax_rao": ReinMaxRao,
    "reinmax_cv": ReinMaxCV,
    "daps": DAPS,
    "source_baseline": SourceBaseline,
    "source_baseline_unbiased": SourceBaselineUnbiased,
}

SECTION = Section(
    "estimator",
    REGISTRY,
    "pathwise",
    meaning="the gradient through masks; single-pass ones may stand with commas, one for each latent with masks, from "
    "the image upwards",
)


@dataclass(frozen=True)
class PerSite:
    """Estimators whose masks carry their own gradient, one for each latent of a model that has masks.

    Others cannot be mixed: they reward a mask by what all masks drawn after it bring, and so estimate these as well.

    Attributes:
      estimators: latents by name, and the estimator of each.
    """

    estimators: tuple[tuple[str, SinglePass], ...]

    def of(self, name: str) -> SinglePass:
        """The estimator of a latent by name."""
        return dict(self.estimators)[name]


def build(config: ConfigSection, sites: tuple[MaskSite, ...]) -> AbstractEstimator | PerSite:
    """The estimator that a config names, checked against the masks of the model that will use it.

    Args:
      config: the section `estimator`.
      sites: the model's latents with masks, in the order in which names with commas stand for them.

    Raises:
      ConfigError: the name is unknown, the estimator does not serve such a model or takes too many rewards there, one
        of its options does not fit, or names with commas are more or fewer than the latents or cannot be mixed.
    """
    if "," in config["name"]:
        return _per_site(config, sites)
    estimator = SECTION.part(config, config["name"])
    _check_serves(config["name"], estimator, sites)
    if estimator.rewards_in_all(sites) > MAXIMUM_REWARDS:
        masks = " and ".join(f"{site.dimensions} masks of {site.categories}" for site in sites)
        allowed = f"at most {MAXIMUM_REWARDS:,} rewards an example; {masks} would take more"
        raise ConfigError("estimator.name", config["name"], allowed)
    return estimator


def _per_site(config: ConfigSection, sites: tuple[MaskSite, ...]) -> PerSite:
    names = config["name"].replace(" ", "").split(",")
    if len(names) != len(sites):
        latents = ", ".join(site.name for site in sites) or "none here"
        allowed = f"one name, or with commas one for each latent with masks: {latents}"
        raise ConfigError("estimator.name", config["name"], allowed)
    estimators = []
    for name, site in zip(names, sites, strict=True):
        estimator = SECTION.part(config, name)
        _check_serves(name, estimator, (site,))
        if not isinstance(estimator, SinglePass):
            fitting = ", ".join(sorted(one for one, part in REGISTRY.items() if issubclass(part, SinglePass)))
            raise ConfigError("estimator.name", config["name"], f"beside another, one of one pass: {fitting}")
        estimators.append((site.name, estimator))
    return PerSite(tuple(estimators))


def _check_serves(name: str, estimator: AbstractEstimator, sites: tuple[MaskSite, ...]) -> None:
    if refused := estimator.refuses(sites):
        fitting = ", ".join(sorted(one for one, part in REGISTRY.items() if not part.refuses(sites))) or "none"
        raise ConfigError("estimator.name", name, f"one that serves {refused}: {fitting}")
