from ctc_jax.posteriors.posterior import AbstractPosterior, LogJoint, PosteriorDraw
from ctc_jax.posteriors.registry import REGISTRY, SECTION, build

__all__ = ["REGISTRY", "SECTION", "AbstractPosterior", "LogJoint", "PosteriorDraw", "build"]
