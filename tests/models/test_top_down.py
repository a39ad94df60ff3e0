import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import cifar_top_down
from ctc_jax import training
from ctc_jax.data import Batch
from ctc_jax.distributions import CATEGORICAL, MaskSite
from ctc_jax.distributions.masked import Masked
from ctc_jax.errors import ConfigError
from ctc_jax.gradients import PerSite, ReinMax, StraightThrough
from ctc_jax.models import ImageSpace
from ctc_jax.models.orders import Generation
from ctc_jax.models.walk import arrived
from tests.models.conftest import assert_close, assert_same_mean
from tests.models.evidence import assert_three_questions_agree, draws_of, evidence_of_one_window, log_mean

SLOW = pytest.mark.slow
TWO = {"decoder": "1x1,2x1"}
BRIDGES = {"posterior": "annealed_hamiltonian", "posterior_options": {"bridges": 2, "step_size": 0.2}}
STEPS = {"posterior": "hamiltonian", "posterior_options": {"steps": 2, "step_size": 0.2, "width": 3}}


@pytest.fixture(scope="module")
def build(make_model, randomize):
    """A tiny model and parameters that are nowhere special."""
    made = {}

    def make(**changes):
        case = str(sorted(changes.items()))
        if case not in made:
            options = {"width": 3, "blocks": 0, "features": 2, "bottleneck": 0.5, "estimator": ReinMax(), **changes}
            model = make_model("top_down", **options)
            params = randomize(jax.jit(model.init)(jax.random.key(0)), 0.3)
            # q and p not too far apart: else a few of its samples have nearly all of the weight.
            if "trajectory" in params:
                params["trajectory"] = jax.tree.map(lambda leaf: 0.3 * leaf, params["trajectory"])
            for name in [name for name in params if name.startswith("down")]:
                for head in ("of_posterior", "of_prior", "drawn_by"):
                    if head in params[name]:
                        params[name][head] = jax.tree.map(lambda leaf: 0.3 * leaf, params[name][head])
            made[case] = model, params
        return made[case]

    return make


def test_the_likelihood_is_that_of_summing_all_masks_and_integrating_values(build, one_image):
    """One number at 1x1, one window of four units at 2x2."""
    model, params = build(families="gaussian,ctc_pool", **TWO)
    expected = evidence_of_one_window(model, params, one_image)
    found, error = log_mean(draws_of(model, params, one_image)["log_weight"][:, 0])
    assert abs(found - expected) < 4.5 * error + 1e-3
    assert error < 0.05


def case(*, slow=False, **changes):
    name = "-".join(str(value) for key, value in changes.items() if changes.get("decoder") != value or key != "decoder")
    return pytest.param(changes, id=name, marks=[SLOW] if slow else [])


@pytest.mark.parametrize(
    "changes",
    [
        case(families="lwta,ctc_relu", channels=2, **TWO),
        case(families="ctc_relu", merge="product", decoder="1x2", slow=True),
        case(families="none,gaussian", posterior="full", resampling="mean", widths="1x2", slow=True, **TWO),
        case(families="gaussian", posterior="planar", decoder="1x2", slow=True),
        case(families="gaussian", merge="product", resampling="mean", slow=True, **TWO),
        case(families="lwta", beta=1.5, channels=2, encoder="1x1", slow=True),
        case(families="gaussian", slow=True, **BRIDGES, **TWO),
        case(families="gaussian,none", merge="product", decoder="1x2,2x1", slow=True, **STEPS),
    ],
)
def test_the_three_questions_agree(build, one_image, changes):
    """log p(x) from the recognition model and from the prior alone, and the ELBO as the mean of log p(x, z) - log q."""
    model, params = build(**changes)
    assert_three_questions_agree(model, params, one_image.label)


@pytest.mark.parametrize("families", ["lwta,gaussian", pytest.param("ctc_relu,ctc_pool", marks=SLOW)])
def test_the_kl_of_each_block_has_the_mean_of_its_log_ratio(build, one_image, families):
    model, params = build(families=families, channels=2, decoder="1x1,2x2")
    apart = jax.tree_util.tree_map_with_path(
        lambda path, leaf: 3.0 * leaf if any(key.key == "of_posterior" for key in path) else leaf, params
    )

    @jax.jit
    @jax.vmap
    def one(key):
        sites = model.infer(apart, key, one_image).sites
        return {name: (site.kl[0], site.log_q[0] - site.log_prior[0]) for name, site in sites.items()}

    found = jax.device_get(one(jax.random.split(jax.random.key(3), 2**12)))
    assert list(found) == ["1x1.1", "2x2.1", "2x2.2"]
    for exact, ratio in found.values():
        assert_same_mean(exact - ratio, 0.0)
        assert np.abs(exact).max() > 0.01


