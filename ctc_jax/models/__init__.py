from ctc_jax.distributions.masked import Masked
from ctc_jax.models.chain_model import ChainModel
from ctc_jax.models.model import Model, Params
from ctc_jax.models.registry import REGISTRY, SECTION, build
from ctc_jax.models.setting import ImageSpace, Setting
from ctc_jax.models.trace import END, Bound, Joint, Latents, Schedule, Site, Trace

__all__ = [
    "END",
    "REGISTRY",
    "SECTION",
    "Bound",
    "ChainModel",
    "ImageSpace",
    "Joint",
    "Latents",
    "Masked",
    "Model",
    "Params",
    "Schedule",
    "Setting",
    "Site",
    "Trace",
    "build",
]
