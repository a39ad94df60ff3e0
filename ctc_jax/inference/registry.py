"""Methods of inference by name: a new one is one file and one line here. Tests: tests/inference/test_infer.py."""

from dataclasses import dataclass

from ctc_jax.inference.chains import HMC, MALA, Langevin
from ctc_jax.inference.descent import Descent
from ctc_jax.inference.method import AbstractMethod
from ctc_jax.options import Options, Section, option

REGISTRY: dict[str, type[AbstractMethod]] = {"descent": Descent, "langevin": Langevin, "mala": MALA, "hmc": HMC}


@dataclass(frozen=True)
class InferenceOptions(Options):
    """How long latents are improved or sampled."""

    chains: int = option(4, "of an image, each from a draw of the recognition model; descent has one", at_least=1)
    warmup: int = option(100, "moves before those that are kept", at_least=0)
    draws: int = option(100, "moves kept", at_least=1)
    windows: int = option(
        16,
        "whose masks a move draws again, for an evaluation of the model per other alternative; 0 is all",
        at_least=0,
    )


SECTION = Section(
    "inference", REGISTRY, "descent", shared=InferenceOptions, meaning="what improves or samples latents after training"
)
