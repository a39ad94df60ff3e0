"""What a training step of a config takes, told without taking one. Tests: tests/training/test_description.py."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections

from ctc_jax import data
from ctc_jax.data import Batch
from ctc_jax.training.experiment import Experiment, build
from ctc_jax.training.flops import flops

REST = "-"  # the part of what lies in no module: losses, products with masks


@dataclass(frozen=True)
class Description:
    """What a training step takes.

    Attributes:
      parameters: numbers, by part of the model: its modules, and what estimators learn.
      flops: multiplications and additions of a step's matrix products and convolutions, forward and backward, by part.
      mib: memory by what it holds, MiB.
      setting: the device, the data and the batch, a sentence each.
      batch_size: images a step.
    """

    parameters: dict[str, int]
    flops: dict[str, int]
    mib: dict[str, float]
    setting: tuple[str, ...]
    batch_size: int

    def lines(self) -> list[str]:
        """As text: the setting, a table of the parts, and sums."""
        total, cost = sum(self.parameters.values()), sum(self.flops.values())
        width = max(map(len, [*self.parameters, *self.flops, "part"]))

        def row(part, parameters, operations, share):
            return f"{part:<{width}}  {parameters:>12}  {operations:>14}  {share:>6}"

        parts = sorted({*self.parameters, *self.flops}, key=lambda part: -self.flops.get(part, 0))
        table = [row("part", "parameters", "GFLOP a step", "share")]
        for part in parts:
            operations = self.flops.get(part, 0)
            table.append(
                row(part, f"{self.parameters.get(part, 0):,}", f"{operations / 1e9:.4f}", f"{operations / cost:.1%}")
            )
        table.append(row("all", f"{total:,}", f"{cost / 1e9:.4f}", ""))
        held = [f"{name} {size:,.1f}" for name, size in self.mib.items()]
        return [
            *self.setting,
            *table,
            f"{cost / self.batch_size / 1e6:,.1f} MFLOP an image: products and convolutions, forward and backward",
            f"memory, MiB: {', '.join(held)}; {sum(self.mib.values()):,.1f} in all, the images not among them",
        ]


def describe(config: ml_collections.ConfigDict) -> Description:
    """What a training step of a config takes: everything is traced, nothing compiled, and no known data are fetched.

    Raises:
      ConfigError: a value does not fit, by its key.
      UserError: the images' shape is in data that cannot be had.
    """
    stand_in, images = data.stand_in(config.data, config.train.batch_size)
    experiment = build(config, dataset=stand_in)
    experiment.stream.close()
    state, batch_size = experiment.abstract_state, experiment.train.batch_size
    parts = {name: sum(leaf.size for leaf in jax.tree.leaves(of)) for name, of in state.params.items()}
    image = jax.ShapeDtypeStruct((1, batch_size, *stand_in.image_shape), stand_in.train.images.dtype)
    like = Batch(image, jax.ShapeDtypeStruct((1, batch_size), stand_in.train.labels.dtype))
    counted = flops(jax.make_jaxpr(experiment.step)(state, like), state.params)
    return Description(
        parameters=parts,
        flops={name or REST: count for name, count in sorted(counted.items())},
        mib={
            "parameters": held(state.params, experiment.sharding.params),
            "their gradients": held(state.params, experiment.sharding.params),
            "optimizer": held(state.optimizer, experiment.sharding.optimizer),
            **({"average": held(state.average, experiment.sharding.average)} if experiment.train.ema_decay else {}),
            "kept for the backward pass": _mib(kept(experiment, like)),
        },
        setting=(
            _devices(experiment),
            _data(experiment, f"{images:,} training images"),
            f"batch: {batch_size} images, {images // batch_size:,} steps an epoch, {experiment.train.steps:,} in all",
        ),
        batch_size=batch_size,
    )


def heading(config: ml_collections.ConfigDict, experiment: Experiment) -> list[str]:
    """What an experiment is, before its first step: data, model and devices, a line each."""
    data = experiment.dataset
    parameters = sum(leaf.size for leaf in jax.tree.leaves(experiment.abstract_state.params))
    return [
        _data(
            experiment, f"{len(data.train):,} training, {len(data.validation):,} validation, {len(data.test):,} test"
        ),
        f"model: {config.model.name}, likelihood {config.likelihood.name}, {parameters:,} parameters",
        _devices(experiment),
    ]


def _data(experiment: Experiment, sizes: str) -> str:
    dataset, shape = experiment.dataset, " x ".join(map(str, experiment.space.shape))
    levels = f"{dataset.bits} bits" if dataset.bits > 1 else "binary"
    return f"data: {dataset.name}, {shape}, {levels}, {sizes}; {dataset.origin}"


def _devices(experiment: Experiment) -> str:
    devices = experiment.mesh.devices.ravel()
    return f"devices: {len(devices)} x {devices[0].device_kind}"


def kept(experiment: Experiment, like: Batch) -> list[Any]:
    """What a step's forward pass keeps for its backward pass, beside the parameters: arrays' shapes and types.

    It is what automatic differentiation asks for: XLA's fusions may keep less.
    """
    step = experiment.step
    one = Batch(*(jax.ShapeDtypeStruct(of.shape[1:], of.dtype) for of in like))

    def backward(params, batch):
        loss = partial(step.objective, step.model, key=jax.random.key(0), batch=batch, step=jnp.zeros((), jnp.int32))
        return jax.tree.leaves(jax.vjp(lambda params: loss(params=params)[0], params)[1])

    jaxpr = jax.make_jaxpr(backward)(experiment.abstract_state.params, one).jaxpr
    given = {id(of) for of in jaxpr.invars}
    found = {id(of): of.aval for of in jaxpr.outvars if id(of) not in given and not hasattr(of, "val")}
    return list(found.values())


def held(tree: Any, sharding: Any) -> float:
    """MiB on each device of what `train.shard_above` divides among them, and of what each has whole."""
    return _mib(
        jax.ShapeDtypeStruct(place.shard_shape(leaf.shape), leaf.dtype)
        for leaf, place in zip(jax.tree.leaves(tree), jax.tree.leaves(sharding), strict=True)
    )


def _mib(arrays: Iterable[Any]) -> float:
    """Of arrays or their shapes; a key's size is that of its numbers."""
    return sum(of.size * getattr(of.dtype, "itemsize", 8) for of in arrays) / 2**20