def rolled(model):
    """Its blocks in loops."""
    return dataclasses.replace(model, network=model.network.clone(rolled=True))


def first(chain, count):
    """The block of the first latent."""
    steps = Generation(chain, count)
    return arrived(steps, steps.start(), chain.latents[0])


def test_one_block_without_nonlinearity_is_the_flat_vae(make_model, randomize, one_image):
    """The same parameters where both have them, and products of layers where one layer does what several do."""
    options = {"width": 3, "blocks": 0, "features": 2, "latents": 2, "activation": "leaky_relu", "negative_slope": 1.0}
    model = make_model("top_down", channels=2, bottleneck=1.0, **options)
    flat = make_model("conv_vae", **options)
    params = randomize(jax.jit(model.init)(jax.random.key(0)), 0.3)
    params["down_0"]["of_prior"] = jax.tree.map(jnp.zeros_like, params["down_0"]["of_prior"])

    def affine(function, inputs):
        """Kernel and bias of what a function does."""
        rows = function(jnp.concatenate([jnp.zeros((1, inputs)), jnp.eye(inputs)]))
        return {"kernel": rows[1:] - rows[:1], "bias": rows[0]}

    @jax.jit
    def flat_params(params):
        chain = model.bound_network(params)

        def moments(features):
            block = first(chain, len(features))
            values = chain.posterior_of("1x1.1", [features[:, None, None]], block, block.prior, None).values
            return jnp.concatenate([values.loc, jnp.log(values.scale)], axis=-1)

        def start(code):
            return chain.advance("1x1.1", first(chain, len(code)), Masked(code)).reshape(len(code), -1)

        return {
            "down_0": params["enter_image"],
            "posterior": {"Dense_0": affine(moments, 3)},
            "start": affine(start, 2),
            **{name: params[name] for name in ("out", "likelihood")},
        }

    given, key = flat_params(params), jax.random.key(1)
    shapes = (jax.tree.map(jnp.shape, of) for of in (given, jax.eval_shape(flat.init, key)))
    assert next(shapes) == next(shapes)
    for image in (one_image.image, 1 - one_image.image):
        batch = one_image._replace(image=image)
        ours, theirs = jax.jit(model.bound)(params, key, batch), jax.jit(flat.bound)(given, key, batch)
        np.testing.assert_allclose(ours.log_likelihood, theirs.log_likelihood, rtol=1e-4)
        np.testing.assert_allclose(ours.kl["1x1.1"], theirs.kl["z"], rtol=1e-4)
        assert theirs.kl["z"] > 0.1


def parameters(preset):
    """Numbers of all parameters, of which none is made."""
    config = cifar_top_down.get_config(preset)
    model = training.build_model(config, ImageSpace((32, 32, 3), 8, 10))
    return model, sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(model.init, jax.random.key(0))))


def test_the_published_setting_has_its_blocks_and_its_39_million_parameters():
    model, count = parameters("published")
    assert len(model.latents) == 43
    assert abs(count / 39e6 - 1) < 0.05


def test_the_setting_for_a_cpu_has_at_most_a_million_parameters():
    assert parameters("cpu")[1] <= 1_000_000


def test_sites_are_named_by_their_resolution_from_the_image_upwards(make_model):
    model = make_model("top_down", families="lwta,none,ctc_pool", decoder="1x1,2x1,4x2", channels=2, shape=(4, 8, 1))
    assert model.latents == ("1x2.1", "4x8.1", "4x8.2")
    last, first, lowest = model.mask_sites
    assert [last.name, first.name] == ["4x8.2", "4x8.1"]
    assert (last.shape, last.grid) == ((16, 4), (2, 4, 2))
    assert lowest == MaskSite("1x2.1", CATEGORICAL, (2, 2), valued=True, coupled=True, grid=(1, 2, 1))


def test_the_prior_of_a_block_sees_no_image_and_its_posterior_the_map_of_its_own_resolution(build, one_image):
    model, params = build(families="gaussian", blocks=1, **TWO)
    chain = model.bound_network(params)
    found = jax.jit(lambda image: model.bound_network(params).encode(one_image._replace(image=image)))
    maps = found(one_image.image)
    assert [of.shape[1:] for of in maps] == [(1, 1, 3), (2, 2, 3)]
    ask = jax.jit(lambda maps: chain.posterior_of("1x1.1", maps, first(chain, 1), None, None).values.loc)
    elsewhere = ask([maps[0], maps[1] + 1.0])
    np.testing.assert_array_equal(elsewhere, ask(maps))
    assert np.abs(ask([maps[0] + 1.0, maps[1]]) - elsewhere).max() > 1e-3


