"""The convolutional VAE, its likelihoods and its training step once more, in eager PyTorch, as the thing to beat.

Built from our own parameters, so that both must give the same losses (`throughput.py` checks it); run as a module it
is the worker that is timed, and then imports no JAX. Where PyTorch has a
cheaper form that is common there, it gets it: Adam is the fused one, the Gaussian's mass is a difference of two erf
with a floor (not exact in the tails, as ours is), and there is no roll-back of a step that is not finite.
"""

import itertools
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from ml_collections import ConfigDict
from torch import nn

from benchmarks.harness.worker import serve

LAYOUTS = ("channels first", "channels last", "channels last, likelihood first")
LEVELS = 256
LOG_SCALES = (math.log(1 / 32), math.log(4 * LEVELS))  # the clamp of ours


class Residual(nn.Module):
    """x + conv(silu(conv(silu(x))))."""

    def __init__(self, ours: dict[str, Any]):
        super().__init__()
        self.first, self.second = convolution(ours["first"]), convolution(ours["second"])

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """[batch, channels, height, width] to the same."""
        return hidden + self.second(F.silu(self.first(F.silu(hidden))))


class Reference(nn.Module):
    """The network with its likelihood.

    Args:
      config: the whole config of a convolutional VAE on 32x32 color images.
      ours: flax parameters as numpy arrays.
      layout: one of LAYOUTS.
    """

    def __init__(self, config: Any, ours: dict[str, Any], layout: str):
        super().__init__()
        model, likelihood = config.model, config.likelihood
        if (model.name, model.activation) != ("conv_vae", "silu") or likelihood.scale != "pixel":
            raise ValueError("the reference has only the network of configs/cifar_*.py")
        self.levels, self.width, self.layout = model.levels, model.width, layout
        self.likelihood = likelihood
        self.components = likelihood.ctc.components if likelihood.name == "ctc" else 1
        side = 32 >> model.levels
        # Ours has channels innermost in a flattened map, PyTorch positions.
        flat = np.arange(side * side * model.width).reshape(side * side, model.width).T.reshape(-1)
        names = range(model.levels)
        self.down = nn.ModuleList(pointwise(ours[f"down_{i}"], rows=by_channel(ours[f"down_{i}"], 0)) for i in names)
        self.up = nn.ModuleList(
            pointwise(ours[f"up_{i}"], columns=by_channel(ours[f"up_{i}"], 1)) for i in range(model.levels - 1)
        )
        self.down_blocks, self.up_blocks = (
            nn.ModuleList(
                nn.Sequential(*(Residual(ours[f"{way}_blocks_{i}_{j}"]) for j in range(model.blocks))) for i in names
            )
            for way in ("down", "up")
        )
        self.out = pointwise(ours["out"], columns=by_channel(ours["out"], 1))
        self.posterior = linear(ours["posterior"]["Dense_0"], rows=flat)
        self.start = linear(ours["start"], columns=flat)
        output = ours["likelihood"]["values"]["output"]
        self.kernel = nn.Parameter(torch.tensor(output["kernel"][..., None, None]))
        self.bias = nn.Parameter(torch.tensor(output["bias"]))
        values, half = 3 * self.components, (LEVELS - 1) / 2
        others = len(output["bias"]) - 2 * values
        self.register_buffer("units", torch.tensor([half] * values + [1.0] * (others + values)))
        if layout != "channels first":
            self.to(memory_format=torch.channels_last)

    def forward(self, images: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Minus the one-sample ELBO, nats per image, averaged over the batch.

        Args:
          images: uint8 [batch, 3, 32, 32].
          noise: standard normal [batch, latents].
        """
        hidden = images.float() * (2.0 / (LEVELS - 1)) - 1.0
        for dense, blocks in zip(self.down, self.down_blocks, strict=True):
            hidden = blocks(dense(F.pixel_unshuffle(hidden, 2)))
        loc, log_scale = self.posterior(F.silu(hidden).contiguous().flatten(1)).chunk(2, dim=1)
        log_scale = log_scale.clamp(-8.0, 4.0)
        scale = log_scale.exp()
        kl = (0.5 * (loc.square() + scale.square() - 1.0) - log_scale).sum(1)
        side = 32 >> self.levels
        hidden = self.start(loc + scale * noise).view(-1, self.width, side, side)
        if self.layout != "channels first":
            hidden = hidden.contiguous(memory_format=torch.channels_last)
        for level, blocks in enumerate(self.up_blocks):
            hidden = blocks(hidden)
            hidden = self.out(F.silu(hidden)) if level == self.levels - 1 else self.up[level](hidden)
            hidden = F.pixel_shuffle(hidden, 2)
        return (kl - self.log_likelihood(hidden, images)).mean()

    def log_likelihood(self, features: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Nats per image."""
        outputs = F.conv2d(features, self.kernel * self.units[:, None, None, None], self.bias * self.units).float()
        if self.layout.endswith("likelihood first"):
            outputs = outputs.contiguous()
        values = 3 * self.components
        loc, others, log_scale = outputs.split((values, outputs.shape[1] - 2 * values, values), dim=1)
        batch, _, height, width = outputs.shape
        shape = (batch, 3, self.components, height, width)
        loc, log_scale = loc.reshape(shape) + (LEVELS - 1) / 2, log_scale.reshape(shape)
        level = images.float()[:, :, None]
        if self.likelihood.name == "gaussian":
            return gaussian(level, loc, log_scale).sum((1, 2, 3, 4))
        logits, slopes = others[:, : self.components], others[:, self.components :]
        if self.likelihood.ctc.autoregressive:
            slopes = slopes.reshape(shape).tanh()  # three pairs of channels
            centered = level - (LEVELS - 1) / 2
            loc = torch.stack(
                [
                    loc[:, 0],
                    loc[:, 1] + slopes[:, 0] * centered[:, 0],
                    loc[:, 2] + slopes[:, 1] * centered[:, 0] + slopes[:, 2] * centered[:, 1],
                ],
                dim=1,
            )
        joint = F.log_softmax(logits, dim=1) + logistic(level, loc, log_scale).sum(1)
        return joint.logsumexp(1).sum((1, 2))


def gaussian(level: torch.Tensor, loc: torch.Tensor, log_scale: torch.Tensor) -> torch.Tensor:
    """Log mass of a Gaussian in bins one level wide, the end bins taking the tails."""
    factor = (-log_scale.clamp(*LOG_SCALES)).exp() * math.sqrt(0.5)
    center = level - loc
    above = torch.where(level == LEVELS - 1, 1.0, torch.erf((center + 0.5) * factor))
    below = torch.where(level == 0, -1.0, torch.erf((center - 0.5) * factor))
    return (0.5 * (above - below)).clamp(min=1e-12).log()


def logistic(level: torch.Tensor, loc: torch.Tensor, log_scale: torch.Tensor) -> torch.Tensor:
    """Log mass of a logistic in bins one level wide, the end bins taking the tails."""
    inverse = (-log_scale.clamp(*LOG_SCALES)).exp()
    center = (level - loc) * inverse
    first, last = level == 0, level == LEVELS - 1
    upper = torch.where(last, 0.0, F.softplus(-center - 0.5 * inverse))
    lower = torch.where(first, 0.0, F.softplus(center - 0.5 * inverse))
    inside = torch.where(first | last, 0.0, torch.log(-torch.expm1(-inverse)))
    return inside - upper - lower


class TorchTrainer:
    """Training of the reference: batches by index from the whole training part, clipping, Adam, averaging.

    Args:
      config: the whole config.
      ours: flax parameters as numpy arrays.
      images: uint8 [images, 32, 32, 3], the training part.
      layout: one of LAYOUTS.
      device: cpu or cuda.
    """

    def __init__(self, config: Any, ours: dict[str, Any], images: np.ndarray, layout: str, device: str = "cpu"):
        self.train, self.latents, self.device = config.train, config.model.latents, device
        if (self.train.optimizer, self.train.schedule, self.train.accumulate) != ("adam", "cosine", 1):
            raise ValueError("the reference has only the optimizer of configs/cifar_*.py")
        self.model = Reference(config, ours, layout).to(device)
        self.parameters = list(self.model.parameters())
        self.average = [parameter.detach().clone() for parameter in self.parameters]
        self.optimizer = torch.optim.Adam(
            self.parameters, lr=self.train.learning_rate, betas=(0.9, self.train.beta2), fused=True
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._relative_rate)
        data = torch.from_numpy(np.array(images))
        self.last = layout != "channels first"
        self.images = (data if self.last else data.permute(0, 3, 1, 2).contiguous()).to(device)
        self.rows = self._rows()
        self.dtype = torch.bfloat16 if self.train.compute_dtype == "bfloat16" else None

    def advance(self, steps: int) -> list[torch.Tensor]:
        """Takes `steps` steps and waits for them; their losses, nats."""
        losses = [
            self.step(next(self.rows), torch.randn(self.train.batch_size, self.latents, device=self.device))
            for _ in range(steps)
        ]
        if self.device == "cuda":
            torch.cuda.synchronize()
        return losses

    def step(self, rows: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """One step on the images of `rows`."""
        images = self.images[rows]
        images = images.permute(0, 3, 1, 2) if self.last else images
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device, dtype=self.dtype or torch.bfloat16, enabled=self.dtype is not None):
            loss = self.model(images, noise)
        loss.backward()
        if self.train.clip_norm:
            nn.utils.clip_grad_norm_(self.parameters, self.train.clip_norm)
        self.optimizer.step()
        self.schedule.step()
        if self.train.ema_decay:
            with torch.no_grad():
                torch._foreach_lerp_(self.average, self.parameters, 1.0 - self.train.ema_decay)
        return loss.detach()

    def flops(self) -> float:
        """Floating-point operations of the convolutions and products of one step, forward and backward."""
        from torch.utils.flop_counter import FlopCounterMode

        counter = FlopCounterMode(display=False)
        with counter:
            self.advance(1)
        return float(counter.get_total_flops())

    def _relative_rate(self, step: int) -> float:
        warmup = self.train.warmup_steps
        if step < warmup:
            return step / warmup
        return 0.5 * (1.0 + math.cos(math.pi * min(1.0, (step - warmup) / (self.train.steps - warmup))))

    def _rows(self) -> Iterator[torch.Tensor]:
        for _ in itertools.count():
            order = torch.randperm(len(self.images), device=self.device)
            yield from order.split(self.train.batch_size)[: len(order) // self.train.batch_size]


def convolution(ours: dict[str, np.ndarray]) -> nn.Conv2d:
    """A 3x3 convolution with our parameters."""
    height, width, inputs, outputs = ours["kernel"].shape
    return _with(
        nn.Conv2d(inputs, outputs, (height, width), padding="same"), ours["kernel"].transpose(3, 2, 0, 1), ours
    )


def pointwise(ours: dict[str, np.ndarray], rows: Any = slice(None), columns: Any = slice(None)) -> nn.Conv2d:
    """A dense layer at every position, with our parameters, inputs or outputs reordered."""
    kernel = ours["kernel"][rows][:, columns].T[..., None, None]
    return _with(nn.Conv2d(kernel.shape[1], kernel.shape[0], 1), kernel, ours, columns)


def linear(ours: dict[str, np.ndarray], rows: Any = slice(None), columns: Any = slice(None)) -> nn.Linear:
    """A dense layer with our parameters, inputs or outputs reordered."""
    kernel = ours["kernel"][rows][:, columns].T
    return _with(nn.Linear(kernel.shape[1], kernel.shape[0]), kernel, ours, columns)


def by_channel(ours: dict[str, np.ndarray], axis: int) -> np.ndarray:
    """The order that takes our space-to-depth, place in the 2x2 patch first, to PyTorch's, channel first."""
    count = ours["kernel"].shape[axis]
    return np.arange(count).reshape(4, count // 4).T.reshape(-1)


def _with(layer: Any, kernel: np.ndarray, ours: dict[str, np.ndarray], columns: Any = slice(None)) -> Any:
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(np.ascontiguousarray(kernel)))
        layer.bias.copy_(torch.tensor(ours["bias"][columns]))
    return layer


def main() -> None:
    """Trains at the command of `throughput.py`: arguments are a directory, a layout and a device."""
    directory, layout, device = Path(sys.argv[1]), *sys.argv[2:4]
    config = ConfigDict(json.loads((directory / "config.json").read_text()))
    ours = np.load(directory / "parameters.npy", allow_pickle=True).item()
    images = np.load(directory / "images.npy", mmap_mode="r")
    trainer = TorchTrainer(config, ours, images, layout, device)

    def report() -> dict[str, float]:
        return {"device_mib": torch.cuda.max_memory_allocated() / 2**20} if device == "cuda" else {}

    serve(trainer.advance, report)


if __name__ == "__main__":
    main()
