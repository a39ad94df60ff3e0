import re
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.stats import norm

from ctc_jax.data import Batch
from ctc_jax.distributions import CATEGORICAL, MaskSite
from ctc_jax.distributions.masked import Masked
from ctc_jax.errors import ConfigError
from ctc_jax.gradients import RLOO, Enumerate, ReinMax
from ctc_jax.models.codes import CODES
from tests.models.conftest import z_scores
from tests.models.evidence import DRAWS, assert_three_questions_agree, draws_of, evidence_of_one_window, log_mean

INFERENCE = ["top_down", "bottom_up"]
SLOW = pytest.mark.slow
ONE_IS_SLOW = ["top_down", pytest.param("bottom_up", marks=SLOW)]


@pytest.fixture(scope="module")
def build(make_model, randomize):
    """A tiny hierarchy and parameters that are nowhere special."""
    made = {}

    def make(**changes):
        case = tuple(sorted(changes.items()))
        if case not in made:
            options = {"width": 3, "blocks": 0, "features": 2, "shape": (2, 2, 1), "estimator": ReinMax(), **changes}
            options["channels"] = 2 if "lwta" in options.get("families", "") else 1
            model = make_model("ctc_hierarchy", **options)
            params = randomize(jax.jit(model.init)(jax.random.key(0)), 0.3)
            # q and p not too far apart: else a few of its samples have nearly all of the weight.
            for name in params:
                if name.startswith(("posteriors", "priors", "drawn_by", "top")):
                    params[name] = jax.tree.map(lambda leaf: 0.3 * leaf, params[name])
            if "reverse" in params.get("trajectory", {}):
                params["trajectory"]["reverse"] = jax.tree.map(lambda leaf: 0.3 * leaf, params["trajectory"]["reverse"])
            made[case] = model, params
        return made[case]

    return make


@pytest.mark.parametrize("inference", ONE_IS_SLOW)
def test_the_likelihood_is_that_of_summing_all_masks_and_integrating_values(build, one_image, inference):
    """One window of four units, a top code of one number: four masks, two integrals by the trapezoid rule."""
    model, params = build(inference=inference)
    expected = evidence_of_one_window(model, params, one_image)
    found, error = log_mean(draws_of(model, params, one_image)["log_weight"][:, 0])
    assert abs(found - expected) < 4.5 * error + 1e-3
    assert error < 0.05


TWO = {"levels": 2, "shape": (4, 4, 1)}
FLOWS = ("planar", "radial", "coupling", "neural_spline")


def case(*, slow=False, **changes):
    name = "-".join(str(value) for key, value in changes.items() if key not in TWO)
    return pytest.param(changes, id=name, marks=[SLOW] if slow else [])


@pytest.mark.parametrize(
    "changes",
    [
        case(families="lwta", beta=1.5),
        case(families="ctc_relu,ctc_pool", inference="bottom_up", **TWO),
        case(families="ctc_relu,ctc_pool", inference="bottom_up_with_image", **TWO),
        case(families="ctc_pool,none", patch=2, inference="bottom_up_with_image", slow=True, **TWO),
        case(families="lwta", inference="bottom_up", slow=True),
        case(families="gaussian", posterior="full", patch=2),
        case(families="gaussian", slow=True),
        *(case(families="gaussian", posterior=name, patch=2, slow=True) for name in FLOWS),
        case(families="gaussian", posterior="hamiltonian", slow=True),
        case(families="gaussian", posterior="annealed_hamiltonian", slow=True),
        case(families="gaussian", posterior="radial", patch=2, inference="bottom_up", slow=True),
        case(families="ctc_pool,gaussian", posterior="full", inference="bottom_up", slow=True, **TWO),
        case(families="gaussian", posterior="coupling", top="ctc", latents=2, slow=True),
        case(families="gaussian", inference="bottom_up", slow=True),
        case(families="ctc_pool", slow=True),
        case(families="ctc_pool", inference="bottom_up", slow=True),
        case(families="ctc_relu", slow=True),
        case(families="ctc_relu", inference="bottom_up", slow=True),
        case(families="none", slow=True),
        case(families="ctc_pool", beta=1.5, slow=True),
        case(families="none,lwta", slow=True, **TWO),
        case(families="ctc_pool,gaussian", slow=True, **TWO),
        case(families="none,ctc_pool", slow=True, **TWO),
        case(families="ctc_pool,none", inference="bottom_up", slow=True, **TWO),
        case(families="ctc_pool,ctc_relu", patch=2, slow=True, **TWO),
        case(families="ctc_pool", patch=2, inference="bottom_up", slow=True),
        case(top="ctc", latents=2, som_sigma=1.0, slow=True),
        case(top="lwta", latents=2),
        *(case(top=name, latents=2, inference="bottom_up", slow=True) for name in CODES),
    ],
)
def test_the_three_questions_agree(build, one_image, changes):
    """log p(x) from the recognition model and from the prior alone, and the ELBO as the mean of log p(x, z) - log q."""
    model, params = build(**changes)
    assert_three_questions_agree(model, params, one_image.label)


