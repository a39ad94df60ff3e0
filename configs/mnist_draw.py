"""DRAW on statically binarized MNIST: an image painted in steps (Gregor et al. 2015, arXiv:1502.04623).

python launch.py --config=configs/mnist_draw.py         # 64 glimpses through windows, as published; for a GPU
python launch.py --config=configs/mnist_draw.py:whole   # 10 steps without attention
python launch.py --config=configs/mnist_draw.py:cpu     # 10 glimpses and smaller networks, for two CPU cores

The first has the sizes of the paper's table 3; its schedule is not published.
"""

from configs import mnist

PUBLISHED = {
    "data.name": "static_mnist",
    "likelihood.name": "bernoulli",
    "likelihood.bernoulli.output_layer": False,
    "model.name": "draw",
    "model.draw.glimpses": 64,
    "model.width": 256,
    "model.latents": 100,
    "model.features": 1,
    "train.steps": 100_000,
    "train.clip_norm": 1_000.0,
}
WHOLE = {"model.draw.glimpses": 10, "model.draw.attention": False}
CPU = {
    "model.draw.glimpses": 10,
    "model.draw.read_size": 5,  # few steps must see more each
    "model.width": 128,
    "model.latents": 20,
    "train.steps": 5_000,
    "train.ema_decay": 0.99,
    "train.evaluate_every": 1_000,
    "train.checkpoint_every": 500,
    "evaluate.importance_samples": 10,
}


def get_config(preset: str = ""):
    """Bernoulli pixels."""
    return mnist.experiment(PUBLISHED, preset, {"whole": WHOLE, "cpu": CPU})
