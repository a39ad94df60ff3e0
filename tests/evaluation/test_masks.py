from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from ctc_jax.data import Split
from ctc_jax.distributions import CATEGORICAL, MaskSite
from ctc_jax.distributions.masked import MaskedDistribution
from ctc_jax.evaluation.masks import entropy, entropy_of_mean, mask_statistics
from ctc_jax.evaluation.notes import collapsed
from ctc_jax.models import Site, Trace
from tests import toys


class Table(toys.Silent):
    """q(m|x) of two masks of three categories is looked up by the image's value in `params`, which is their KL too."""

    mask_sites = (MaskSite("z", CATEGORICAL, (2, 3), valued=False),)

    def probs(self, params, key, image):
        return params[image]

    def infer(self, params, key, batch, *, schedule=None):
        image = batch.image[:, 0, 0, 0].astype(jnp.int32)
        probs = self.probs(params, key, image)
        # exp(-1e4) is exactly 0, and 0 times its logarithm is 0.
        logits = jnp.where(probs > 0, jnp.log(probs), -1e4)
        posterior = MaskedDistribution(CATEGORICAL, logits, None)
        cost = image.astype(jnp.float32)
        # A deferred KL scores the prior at the mask: E log q less the log-probability told.
        prior = Told(posterior.negative_entropy() - cost)
        site = Site(posterior.sample(key), posterior, prior, cost, cost, deferred=cost)
        return Trace({}, {"z": site}, posterior, cost)


class Told(NamedTuple):
    """A prior whose masks have the log-probability told."""

    log_prob: Array

    @property
    def masks(self):
        return self

    def mask_log_prob(self, mask):
        return self.log_prob


def statistics(table, values, batch_size=4):
    images = np.asarray(values, np.uint8).reshape(-1, 1, 1, 1)
    split = Split(images, np.zeros(len(images), np.int32))
    found = mask_statistics(Table(), jnp.asarray(table, jnp.float32), split, batch_size=batch_size, seed=0)
    return [found[f"{name}/z"] for name in ("mask_entropy_nats", "mask_information_nats", "masks_used")]


@pytest.mark.parametrize("batch_size", [1, 2, 7])
def test_what_a_mask_tells_of_the_image_is_their_mutual_information(batch_size):
    """Of a mask that names the image, and of one that is drawn alike for all: padding does not count."""
    named, alike = np.eye(3), [0.5, 0.25, 0.25]
    table = [[named[value], alike] for value in range(3)]
    found = statistics(table, [0, 1, 2, 0, 1, 2], batch_size)
    entropy_of_alike = 1.5 * np.log(2)
    np.testing.assert_allclose(found[:2], [(np.log(3) + entropy_of_alike) / 2, np.log(3) / 2], rtol=1e-6)
    assert found[2] == 0.5


def test_between_the_two_it_is_entropy_less_mean_entropy():
    random = np.random.default_rng(0)
    table = random.dirichlet(np.ones(3), (5, 2))
    mean = table.mean(axis=0)
    of_mean, of_each = (-(p * np.log(p)).sum(-1) for p in (mean, table))
    found = statistics(table, range(5))
    np.testing.assert_allclose(found[:2], [of_mean.mean(), (of_mean - of_each.mean(axis=0)).mean()], rtol=1e-5)


class Tossed(Table):
    """A coin for each image, drawn before the masks, decides which of two rows of its table their q is."""

    def probs(self, params, key, image):
        coin = jax.random.bernoulli(key, 0.5, image.shape).astype(jnp.int32)
        return params[image, coin]


