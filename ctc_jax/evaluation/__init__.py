from ctc_jax.evaluation.activity import posterior_means
from ctc_jax.evaluation.bounds import bits_per_dimension, evaluate_elbo, evaluate_importance
from ctc_jax.evaluation.calibration import Calibration, calibration
from ctc_jax.evaluation.code_pictures import draw_code_pictures
from ctc_jax.evaluation.evaluate import evaluate
from ctc_jax.evaluation.gap import Gap, gap
from ctc_jax.evaluation.notes import notes
from ctc_jax.evaluation.options import INFERENCE_IMAGES, SECTION, EvaluateOptions, read_options
from ctc_jax.evaluation.pictures import captioned, draw_pictures, reconstruct_images, sample_images
from ctc_jax.evaluation.quality import build_reference

__all__ = [
    "INFERENCE_IMAGES",
    "SECTION",
    "Calibration",
    "EvaluateOptions",
    "Gap",
    "bits_per_dimension",
    "build_reference",
    "calibration",
    "captioned",
    "draw_code_pictures",
    "draw_pictures",
    "evaluate",
    "evaluate_elbo",
    "evaluate_importance",
    "gap",
    "notes",
    "posterior_means",
    "read_options",
    "reconstruct_images",
    "sample_images",
]