def test_a_product_of_the_prior_with_what_is_seen_is_never_wider_than_the_prior(build, one_image):
    model, params = build(families="gaussian", merge="product", resampling="mean", **TWO)
    sites = jax.jit(model.infer)(params, jax.random.key(0), one_image).sites
    for site in sites.values():
        assert (np.asarray(site.posterior.values.scale) < np.asarray(site.prior.values.scale)).all()


def test_residual_blocks_start_smaller_the_deeper_the_network_is(make_model):
    """With n blocks by 1 / sqrt(n)."""

    def deviation(decoder):
        params = jax.jit(make_model("top_down", decoder=decoder, width=64, blocks=0).init)(jax.random.key(0))
        return float(jnp.std(params["down_0"]["after"]["Dense_0"]["kernel"]))

    np.testing.assert_allclose(deviation("1x1") / deviation("1x4"), 2.0, rtol=0.1)


def test_what_is_computed_again_has_the_same_gradient(build, one_image):
    def gradient(rematerialize):
        model, params = build(families="gaussian", decoder="2x1", rematerialize=rematerialize)

        def loss(params):
            bound = model.bound(params, jax.random.key(0), one_image)
            return jnp.sum(bound.log_likelihood - sum(bound.kl.values()))

        assert ("remat" in str(jax.make_jaxpr(jax.grad(loss))(params))) == rematerialize
        return jax.jit(jax.grad(loss))(params)

    kept, again = gradient(False), gradient(True)
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5), kept, again)


@pytest.mark.parametrize(
    "changes",
    [
        case(families="ctc_relu,gaussian", decoder="1x2,2x2", encoder="2x2"),
        case(families="lwta,none,gaussian", posterior="iaf", decoder="1x2,2x2,4x2", shape=(4, 4, 1), slow=True),
        case(families="gaussian", resampling="mean", rematerialize=True, decoder="2x1,4x3", shape=(4, 4, 1), slow=True),
    ],
)
def test_loops_over_blocks_do_what_blocks_one_by_one_do(build, changes):
    """Of the same parameters: inference, densities, generation with none, some and all latents given, and gradients."""
    model, params = build(channels=2, **changes)
    other = rolled(model)
    images = np.random.default_rng(5).integers(0, 2, (3, *model.image_shape)).astype(np.uint8)
    batch, last = Batch(jnp.asarray(images), jnp.zeros(3, jnp.int32)), model.latents[-1]
    scored = changes.get("posterior") != "iaf"  # a flow knows the density of its own draws alone

    def answers(model):
        @jax.jit
        def of(params, key):
            def elbo(params):
                bound = model.bound(params, key, batch)
                return jnp.sum(bound.log_likelihood - sum(bound.kl.values())), bound

            slope, bound = jax.grad(elbo, has_aux=True)(params)
            latents, pixels = model.generate(params, key, 3, temperatures={last: 0.5})
            trace = model.infer(params, key, batch, given={last: latents[last]} if scored else None)
            decoded = model.decode(params, trace.latents).mean
            return slope, bound, latents, pixels.mean, trace.latents, trace.log_weight, decoded

        return of(params, jax.random.key(1)), str(jax.make_jaxpr(of)(params, jax.random.key(1))).count("scan[")

    (found, loops), (expected, others) = answers(model), answers(other)
    assert loops == 0 < others
    assert_close(found, expected)
    jax.tree.map(np.testing.assert_array_equal, *(jax.jit(of.init)(jax.random.key(2)) for of in (model, other)))


