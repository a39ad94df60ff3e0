from ctc_jax.models.model import ElboTerms, Latents, Model, Params, at_hard_masks
from ctc_jax.models.registry import REGISTRY, ImageSpace, build

__all__ = ["REGISTRY", "ElboTerms", "ImageSpace", "Latents", "Model", "Params", "at_hard_masks", "build"]
