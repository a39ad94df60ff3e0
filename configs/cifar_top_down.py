"""CIFAR-10, a deep top-down VAE: residual blocks with a latent each, from 1x1 to the image (Child 2021).

python launch.py --config=configs/cifar_top_down.py              # one accelerator
python launch.py --config=configs/cifar_top_down.py:cpu          # two CPU cores, about ten minutes
python launch.py --config=configs/cifar_top_down.py:published    # 39M parameters, two large accelerators for a week
python launch.py --config=configs/cifar_top_down.py:ladder       # a latent a resolution, q a product (ladder VAE)
"""

from configs import cifar

DEEP = {
    "model.name": "top_down",
    "model.top_down.decoder": "1x1,4x2,8x4,16x6,32x4",
    "model.blocks": 2,
    "likelihood.name": "ctc",
    "train.skip_factor": 8.0,
}
CPU = {**cifar.SMALL, "model.top_down.decoder": "4x1,8x2,16x3", "model.top_down.channels": 8}
ADAM = {"train.optimizer": "adamw", "train.learning_rate": 2e-4, "train.beta2": 0.9, "train.weight_decay": 0.01}
PUBLISHED = {
    "model.width": 384,
    "model.features": 128,
    "model.top_down.decoder": "1x1,4x3,8x6,16x11,32x22",
    "model.top_down.encoder": "1x3,4x4,8x7,16x7,32x12",
    "model.top_down.resampling": "mean",
    "likelihood.ctc.autoregressive": True,
    **ADAM,
    "train.schedule": "constant",
    "train.warmup_steps": 100,
    "train.clip_norm": 200.0 * 32 * 32 * 3,  # published of a loss in nats a dimension
    "train.steps": 1_100_000,
    "train.batch_size": 32,
    "train.ema_decay": 0.9999,
}
LADDER = {"model.top_down.decoder": "1x1,2x1,4x1,8x1,16x1", "model.top_down.merge": "product"}


def get_config(preset: str = ""):
    """CTC pixels and Gaussian latents."""
    return cifar.experiment(DEEP, preset, {"cpu": CPU, "published": PUBLISHED, "ladder": LADDER})