@pytest.mark.parametrize(("inference", "seen"), [("bottom_up", False), ("bottom_up_with_image", True)])
def test_bottom_up_the_top_sees_the_image_by_the_draw_below_alone_unless_it_is_passed_on(
    build, one_image, inference, seen
):
    model, params = build(inference=inference)
    infer = jax.jit(lambda batch, given: model.infer(params, jax.random.key(1), batch, given=given).latents)
    below = {"level_1": infer(one_image, {})["level_1"]}
    other = one_image._replace(image=1 - one_image.image)
    one, another = (np.asarray(infer(batch, below)["top"].value) for batch in (one_image, other))
    assert (np.abs(one - another).max() > 1e-4) == seen


@pytest.mark.parametrize("inference", ONE_IS_SLOW)
def test_masks_are_in_log_q(build, one_image, inference):
    """log q of a draw is that of its masks, and of the values they select, whatever these are."""
    model, params = build(inference=inference)
    for key in jax.random.split(jax.random.key(5), 4):
        site = jax.jit(model.infer)(params, key, one_image).sites["level_1"]
        mask = np.asarray(site.draw.mask)[0, 0]
        assert sorted(mask) == [0, 0, 0, 1]
        log_mask = np.log(np.asarray(site.posterior.categories)[0, 0] @ mask)
        values = site.posterior.values
        density = norm.logpdf(site.draw.value, values.loc, values.scale)[0, 0] @ mask
        np.testing.assert_allclose(site.log_mask[0], log_mask, rtol=1e-4)
        np.testing.assert_allclose(site.log_q[0], log_mask + density, rtol=1e-4)


@pytest.mark.parametrize(
    ("families", "inference"),
    [
        ("ctc_pool", "top_down"),
        pytest.param("lwta", "bottom_up", marks=SLOW),
        pytest.param("ctc_relu", "top_down", marks=SLOW),
        pytest.param("ctc_pool", "bottom_up", marks=SLOW),
        pytest.param("lwta", "top_down", marks=SLOW),
    ],
)
def test_gradients_by_samples_have_the_mean_of_enumeration(build, one_image, families, inference):
    """Through the networks, in every parameter: the masks of one level summed, values and top code drawn."""
    model, params = build(families=families, inference=inference)

    def gradient(estimator):
        def bound(params, key):
            bound = replace(model, estimator=estimator).bound(params, key, one_image)
            return jnp.sum(bound.log_likelihood - sum(bound.kl.values()))

        return jax.jit(jax.vmap(jax.grad(bound), in_axes=(None, 0)))

    found = gradient(RLOO(samples=3))(params, jax.random.split(jax.random.key(6), DRAWS))
    expected = gradient(Enumerate())(params, jax.random.split(jax.random.key(7), DRAWS))
    assert np.abs(z_scores(found, expected)).max() < 4.7  # of some hundred coordinates


def test_latents_above_may_be_given_and_those_below_are_drawn(build):
    """The same top code, and the same level where it is given."""
    model, params = build(families="ctc_pool,lwta", **TWO)

    @jax.jit
    def generate(key, given):
        latents, pixels = model.generate(params, key, 2, given=given)
        return latents, pixels.mean

    latents, mean = generate(jax.random.key(0), {})
    fixed, _ = generate(jax.random.key(1), {name: latents[name] for name in ("top", "level_2")})
    jax.tree.map(np.testing.assert_array_equal, fixed["level_2"], latents["level_2"])
    assert (np.asarray(fixed["level_1"].value) != np.asarray(latents["level_1"].value)).any()
    again, same = generate(jax.random.key(9), latents)
    jax.tree.map(np.testing.assert_array_equal, again, latents)
    np.testing.assert_allclose(same, mean, rtol=1e-5)
    np.testing.assert_allclose(jax.jit(model.decode)(params, latents).mean, mean, rtol=1e-5)


