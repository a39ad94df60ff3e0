"""Where a choice is the right latent: small digits at random places, one network, whose levels differ by family.
The experiments are those of configs/sweeps/choice_*.py; docs/founding-claim.md says what for.

python launch.py --config=configs/choice_claim.py             # a Gaussian code above three levels, masked by pooling
python launch.py --config=configs/choice_claim.py:label       # in its place the label: one code for many images
python launch.py --config=configs/choice_claim.py:label_grey  # grey pixels, and no latent but the label
python launch.py --config=configs/choice_claim.py:few         # the label, and of the levels the highest alone
"""

from configs import hierarchy

SHARED = {
    "data.name": "mnist",
    "data.shrink": 2,
    "data.canvas": 32,
    "data.validation": 2_000,
    "data.binarization": "dynamic",
    "likelihood.name": "bernoulli",
    "likelihood.ctc.components": 5,
    "model.ctc_hierarchy.levels": 3,
    "model.ctc_hierarchy.patch": 4,
    "model.width": 32,
    "model.decoder_blocks": 1,
    "estimator.reinmax.second_order": 0.5,
    "train.steps": 1_000,
    "train.batch_size": 32,
    "evaluate.importance_samples": 2,
}
LABEL = {"model.ctc_hierarchy.top": "label"}
GREY = {"data.binarization": "none", "likelihood.name": "logistic", "estimator.name": "pathwise"}
PRESETS = {
    "label": LABEL,
    "label_grey": {**LABEL, **GREY, "model.ctc_hierarchy.families": "none"},
    "few": {**LABEL, "model.ctc_hierarchy.families": "none,none,ctc_pool"},
}


def get_config(preset: str = ""):
    """Stochastic pooling: what the sweeps change."""
    return hierarchy.experiment(SHARED, preset, PRESETS)