def test_a_loop_over_blocks_has_one_estimator_for_all_its_masks(build, one_image):
    """Those of a resolution that differ are drawn one by one."""
    model, params = build(families="ctc_relu", decoder="1x1,2x2")

    def loops(other):
        """With another estimator for one latent."""
        estimators = {name: StraightThrough() if name == other else ReinMax() for name in model.latents}
        of = dataclasses.replace(rolled(model), estimator=PerSite(tuple(estimators.items())))
        return str(jax.make_jaxpr(of.bound)(params, jax.random.key(0), one_image)).count("scan[")

    assert (loops("1x1.1"), loops("2x2.1")) == (1, 0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"decoder": "1x1,2"}, r"decoder is '1x1,2'; allowed: pairs such as 8x3 with commas \('2' is none\)"),
        ({"decoder": "1x0"}, r"decoder is '1x0'; allowed: each resolution once, 1 or more, and 1 or more of each"),
        ({"decoder": "1x1,1x1"}, r"decoder is '1x1,1x1'; allowed: each resolution once"),
        ({"decoder": "2x1,1x1"}, r"decoder is '2x1,1x1'; allowed: heights from the lowest to the highest"),
        ({"decoder": "3x1"}, r"decoder is '3x1'; allowed: heights .* divisor of the next and of the image's 2"),
        ({"shape": (4, 2, 1)}, r"decoder is '1x1'; allowed: .* patches which divide the image's width, 2"),
        ({"encoder": "2x1"}, r"encoder is '2x1'; allowed: resolutions of decoder: 1 \(2 is none\)"),
        ({"widths": "1x0"}, r"widths is '1x0'; allowed: each resolution once, 1 or more, and 1 or more"),
        ({"families": "ctc_pol"}, r"families is 'ctc_pol'.*did you mean ctc_pool"),
        ({"families": "lwta,none"}, r"families is 'lwta,none'; allowed: one name, or 1 with commas in the order of"),
        ({"families": "none"}, r"families is 'none'; allowed: one that is not none"),
        ({"families": "ctc_pool"}, r"families is 'ctc_pool'; allowed: others than ctc_pool at 1x1"),
        ({"families": "lwta", "channels": 3}, r"block is 2; allowed: a divisor of channels, 3"),
        ({"bottleneck": 0.0}, r"bottleneck is 0\.0; allowed"),
        ({"merge": "sum"}, r"merge is 'sum'; allowed: change, product"),
        ({"resampling": "strided"}, r"resampling is 'strided'; allowed: learned, mean"),
    ],
)
def test_what_does_not_fit_is_refused(make_model, changes, words):
    with pytest.raises(ConfigError, match=r"^config\.model\.top_down\." + words):
        make_model("top_down", **changes)


@pytest.mark.parametrize(
    ("posterior", "changes", "words"),
    [
        ("semi_amortized", {}, r"diagonal, full, .*, hamiltonian, annealed_hamiltonian \(others need log p"),
        ("hamiltonian", {"families": "gaussian,ctc_pool", **TWO}, r"diagonal, .*, neural_spline \(others need log p"),
        ("iaf", {"merge": "product"}, r"diagonal, hamiltonian, annealed_hamiltonian \(others are no factor"),
        ("iaf", {"families": "ctc_relu"}, r"diagonal \(no latent of this model is Gaussian"),
    ],
)
def test_a_posterior_that_does_not_fit_is_refused(make_model, posterior, changes, words):
    with pytest.raises(ConfigError, match=rf"^config\.posterior\.name is '{posterior}'; allowed: {words}"):
        make_model("top_down", posterior=posterior, **changes)


def like_cifar(random, count, side):
    """Images with a power of 1 / f^2, as photographs have, and a color each; levels are 0 to 255."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    frequency[0, 0] = 0.5 / side
    shape = (count, 3, *frequency.shape)
    waves = (random.standard_normal(shape) + 1j * random.standard_normal(shape)) / frequency
    field = np.fft.irfft2(waves, (side, side))
    field = field + 2.0 * field.mean(axis=1, keepdims=True)  # colors vary less than brightness
    return np.clip(128 + 60 * field / field.std(), 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


@SLOW
def test_at_the_published_rate_nothing_diverges_and_few_steps_are_skipped():
    """On images fresh at each step: like photographs, and noise, of which no bound is below its entropy of 8 bits."""
    steps, count, side = 150, 32, 8
    config = cifar_top_down.get_config("published")
    smaller = {"model.width": 16, "model.features": 8, "model.top_down.decoder": "1x1,4x1,8x1"}
    config.update_from_flattened_dict({**smaller, "model.top_down.encoder": "4x1,8x1"})
    step = training.build_step(config, training.build_model(config, ImageSpace((side, side, 3), 8, 10)), images=1)
    take, start, random = jax.jit(step), jax.jit(step.init), np.random.default_rng(0)

    def bits(draw):
        """A dimension, at each step."""
        state, measured = start(), []
        for _ in range(steps):
            state, metrics = take(state, Batch(jnp.asarray(draw()[None], jnp.uint8), jnp.zeros((1, count), jnp.int32)))
            measured.append(metrics)
        metrics = {name: np.concatenate([of[name] for of in measured]) for name in measured[0]}
        assert all(np.isfinite(values).all() for values in metrics.values())
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((state.params, state.average)))
        assert metrics["skipped_share"].sum() <= 0.02 * steps
        return -metrics["elbo_nats"] / (side * side * 3 * np.log(2))

    of_noise = bits(lambda: random.integers(0, 256, (count, side, side, 3)))
    of_photographs = bits(lambda: like_cifar(random, count, side))
    for found in (of_noise, of_photographs):
        assert found[-20:].mean() < found[:20].mean() - 0.1
    assert of_photographs[-20:].mean() < 7.9 < 8.0 < of_noise[-20:].mean()