def test_where_a_value_is_and_what_it_is_are_told_apart(build):
    """Masks exchanged between two images take places along, not values: a decoder sees their product alone."""
    model, params = build(families="ctc_pool,lwta", **TWO)
    latents, _ = jax.jit(model.generate, static_argnums=2)(params, jax.random.key(0), 2)
    exchanged = {**latents, "level_1": Masked(latents["level_1"].value, latents["level_1"].mask[::-1])}
    network = model.bound_network(params)
    family, shape = network.families[0], network.unit_shape(0)
    where, before, values = (
        np.asarray(family.feature_map(of, shape))
        for of in (exchanged["level_1"], latents["level_1"], Masked(latents["level_1"].value))
    )
    np.testing.assert_array_equal(where != 0, (before != 0)[::-1])
    np.testing.assert_array_equal(where[where != 0], values[where != 0])
    # Zero where masked: what is not selected moves no pixel.
    hidden = latents["level_1"]._replace(value=jnp.where(latents["level_1"].mask > 0, latents["level_1"].value, 7.0))
    decode = jax.jit(lambda latents: model.decode(params, latents).mean)
    np.testing.assert_array_equal(decode({**latents, "level_1": hidden}), decode(latents))
    assert np.abs(decode(exchanged) - decode(latents)).max() > 1e-4


def test_only_logits_come_with_masks(make_model):
    """Between two families nothing else of the network differs."""

    def sizes(**changes):
        model = make_model("ctc_hierarchy", width=3, blocks=0, features=2, channels=2, **changes)
        leaves = jax.tree_util.tree_leaves_with_path(jax.eval_shape(model.init, jax.random.key(0)))
        return {jax.tree_util.keystr(path): leaf.shape for path, leaf in leaves}

    names = ("gaussian", "ctc_pool", "ctc_relu", "lwta")
    gaussian, pool, relu, lwta = (sizes(families=name) for name in names)
    assert pool == relu == lwta
    assert pool.keys() - gaussian.keys() == {name for name in pool if "'logits'" in name}
    assert gaussian.items() <= pool.items()
    assert sizes(families="ctc_pool", beta=1.5) == gaussian


def test_in_patches_features_are_coarse_and_units_are_not(make_model):
    """An image in patches of 2: nothing is computed at its own resolution, and level 1 still has a unit a pixel."""
    network = make_model("ctc_hierarchy", families="ctc_pool,ctc_relu", levels=2, shape=(8, 4, 1), patch=2).network
    assert [network.feature_shape(level) for level in range(3)] == [(4, 2), (2, 1), (2, 1)]
    assert [network.unit_shape(level)[:2] for level in range(2)] == [(8, 4), (4, 2)]
    plain = make_model("ctc_hierarchy", families="ctc_pool,ctc_relu", levels=2, shape=(8, 4, 1)).network
    assert [plain.feature_shape(level) for level in range(3)] == [(8, 4), (4, 2), (2, 1)]


@pytest.mark.parametrize("inference", ONE_IS_SLOW)
def test_values_start_where_they_are_told_to_and_q_beside_the_prior(make_model, one_image, inference):
    """Whatever the features: kernels are 0 here. So the KL of a level is 0 at the start, and not that of N(0, 1)."""
    changes = {"value_loc": 1.5, "value_scale": 0.4, "shape": (2, 2, 1), "inference": inference}
    model = make_model("ctc_hierarchy", **changes)
    params = jax.jit(model.init)(jax.random.key(0))
    biases = jax.tree_util.tree_map_with_path(lambda path, leaf: leaf * (path[-1].key == "bias"), params)
    site = jax.jit(model.infer)(biases, jax.random.key(0), one_image).sites["level_1"]
    np.testing.assert_allclose(site.prior.values.loc, 1.5)
    np.testing.assert_allclose(site.prior.values.scale, 0.4, rtol=1e-6)
    np.testing.assert_allclose(site.posterior.values.loc, site.prior.values.loc)
    np.testing.assert_allclose(site.posterior.values.scale, site.prior.values.scale, rtol=1e-6)
    np.testing.assert_allclose(site.posterior.kl(site.prior), 0.0, atol=1e-5)


