"""Inference in a hierarchy: its latents drawn from the top downwards, or from the image upwards.

Tests: tests/models/test_ctc_hierarchy.py.
"""

from jaxtyping import Array

from ctc_jax.data import Batch
from ctc_jax.models.applied_network import TOP, AppliedNetwork
from ctc_jax.models.latent_chain import Ending
from ctc_jax.models.model import pixel_log_prob


class _OfBatch:
    """A network, and the images whose latents a chain draws.

    Args:
      network: with its parameters.
      batch: of images.
      mask_annealing: of the likelihood, or None.
      step: of training, or None.
    """

    def __init__(self, network: AppliedNetwork, batch: Batch, mask_annealing: Array | None, step: Array | None):
        self.network, self.batch, self.mask_annealing, self.step = network, batch, mask_annealing, step


class TopDown(_OfBatch):
    """The chain of a batch from the top: carries the features of every level and those on the way down."""

    @property
    def names(self) -> tuple[str, ...]:
        """From the top downwards."""
        return self.network.names

    def start(self):
        """As `LatentChain` has it."""
        hidden, found = self.network.apply("scaled", self.batch.image), []
        for level in range(self.network.levels):
            found.append(self.network.apply("recognized", level, hidden))
            hidden = found[-1]
        return tuple(found), self.network.apply("recognized", self.network.levels, hidden)

    def law(self, carry, index):
        """As `LatentChain` has it."""
        features, hidden = carry
        if index == 0:
            law = self.network.top_posterior(hidden, self.step)
            return law, law.kl(self.network.top_prior(len(hidden)))
        level = _level(self.names[index])
        prior = self.network.apply("prior", level, hidden)
        change = self.network.apply("posterior", level, features[level], hidden)
        family = self.network.families[level]
        law = family.law(prior.changed(change, tied=self.network.network.beta is not None))
        return law, law.kl(family.law(prior))

    def advance(self, carry, index, mask, values):
        """As `LatentChain` has it."""
        features, hidden = carry
        latent = _product(mask, values)
        if index == 0:
            level, hidden = self.network.levels, self.network.start(latent)
        else:
            level = _level(self.names[index])
            hidden = self.network.put_in(level, hidden, latent)
        # On to the next level that has a latent, or to the pixels.
        for below in reversed(range(level)):
            hidden = self.network.apply("expand", below, hidden)
            if self.network.families[below] is not None:
                break
            hidden = self.network.put_in(below, hidden, None)
        return features, hidden

    def finish(self, carry):
        """As `LatentChain` has it."""
        pixels = self.network.apply("pixels", carry[1])
        return Ending(pixel_log_prob(pixels, self.batch.image, self.mask_annealing), {})


class BottomUp(_OfBatch):
    """The chain of a batch from the image: carries masks and values drawn, and the features on the way up."""

    @property
    def names(self) -> tuple[str, ...]:
        """From the image upwards."""
        return tuple(reversed(self.network.names))

    def start(self):
        """As `LatentChain` has it."""
        return (), self._up(0, self.network.apply("scaled", self.batch.image))

    def law(self, carry, index):
        """As `LatentChain` has it."""
        _, hidden = carry
        if self.names[index] == TOP:
            law = self.network.top_posterior(hidden, self.step)
            return law, law.kl(self.network.top_prior(len(hidden)))
        level = _level(self.names[index])
        units = self.network.apply("posterior", level, hidden, hidden)
        law = self.network.families[level].law(units)
        return law, law.negative_entropy()

    def advance(self, carry, index, mask, values):
        """As `LatentChain` has it."""
        drawn, hidden = carry
        drawn = (*drawn, (mask, values))
        if self.names[index] == TOP:
            return drawn, hidden
        level = _level(self.names[index])
        latent = _product(mask, values)
        going_up = self.network.families[level].going_up(latent, self.network.unit_shape(level))
        return drawn, self._up(level + 1, going_up)

    def finish(self, carry):
        """As `LatentChain` has it."""
        drawn = dict(zip(self.names, carry[0], strict=True))
        pixels, priors = self.network.descend({name: _product(*of) for name, of in drawn.items()})
        costs = {name: -priors[name].log_prob_of(*of) for name, of in drawn.items() if name != TOP}
        return Ending(pixel_log_prob(pixels, self.batch.image, self.mask_annealing), costs)

    def _up(self, level, hidden):
        """Features of the next level that has a latent, or of the top."""
        families = self.network.families
        hidden = self.network.apply("recognized", level, hidden)
        while level < len(families) and families[level] is None:
            level += 1
            hidden = self.network.apply("recognized", level, hidden)
        return hidden


def _level(name: str) -> int:
    return int(name.removeprefix("level_")) - 1


def _product(mask, values):
    return values if mask is None else mask * values
