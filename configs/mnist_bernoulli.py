"""One-layer VAE on binarized MNIST: 2x200 tanh units, 50 latents (Burda et al. 2016).

python launch.py --config=configs/mnist_bernoulli.py           # resampled at each step
python launch.py --config=configs/mnist_bernoulli.py:static    # the fixed binarization; see docs/data.md for its file
python launch.py --config=configs/mnist_bernoulli.py:iaf       # resampled, q(z given x) an inverse autoregressive flow
python launch.py --config=configs/mnist_bernoulli.py:iwae      # the bound of 5 samples, doubly reparameterized
python launch.py --config=configs/mnist_bernoulli.py:rws       # reweighted wake-sleep with 5 samples
python launch.py --config=configs/mnist_bernoulli.py:semi_amortized     # q refined by 4 steps an image
python launch.py --config=configs/mnist_bernoulli.py:predictive_coding  # from latents that Langevin dynamics infer
"""

from configs import mnist

DYNAMIC = {
    "data.name": "mnist",
    "data.binarization": "dynamic",
    "likelihood.name": "bernoulli",
    "model.features": 4,
}
PRESETS = {
    "static": {"data.name": "static_mnist", "data.binarization": "none"},
    "iaf": {"posterior.name": "iaf"},
    "iwae": {
        "objective.name": "importance_weighted",
        "objective.importance_weighted.gradient": "doubly_reparameterized",
    },
    "rws": {"objective.name": "reweighted_wake_sleep"},
    "semi_amortized": {"posterior.name": "semi_amortized"},
    "predictive_coding": {"objective.name": "predictive_coding"},
}


def get_config(preset: str = ""):
    """Bernoulli pixels."""
    return mnist.experiment(DYNAMIC, preset, PRESETS)