def test_sites_are_named_from_the_image_upwards_with_their_places(make_model):
    def sites(**changes):
        return make_model("ctc_hierarchy", **changes).mask_sites

    one, two = sites(families="ctc_relu,ctc_pool", **TWO)
    assert (one.name, one.kind.name, one.shape, one.grid) == ("level_1", "bernoulli", (16,), (4, 4, 1))
    assert (two.name, two.shape, two.grid) == ("level_2", (1, 4), (1, 1, 1))
    assert sites(families="gaussian") == ()
    level, top = sites(families="lwta", channels=4, top="ctc", latents=2)
    assert level == MaskSite("level_1", CATEGORICAL, (8, 2), valued=True, coupled=True, grid=(2, 2, 2))
    assert top == MaskSite("top", CATEGORICAL, (2, 3), valued=True, coupled=True)
    assert not sites(top="bernoulli")[-1].valued
    (above,) = sites(families="none,ctc_pool", **TWO)
    assert above.name == "level_2"


@pytest.mark.slow
def test_winners_of_blocks_are_trained_and_have_their_deterministic_limit(make_model, one_image):
    """Some steps raise the bound; with a large beta each draw is the winner of its block at every level and on top."""
    options = {"families": "lwta", "channels": 2, "top": "lwta", "latents": 2, "width": 3, "blocks": 0}
    model = make_model("ctc_hierarchy", beta=1.0, estimator=ReinMax(), **options)
    optimizer = optax.adam(0.03)

    def loss(params, key):
        bound = model.bound(params, key, one_image)
        return -jnp.mean(bound.log_likelihood - sum(bound.kl.values()))

    @jax.jit
    def train(key):
        def step(carry, key):
            params, state = carry
            value, gradient = jax.value_and_grad(loss)(params, key)
            updates, state = optimizer.update(gradient, state)
            return (optax.apply_updates(params, updates), state), value

        params = model.init(key)
        (params, _), losses = jax.lax.scan(step, (params, optimizer.init(params)), jax.random.split(key, 100))
        return params, losses

    params, losses = train(jax.random.key(0))
    assert losses[-20:].mean() < losses[:10].mean() - 0.5
    certain = make_model("ctc_hierarchy", beta=1e6, top_beta=1e6, **options)
    sites = jax.jit(certain.infer)(params, jax.random.key(1), one_image).sites
    for site in sites.values():
        wins = np.eye(site.draw.mask.shape[-1])[np.asarray(site.posterior.values.loc).argmax(-1)]
        np.testing.assert_array_equal(site.draw.mask, wins)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"families": "ctc_pol"}, r"families is 'ctc_pol'.*did you mean ctc_pool"),
        ({"families": "ctc_pool,gaussian"}, r"families is 'ctc_pool,gaussian'; allowed: one name, or 1 with"),
        ({"inference": "sideways"}, r"inference is 'sideways'; allowed"),
        ({"top": "cct"}, r"top is 'cct'; allowed: .*did you mean ctc\?"),
        ({"channels": 0}, r"channels is 0; allowed: a whole number, 1 or more"),
        ({"families": "lwta", "channels": 3}, r"block is 2; allowed: a divisor of channels, 3"),
        ({"block": 1}, r"block is 1; allowed: a whole number, 2 or more"),
        ({"beta": float("inf")}, r"beta is inf; allowed: a finite number, 0 or more"),
        ({"value_loc": float("nan")}, r"value_loc is nan; allowed: a finite number"),
        ({"value_scale": 0.0}, r"value_scale is 0\.0; allowed: a finite number, above 0"),
        ({"beta": -1.0}, r"beta is -1\.0; allowed"),
        ({"top_beta": 0.0}, r"top_beta is 0\.0; allowed"),
        ({"levels": 2}, r"levels is 2; allowed: 1 to 1"),
        ({"patch": 4}, r"patch is 4; allowed: a power of 2 up to 2\*\*levels, 2"),
        ({"patch": 0}, r"patch is 0; allowed"),
        ({"som_sigma": 1.0}, r"som_sigma is 1\.0; allowed: 0 with top=gaussian"),
        ({"som_sigma": 1.0, "top": "relu"}, r"som_sigma is 1\.0; allowed: 0 with top=relu"),
        ({"top": "ctc", "categories": 1}, r"categories is 1; allowed: 2 or more"),
        ({"top": "label"}, r"top is 'label'; allowed: gaussian, .* with these data, which have no labels"),
        ({"top": "label", "classes": 2, "inference": "bottom_up"}, r"inference is 'bottom_up'; allowed: top_down with"),
    ],
)
def test_what_does_not_fit_is_refused(make_model, changes, words):
    with pytest.raises(ConfigError, match=r"^config\.model\.ctc_hierarchy\." + words):
        make_model("ctc_hierarchy", **changes)


