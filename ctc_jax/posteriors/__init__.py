from ctc_jax.posteriors.path import PathPosterior
from ctc_jax.posteriors.posterior import AbstractPosterior, LogJoint, PosteriorDraw
from ctc_jax.posteriors.registry import REGISTRY, SECTION, Family, build

__all__ = ["REGISTRY", "SECTION", "AbstractPosterior", "Family", "LogJoint", "PathPosterior", "PosteriorDraw", "build"]
