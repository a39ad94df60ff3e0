"""One hidden layer of 450 ReLU units, 64 latents, binarized MNIST: the setting of Geffner and Domke (2021).

python launch.py --config=configs/mnist_annealing.py                 # the ELBO, where all others start

The presets train on for 100 passes at the learning rate of the paper (arXiv:2107.04150, section 5):

python launch.py --config=configs/mnist_annealing.py:elbo            # the ELBO for 100 passes more
python launch.py --config=configs/mnist_annealing.py:importance      # the importance-weighted bound of 8 samples
python launch.py --config=configs/mnist_annealing.py:annealed        # uncorrected Hamiltonian annealing, 8 bridges
"""

from configs import mnist, mnist_bernoulli

FURTHER = {
    "train.start_from": "runs/mnist_annealing",
    "train.steps": 50_000,  # 100 passes
    "train.learning_rate": 1e-4,
    "train.schedule": "constant",
}
SETTING = {
    **mnist_bernoulli.DYNAMIC,
    "model.latents": 64,
    "model.width": 450,
    "model.blocks": 1,
    "model.features": 1,
    "model.activation": "relu",
    "train.steps": 200_000,  # 400 passes over 50,000 images
    "train.learning_rate": 1e-3,
    "train.ema_decay": 0.0,
}
PRESETS = {
    "elbo": FURTHER,
    "importance": {**FURTHER, "objective.name": "importance_weighted", "objective.importance_weighted.samples": 8},
    "annealed": {**FURTHER, "posterior.name": "annealed_hamiltonian", "posterior.annealed_hamiltonian.bridges": 8},
}


def get_config(preset: str = ""):
    """Bernoulli pixels."""
    return mnist.experiment(SETTING, preset, PRESETS)
