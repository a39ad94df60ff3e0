"""A hierarchy of masked latents on feature maps. Tests: tests/models/test_ctc_hierarchy.py."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, Key

from ctc_jax.data import Batch
from ctc_jax.distributions.mask_kind import BERNOULLI, KINDS
from ctc_jax.gradients import AbstractEstimator, MaskSite, PerSite
from ctc_jax.layers.som_pooling import SOMPooling
from ctc_jax.models import latent_chain
from ctc_jax.models.applied_network import TOP, AppliedNetwork
from ctc_jax.models.hierarchy_chains import BottomUp, TopDown
from ctc_jax.models.hierarchy_network import HierarchyNetwork
from ctc_jax.models.level_family import POSITIONS
from ctc_jax.models.model import ElboTerms, Latents, Params


@dataclass(frozen=True)
class CTCHierarchy:
    """p(x | z_1, ..., z_top) p(z_1 | z_2, ...) ... p(z_top), where a level's z is masks times Gaussian values.

    A mask over a pooling window or a gate at a unit is a latent with a prior from the levels above, and its KL is in
    the bound: nothing of where a value was reaches the decoder for free.

    Inference top-down shares the generative path: q of a level is a change of its prior, all KLs are analytic.
    Inference bottom-up passes on what it draws, as stochastic pooling does: z_1, then z_2 from z_1, and so on. The
    prior of a level then depends on draws that depend on its own, so that E log p is sampled while E log q is analytic.

    Attributes:
      network: everything that has parameters.
      pooling: of the alternatives of a top code of masks with their neighbors, in q; or None.
      estimator: the gradient through the masks, bound to its options, of all or of each latent; None leaves them
        without one.
    """

    network: HierarchyNetwork
    pooling: SOMPooling | None = None
    estimator: AbstractEstimator | PerSite | None = None
    mask_values: bool = True
    mask_linear: bool = False
    mask_kl: bool = True

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return self.network.image_shape

    @property
    def mask_kinds(self) -> frozenset[str]:
        """Of all levels and the top."""
        return frozenset(self.mask_latents.values())

    @property
    def mask_latents(self) -> dict[str, str]:
        """Those that have masks, from the image upwards and the top last, and the kind of each."""
        return {name: kind.name for name, kind, _, _ in self._sizes()}

    @property
    def mask_levels(self) -> int:
        """How many latents have masks, drawn one after another."""
        return len(self.mask_latents)

    @property
    def mask_sizes(self) -> dict[str, tuple[int, int]]:
        """Places of each latent that has masks, and alternatives at each."""
        return {name: (places, alternatives) for name, _, places, alternatives in self._sizes()}

    @property
    def mask_sites(self) -> tuple[MaskSite, ...]:
        """Latents with masks, from the image upwards."""
        sites = []
        for name, kind in self.mask_latents.items():
            dimensions, categories = self.mask_sizes[name]
            shape = (dimensions,) if kind == BERNOULLI.name else (dimensions, categories)
            sites.append(MaskSite(name, KINDS[kind], shape, valued=True, coupled=self.mask_kl))
        return tuple(sites)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the latents from the top downwards."""
        return self.applied({}).names

    def init(self, key: Key[Array, ""]) -> Params:
        """Fresh parameters, float32; those that an estimator learns under "estimator", by latent."""
        image = jnp.zeros((1, *self.image_shape), jnp.int32)
        params = self.network.init(key, image)["params"]
        if self.estimator is None:
            return params
        batch = Batch(image, jnp.zeros((1,), jnp.int32))
        drawn = jax.eval_shape(lambda: latent_chain.draw(self.chain(params, batch), key))
        learned = {}
        for index, name in enumerate(drawn.log_masks):
            shape, context = drawn.latents[name].shape[1:], image.size
            learned[name] = self.estimator.of(name).init(jax.random.fold_in(key, index + 1), shape, context)
        return {**params, "estimator": learned} if any(learned.values()) else params

    def recognize(self, params: Params, key: Key[Array, ""], batch: Batch) -> tuple[Latents, Float[Array, " batch"]]:
        """Latents ~ q(z|x) at sampled masks, and log q of masks and selected values."""
        return self.recognize_masks(params, key, batch)[:2]

    def recognize_masks(
        self, params: Params, key: Key[Array, ""], batch: Batch, step: Array | None = None
    ) -> tuple[Latents, Float[Array, " batch"], Float[Array, " batch"]]:
        """As `recognize`; beside it log q of all masks, for the gradient through them."""
        drawn = latent_chain.draw(self.chain(params, batch, step=step), key)
        return drawn.latents, drawn.log_q, sum(drawn.log_masks.values(), start=jnp.zeros(len(batch.image)))

    def log_joint(self, params: Params, batch: Batch, latents: Latents) -> Float[Array, " batch"]:
        """log p(x | z) + log p(z)."""
        pixels, priors = self.applied(params).descend(latents)
        return pixels.log_prob(batch.image) + sum(prior.log_prob(latents[name]) for name, prior in priors.items())

    def generate(self, params: Params, key: Key[Array, ""], count: int) -> tuple[Latents, dist.Distribution]:
        """`count` draws of the prior and their distributions on pixels."""
        code = self.applied(params).top_prior(count).sample(jax.random.fold_in(key, 0))
        return self.generate_below(params, key, {TOP: code})

    def generate_below(
        self, params: Params, key: Key[Array, ""], latents: Latents
    ) -> tuple[Latents, dist.Distribution]:
        """The latents that are not given, drawn from their priors given those above: from the top code on at least."""
        network = self.applied(params)
        hidden, found = network.start(latents[TOP]), dict(latents)
        for level in reversed(range(network.levels)):
            hidden = network.apply("expand", level, hidden)
            family = self.network.families[level]
            if family is not None and f"level_{level + 1}" not in found:
                law = family.law(network.apply("prior", level, hidden))
                found[f"level_{level + 1}"] = law.sample(jax.random.fold_in(key, level + 1))
            hidden = network.put_in(level, hidden, found.get(f"level_{level + 1}"))
        return found, network.apply("pixels", hidden)

    def decode(self, params: Params, latents: Latents) -> dist.Distribution:
        """p(x|z)."""
        return self.applied(params).descend(latents)[0]

    def elbo_terms(
        self,
        params: Params,
        key: Key[Array, ""],
        batch: Batch,
        mask_annealing: Array | None = None,
        step: Array | None = None,
        kl_weight: Array | float = 1.0,
    ) -> ElboTerms:
        """One draw of the likelihood and of each level's KL, with the estimator's gradient through the masks."""
        return latent_chain.elbo_terms(
            self.chain(params, batch, mask_annealing, step),
            key,
            self.estimator,
            params=params.get("estimator", {}),
            context=self.applied(params).apply("scaled", batch.image).reshape(len(batch.image), -1),
            kl_weight=kl_weight,
            step=step,
        )

    def posterior_means(self, params: Params, batch: Batch) -> dict[str, Float[Array, "batch units"]]:
        """E_q[z | x, the means of the latents drawn before] of each latent."""
        chain = self.chain(params, batch)
        carry, means = chain.start(), {}
        for index, name in enumerate(chain.names):
            law, _ = chain.law(carry, index)
            mask = None if law.kind is None else law.kind.probs(law.logits)
            carry = chain.advance(carry, index, mask, law.values.mean)
            means[name] = law.mean.reshape(len(batch.image), -1)
        return means

    def mask_probs(
        self, params: Params, key: Key[Array, ""], batch: Batch
    ) -> dict[str, Float[Array, "batch places alternatives"]]:
        """q(m) of each latent that has masks, at a draw of those before it; of a gate, on and off."""
        laws = latent_chain.laws(self.chain(params, batch), key)
        return {name: law.alternatives() for name, law in laws.items() if law.kind is not None}

    def mask_price(self, params: Params, key: Key[Array, ""], batch: Batch) -> dict[str, Float[Array, " batch"]]:
        """E log q(m) - log p(m) of each latent that has masks: top-down their KL at a draw of the latents above.

        Bottom-up, where the prior depends on what is drawn later, log p(m) is that of the masks drawn.
        """
        chain = self.chain(params, batch)
        latents, laws = latent_chain.draw(chain, key).latents, latent_chain.laws(chain, key)
        _, priors = self.applied(params).descend(latents)

        def price(name):
            masks, prior = laws[name].masks, priors[name].masks
            if self.network.top_down:
                return masks.kl(prior)
            return masks.negative_entropy() - prior.mask_log_prob(latents[name])

        return {name: price(name) for name in self.mask_latents}

    def applied(self, params: Params) -> AppliedNetwork:
        """The network with these parameters."""
        return AppliedNetwork(self.network, params, self.pooling)

    def chain(
        self, params: Params, batch: Batch, mask_annealing: Array | None = None, step: Array | None = None
    ) -> TopDown | BottomUp:
        """The latents of a batch as inference draws them."""
        chain = TopDown if self.network.top_down else BottomUp
        return chain(self.applied(params), batch, mask_annealing, step)

    def _sizes(self):
        """Name, kind, places and alternatives of each latent that has masks."""
        found = []
        for level, family in enumerate(self.network.families):
            if family is not None and family.kind is not None:
                height, width, channels = self.network.unit_shape(level)
                units = height * width * channels
                size = (units // POSITIONS, POSITIONS) if family.pooled else (units, 2)
                found.append((f"level_{level + 1}", family.kind, *size))
        if self.network.top_masks is not None:
            masks = self.network.top_masks
            found.append((TOP, masks.kind, masks.places, masks.categories))
        return found