def test_what_comes_of_latents_drawn_before_and_not_of_the_image_is_no_information():
    """Of two masks, one that the coin sways and one that coin and image do: q(m|x) is the mean over the coin."""
    swayed = np.array([[0.8, 0.2, 0.0], [0.3, 0.6, 0.1]])
    named = np.array([[[0.7, 0.2, 0.1], [0.5, 0.3, 0.2]], [[0.1, 0.1, 0.8], [0.3, 0.1, 0.6]]])
    table = np.stack([np.stack([swayed, of_image], axis=1) for of_image in named])  # [image, coin, mask, alternative]
    images = np.arange(4000).reshape(-1, 1, 1, 1).astype(np.uint8) % 2
    split = Split(images, np.zeros(len(images), np.int32))
    found = mask_statistics(Tossed(), jnp.asarray(table, jnp.float32), split, batch_size=1000, seed=0)
    of_image = table.mean(axis=1)  # [image, mask, alternative]
    of_mean, of_each = (-(p * np.log(p)).sum(-1) for p in (of_image.mean(axis=0), of_image))
    expected = of_mean - of_each.mean(axis=0)
    np.testing.assert_allclose(expected[0], 0.0, atol=1e-12)
    # The coins' own error is 1/sqrt(16,000) of a nat; a single draw would leave 0.13 nats of the coin in the first.
    np.testing.assert_allclose(found["mask_entropy_nats/z"], of_mean.mean(), atol=0.01)
    np.testing.assert_allclose(found["mask_information_nats/z"], expected.mean(), atol=0.01)
    assert found["masks_used/z"] == 0.5


@pytest.mark.parametrize("draws", [2, 4])
def test_the_entropy_of_a_mean_is_exact_of_equal_draws_and_nearly_so_in_the_mean(draws):
    one = np.array([0.2, 0.5, 0.3])
    np.testing.assert_allclose(entropy_of_mean(jnp.stack([jnp.asarray(one)] * draws)), entropy(one[None])[0], rtol=1e-5)
    keys = jax.random.dirichlet(jax.random.key(0), jnp.full(4, 3.0), (draws, 20_000))
    found, plain = np.asarray(entropy_of_mean(keys)), entropy(np.asarray(keys, np.float64).mean(axis=0))
    error = 4.5 * found.std() / np.sqrt(20_000)
    assert abs(found.mean() - np.log(4)) < error + 0.005
    assert np.log(4) - plain.mean() > 0.02


def test_what_masks_cost_is_a_mean_over_images():
    split = Split(np.asarray([1, 2, 2], np.uint8).reshape(-1, 1, 1, 1), np.zeros(3, np.int32))
    table = jnp.full((3, 2, 3), 1 / 3)
    found = mask_statistics(Table(), table, split, batch_size=2, seed=0)
    assert found["mask_kl_nats/z"] == pytest.approx(5 / 3)


def test_a_mask_that_is_always_the_same_has_neither():
    assert statistics([[np.eye(3)[1]] * 2] * 4, range(4)) == [0.0, 0.0, 0.0]


def test_a_model_without_masks_has_no_such_figures():
    split = Split(np.zeros((2, 1, 1, 1), np.uint8), np.zeros(2, np.int32))
    assert mask_statistics(toys.Silent(), {}, split, batch_size=2, seed=0) == {}


@pytest.mark.parametrize(
    ("table", "values", "words"),
    [
        ([[np.eye(3)[1]] * 2] * 4, [1, 2, 3], "are always the same"),
        ([[[0.5, 0.25, 0.25]] * 2] * 4, [1, 2, 3], "0.0% of them say more than 0.01 nats of the image"),
        # They name the image, but their price is nothing.
        ([[np.eye(3)[value]] * 2 for value in range(3)], [0, 0, 1] + [0] * 9, "cost 0.083 nats an image"),
    ],
)
def test_masks_that_do_nothing_are_said_to_have_collapsed_and_why(table, values, words):
    split = Split(np.asarray(values, np.uint8).reshape(-1, 1, 1, 1), np.zeros(len(values), np.int32))
    found = collapsed(mask_statistics(Table(), jnp.asarray(table, jnp.float32), split, batch_size=4, seed=0))
    assert len(found) == 1
    assert found[0].startswith("masks of z have collapsed: ")
    assert words in found[0]


def test_masks_that_say_something_at_a_price_have_not_collapsed():
    split = Split(np.asarray([0, 1, 2], np.uint8).reshape(-1, 1, 1, 1), np.zeros(3, np.int32))
    table = jnp.asarray([[np.eye(3)[value]] * 2 for value in range(3)], jnp.float32)
    assert collapsed(mask_statistics(Table(), table, split, batch_size=4, seed=0)) == []
    assert collapsed({"bound_bpd": 1.0}) == []
