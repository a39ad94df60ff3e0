"""The importance-weighted bound of configs/mnist_bernoulli.py's network in eager PyTorch, as the thing to beat.

Recognition once an image; then chunks of latents of all images of a batch through the decoder, whose log-weights are
kept and averaged at the end, as a script for PyTorch does it. Run as a module it is the worker that is timed.
"""

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.harness.worker import serve

UNIT = 8.0  # of a logit, as the Bernoulli's output layer has it


class Reference:
    """The network with our parameters.

    Args:
      ours: flax parameters as numpy arrays.
      images: binary, `[batch, pixels]`.
      multiplied: whether the decoder's last two layers, which are linear, are multiplied together beforehand.
      device: PyTorch's name of it.
    """

    def __init__(self, ours: dict[str, Any], images: np.ndarray, multiplied: bool, device: str):
        def layer(of: dict[str, np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
            return torch.tensor(of["kernel"].T.copy(), device=device), torch.tensor(of["bias"], device=device)

        self.images = torch.tensor(images, dtype=torch.float32, device=device)
        self.down, self.up = ([layer(ours[f"{way}_{index}"]) for index in range(2)] for way in ("down", "up"))
        self.posterior = layer(ours["posterior"]["Dense_0"])
        self.out, output = layer(ours["out"]), ours["likelihood"]["output"]
        self.logits = tuple(torch.tensor(UNIT * output[name], device=device) for name in ("kernel", "bias"))
        self.multiplied = multiplied
        if multiplied:
            kernel = self.out[0].view(self.images.shape[1], -1, self.out[0].shape[1])
            bias = self.out[1].view(self.images.shape[1], -1)
            weights = self.logits[0][0]
            self.out = torch.einsum("pfu,f->pu", kernel, weights).contiguous(), bias @ weights + self.logits[1]

    def moments(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Location and log scale of q, `[batch, latents]`."""
        hidden = 2.0 * self.images - 1.0
        for weights, bias in self.down:
            hidden = torch.tanh(F.linear(hidden, weights, bias))
        loc, log_scale = F.linear(hidden, *self.posterior).chunk(2, dim=1)
        return loc, log_scale.clamp(-8.0, 4.0)

    def log_weights(self, loc: torch.Tensor, log_scale: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """log p(x, z) - log q(z|x), nats, of noise `[samples, batch, latents]`."""
        latent = loc + log_scale.exp() * noise
        hidden = latent
        for weights, bias in self.up:
            hidden = torch.tanh(F.linear(hidden, weights, bias))
        logits = F.linear(hidden, *self.out)
        if not self.multiplied:
            logits = F.linear(logits.view(*logits.shape[:2], self.images.shape[1], -1), *self.logits).squeeze(-1)
        images = self.images.expand_as(logits)
        log_likelihood = -F.binary_cross_entropy_with_logits(logits, images, reduction="none").sum(-1)
        return log_likelihood - 0.5 * latent.square().sum(-1) + (0.5 * noise.square() + log_scale).sum(-1)

    def bound(self, samples: int, chunk: int) -> torch.Tensor:
        """Of each image, nats."""
        moments, found = self.moments(), []
        for first in range(0, samples, chunk):
            shape = (min(chunk, samples - first), *moments[0].shape)
            found.append(self.log_weights(*moments, torch.randn(shape, device=self.images.device)))
        return torch.logsumexp(torch.cat(found), dim=0) - math.log(samples)


def main() -> None:
    """Evaluates at the command of `importance_bound.py`: directory, `multiplied` or not, samples, a chunk, a device."""
    torch.set_grad_enabled(False)
    directory, multiplied, samples, chunk, device = Path(sys.argv[1]), *sys.argv[2:6]
    ours = np.load(directory / "parameters.npy", allow_pickle=True).item()
    images = np.load(directory / "images.npy")
    reference = Reference(ours, images.reshape(len(images), -1), multiplied == "multiplied", device)

    def advance(times: int) -> None:
        for _ in range(times):
            reference.bound(int(samples), int(chunk)).cpu()

    serve(advance)


if __name__ == "__main__":
    main()