FITTING = "diagonal, full, planar, radial, iaf, coupling, neural_spline"


@pytest.mark.parametrize(
    ("posterior", "changes", "words"),
    [
        ("hamiltonian", {}, f"{FITTING} (others need log p(x, z) of latents without masks"),
        ("hamiltonian", {"families": "gaussian", "top": "ctc"}, f"{FITTING} (others"),
        ("annealed_hamiltonian", {"families": "none", "inference": "bottom_up"}, f"{FITTING} (others"),
        ("semi_amortized", {"families": "gaussian"}, f"{FITTING}, hamiltonian, annealed_hamiltonian (others"),
    ],
)
def test_a_posterior_that_does_not_fit_is_refused_and_those_that_do_are_listed(make_model, posterior, changes, words):
    with pytest.raises(ConfigError, match=rf"^config\.posterior\.name is '{posterior}'; allowed: {re.escape(words)}"):
        make_model("ctc_hierarchy", posterior=posterior, **changes)
    make_model("ctc_hierarchy", families="none", posterior=posterior)


@pytest.mark.parametrize("families", ["ctc_pool", "gaussian"])
def test_a_label_on_top_is_given_and_probabilities_of_all_images_sum_to_one_for_each(build, binary_images, families):
    model, params = build(families=families, top="label", classes=2)
    assert model.latents == ("label", "level_1")
    keys, weights = jax.random.split(jax.random.key(1), DRAWS // 4), []

    @jax.jit
    def log_weights(batch):
        def one(key):
            trace = model.infer(params, key, batch)
            log_q = sum(site.log_q for site in trace.sites.values())
            return trace.log_weight, model.joint(params, batch, trace.latents).total - log_q

        return jax.vmap(one)(keys)

    for label in (0, 1):
        batch = binary_images._replace(label=jnp.full(16, label, jnp.int32))
        log_weight, by_joint = log_weights(batch)
        np.testing.assert_allclose(log_weight, by_joint, rtol=1e-4, atol=1e-4)
        weights.append(np.exp(np.asarray(log_weight, np.float64)))
        total = weights[-1].sum(axis=1)
        assert abs(total.mean() - 1.0) < 4.5 * total.std() / np.sqrt(len(total))
    assert np.abs(weights[0].mean(axis=0) - weights[1].mean(axis=0)).max() > 0.01  # labels do differ


def test_gates_are_no_gaussian_level(make_model):
    with pytest.raises(ConfigError, match=r"^config\.posterior\.name is 'iaf'; allowed: diagonal \(no latent of this"):
        make_model("ctc_hierarchy", families="ctc_relu", top="ctc", posterior="iaf")
    assert make_model("ctc_hierarchy", families="ctc_relu", posterior="iaf").network.drawn_by == (None,)


@pytest.mark.parametrize("inference", ONE_IS_SLOW)
@pytest.mark.parametrize("posterior", ["full", pytest.param("neural_spline", marks=SLOW)])
def test_a_level_starts_near_its_prior_and_all_of_it_is_trained(make_model, inference, posterior):
    """Top down at hardly any KL, in the prior's own scale; every parameter of the family has a gradient."""
    changes = {"families": "gaussian", "posterior": posterior, "inference": inference, "blocks": 0, "patch": 2}
    model = make_model("ctc_hierarchy", channels=2, width=8, value_loc=0.5, value_scale=0.01, **changes)
    images = np.random.default_rng(0).integers(0, 2, (8, *model.image_shape)).astype(np.uint8)
    batch = Batch(jnp.asarray(images), jnp.zeros(8, jnp.int32))

    @jax.jit
    def bound(params):
        parts = model.bound(params, jax.random.key(1), batch)
        return jnp.mean(parts.log_likelihood - sum(parts.kl.values())), parts.kl["level_1"]

    params = jax.jit(model.init)(jax.random.key(0))
    assert "posteriors_0" not in params
    (_, kl), gradient = jax.jit(jax.value_and_grad(bound, has_aux=True))(params)
    assert inference == "bottom_up" or np.abs(kl).max() < 1.0  # of 8 units
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradient["drawn_by_0"]))
