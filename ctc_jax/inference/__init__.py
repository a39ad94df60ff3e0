"""Latents beyond the recognition model: descent on -log p(x, z), and Markov chains."""

from ctc_jax.inference.annealing import Annealed, AnnealingOptions, annealed, bracketed, tuned_steps
from ctc_jax.inference.chains import HMC, MALA, Langevin
from ctc_jax.inference.descent import Descent
from ctc_jax.inference.infer import Inferred, infer
from ctc_jax.inference.method import AbstractMethod
from ctc_jax.inference.registry import REGISTRY, SECTION, InferenceOptions
from ctc_jax.inference.served import ALLOWED, unserved

__all__ = [
    "ALLOWED",
    "HMC",
    "MALA",
    "REGISTRY",
    "SECTION",
    "AbstractMethod",
    "Annealed",
    "AnnealingOptions",
    "Descent",
    "InferenceOptions",
    "Inferred",
    "Langevin",
    "annealed",
    "bracketed",
    "infer",
    "tuned_steps",
    "unserved",
]
