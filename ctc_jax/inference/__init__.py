"""Latents beyond the recognition model: descent on -log p(x, z), and Markov chains."""

from ctc_jax.inference.chains import HMC, MALA, Langevin
from ctc_jax.inference.descent import Descent
from ctc_jax.inference.infer import Inferred, infer
from ctc_jax.inference.method import AbstractMethod
from ctc_jax.inference.registry import REGISTRY, SECTION, InferenceOptions

__all__ = [
    "HMC",
    "MALA",
    "REGISTRY",
    "SECTION",
    "AbstractMethod",
    "Descent",
    "InferenceOptions",
    "Inferred",
    "Langevin",
    "infer",
]
