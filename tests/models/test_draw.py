"""DRAW, dense and convolutional, against the paper's equations, a quadrature, and the flat VAE that one step is."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, logsumexp, softmax

from ctc_jax.data import Batch
from ctc_jax.distributions.masked import Masked
from ctc_jax.errors import ConfigError
from ctc_jax.models.chain_model import ChainModel
from ctc_jax.models.networks.mlp import MLPNetwork
from tests.models.conftest import assert_close, assert_same_mean, weights_and_bounds, z_scores

GRID = np.linspace(-7.0, 7.0, 141)
DRAWS = 2**13


HAMILTONIAN = ("hamiltonian", {"steps": 2, "step_size": 0.2, "width": 3})
ANNEALED = ("annealed_hamiltonian", {"bridges": 2, "step_size": 0.2})
PLAIN = [("draw", "diagonal", {}), ("conv_draw", "diagonal", {})]
MOVED = [pytest.param(of, marks=pytest.mark.slow) for of in (("draw", *HAMILTONIAN), ("conv_draw", *ANNEALED))]


@pytest.fixture(scope="module")
def tiny(make_model, randomize, request):
    """Two steps of one number each; q and a learned prior are near N(0, 1): no weight is far above the rest, and the
    grid holds all latents."""
    name, posterior, options = request.param
    model = make_model(name, glimpses=2, features=1, posterior=posterior, posterior_options=options)
    params = randomize(jax.jit(model.init)(jax.random.key(0)))
    near = {
        name: jax.tree.map(lambda leaf: 0.3 * leaf, params[name]) for name in ("posterior", "prior") if name in params
    }
    if model.network.trajectory:
        start = jax.jit(model.init)(jax.random.key(0))["trajectory"]
        near["trajectory"] = jax.tree.map(lambda leaf, moved: 0.9 * leaf + 0.1 * moved, start, params["trajectory"])
    return model, {**params, **near}


@pytest.fixture(scope="module")
def draws(tiny, binary_images):
    """Of many keys."""
    model, params = tiny
    return jax.device_get(weights_and_bounds(model, params, jax.random.split(jax.random.key(1), DRAWS), binary_images))


@pytest.mark.parametrize("tiny", PLAIN + MOVED, indirect=True, ids=str)
def test_the_mean_weight_is_the_evidence_by_quadrature_and_all_images_sum_to_one(tiny, draws, binary_images):
    model, params = tiny
    first, second = (axis.ravel() for axis in np.meshgrid(GRID, GRID, indexing="ij"))

    latents = {"z_1": Masked(jnp.float32(first)[:, None]), "z_2": Masked(jnp.float32(second)[:, None])}

    @jax.jit
    def log_joint_of(image):
        images = jnp.broadcast_to(image[None], (len(first), *image.shape))
        return model.joint(params, Batch(images, jnp.zeros(len(first), jnp.int32)), latents).total

    log_joint = np.stack([np.float64(log_joint_of(image)) for image in binary_images.image])
    log_evidence = logsumexp(log_joint, axis=1) + 2 * np.log(GRID[1] - GRID[0])
    np.testing.assert_allclose(np.exp(log_evidence).sum(), 1.0, rtol=1e-4)
    assert np.ptp(log_evidence) > 0.5
    assert_same_mean(np.exp(np.float64(draws["log_weight"]) - log_evidence), 1.0)
    elbo = draws["bound"].log_likelihood - sum(draws["bound"].kl.values())
    assert (elbo.mean(axis=0) < log_evidence).all()


@pytest.mark.parametrize("tiny", PLAIN, indirect=True, ids=str)
def test_the_kl_of_each_step_has_the_mean_of_its_log_ratio(tiny, binary_images):
    model, params = tiny

    @jax.jit
    @jax.vmap
    def one(key):
        trace = model.infer(params, key, binary_images)
        return {name: (site.kl, site.log_q - site.log_prior) for name, site in trace.sites.items()}

    for kl, ratio in one(jax.random.split(jax.random.key(2), DRAWS)).values():
        assert np.mean(kl) > 0.01
        assert_same_mean(np.asarray(kl - ratio), 0.0)


@pytest.mark.parametrize("tiny", PLAIN + MOVED, indirect=True, ids=str)
def test_the_weight_of_a_trace_is_that_of_the_joint(draws):
    np.testing.assert_allclose(draws["log_weight"], draws["by_joint"], rtol=1e-4, atol=1e-4)
    assert_same_mean(
        draws["bound"].log_likelihood - sum(draws["bound"].kl.values()) - draws["log_weight"],
        0.0,
    )


def paper(params, images, glimpses, size, extent, *, attention):
    """Equations 3 to 8 of the paper with q's means for draws: these, and the logits of the last canvas."""

    def dense(name, x):
        return x @ np.float64(params[name]["kernel"]) + np.float64(params[name].get("bias", 0.0))

    def cell(state, gates):
        take, keep, show, candidate = np.split(gates, 4, axis=-1)
        carried = expit(keep + 1) * state[1] + expit(take) * np.tanh(candidate)
        return expit(show) * np.tanh(carried), carried

    def filters(name, output):
        x, y, variance, stride, intensity = dense(name, output)[0]
        steps = np.exp(stride) * (extent - 1) / max(1, size - 1) * (np.arange(1, size + 1) - size / 2 - 0.5)
        places = [(extent + 1) / 2 * (center + 1) + steps for center in (x, y)]
        distances = [np.arange(1, extent + 1) - place[:, None] for place in places]
        return *(softmax(-0.5 * distance**2 / np.exp(variance), axis=1) for distance in distances), np.exp(intensity)

    output_layer = params["likelihood"]["output"]

    def logits(canvas):
        return 8.0 * canvas * float(output_layer["kernel"][0, 0]) + 8.0 * float(output_layer["bias"][0])

    starts = {name: np.float64(leaf)[None] for name, leaf in params.items() if name.startswith("first")}
    found = []
    for image in 2.0 * np.asarray(images, np.float64)[..., 0] - 1.0:
        encoder, decoder = ((starts[f"first_{of}_output"], starts[f"first_{of}_cell"]) for of in ("encoder", "decoder"))
        canvas, codes = starts["first_canvas"][0, :, :, 0], []
        for _ in range(glimpses):
            error = image - (2.0 * expit(logits(canvas)) - 1.0)
            if attention:
                across, down, intensity = filters("read_window", decoder[0])
                seen = np.stack([intensity * down @ of @ across.T for of in (image, error)], axis=-1)
            else:
                seen = error
            gates = dense("encoder", np.concatenate([seen.reshape(1, -1), encoder[0], decoder[0]], axis=1))
            encoder = cell(encoder, gates if attention else gates + dense("whole", image.reshape(1, -1)))
            codes.append(dense("posterior", encoder[0])[0, :1])
            decoder = cell(decoder, dense("decoder", np.concatenate([codes[-1][None], decoder[0]], axis=1)))
            stroke = dense("stroke", decoder[0])
            if attention:
                across, down, intensity = filters("write_window", decoder[0])
                stroke = down.T @ stroke.reshape(size, size) @ across / intensity
            canvas = canvas + stroke.reshape(canvas.shape)
        found.append((np.concatenate(codes), logits(canvas)))
    return (np.stack(of) for of in zip(*found, strict=True))


@pytest.mark.parametrize("attention", [True, False])
def test_the_walk_is_the_paper_written_out(make_model, randomize, attention):
    model = make_model(
        "draw", shape=(4, 4, 1), glimpses=3, features=1, attention=attention, read_size=2, write_size=2, width=3
    )
    params = jax.device_get(randomize(jax.jit(model.init)(jax.random.key(0)), 0.3))
    params["posterior"] = params["posterior"]["Dense_0"]
    images = np.random.default_rng(3).integers(0, 2, (2, 4, 4, 1)).astype(np.uint8)
    codes, logits = paper(params, images, 3, 2, 4, attention=attention)
    params["posterior"] = {"Dense_0": params["posterior"]}
    trace = jax.jit(model.infer)(params, None, Batch(jnp.asarray(images), jnp.zeros(2, jnp.int32)))
    walked = np.concatenate([trace.latents[name].value for name in model.latents], axis=1)
    np.testing.assert_allclose(walked, codes, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(trace.pixels.mean[..., 0], expit(logits), rtol=1e-3, atol=1e-4)
    assert np.abs(codes[:, 1:] - codes[:, :1]).max() > 0.01


def one_step(make_model, randomize, **posterior):
    """A model of one step and parameters without recurrence; the flat VAE that this is, and its parameters.

    With open gates an LSTM at rest is tanh(tanh(W x + b)), so that a VAE has the same.
    """
    model = make_model("draw", glimpses=1, attention=False, latents=2, width=3, **posterior)
    network = model.network
    params = randomize(jax.jit(model.init)(jax.random.key(0)))
    params = {name: jnp.zeros_like(of) if name.startswith("first") else of for name, of in params.items()}
    candidates, seen = jnp.arange(12) >= 9, {"decoder": jnp.arange(5) < 2, "encoder": jnp.zeros(10, bool)}
    for name, rows in seen.items():
        kernel = jnp.where(rows[:, None] & candidates[None], params[name]["kernel"], 0.0)
        params[name] = {"kernel": kernel, "bias": jnp.where(candidates, params[name]["bias"], 40.0)}
    params["whole"] = {"kernel": jnp.where(candidates[None], params["whole"]["kernel"], 0.0)}
    flat = MLPNetwork(
        likelihood=network.likelihood,
        posterior=(network.trajectory or network.posterior).clone(),
        image_shape=network.image_shape,
        maximum=1,
        width=3,
        blocks=1,
        decoder_blocks=None,
        features=3,
        activation=twice_tanh,
        dtype=jnp.float32,
    )
    same = {
        "down_0": {"kernel": params["whole"]["kernel"][:, 9:], "bias": params["encoder"]["bias"][9:]},
        "up_0": {"kernel": params["decoder"]["kernel"][:2, 9:], "bias": params["decoder"]["bias"][9:]},
        "out": params["stroke"],
        "posterior": params["posterior"],
        "likelihood": params["likelihood"],
    }
    return model, params, ChainModel(flat), same


def test_one_step_without_recurrence_is_the_flat_vae(make_model, randomize, binary_images):
    model, params, flat, same = one_step(make_model, randomize)
    key = jax.random.key(4)
    found = jax.jit(model.bound)(params, key, binary_images)
    expected = jax.jit(flat.bound)(same, key, binary_images)
    np.testing.assert_allclose(found.log_likelihood, expected.log_likelihood, rtol=1e-4)
    np.testing.assert_allclose(found.kl["z_1"], expected.kl["z"], rtol=1e-4)


@pytest.mark.parametrize("posterior", [HAMILTONIAN, pytest.param(ANNEALED, marks=pytest.mark.slow)], ids=str)
def test_so_it_is_where_its_latent_is_moved(make_model, randomize, one_image, posterior):
    """In law, since the keys are others: the first two moments of the log-weight and of the latent."""
    name, options = posterior
    model, params, flat, same = one_step(make_model, randomize, posterior=name, posterior_options=options)
    path = jax.tree.map(lambda leaf: 0.3 * leaf, params["trajectory"])
    moved = path
    if name == "hamiltonian":
        # The one sees the image and the other what is encoded of it: of neither anything is left but the latent.
        first = path["reverse"].pop("Dense_0")
        blind = {rows: jnp.zeros((rows, 3)).at[:2].set(first["kernel"][:2]) for rows in (6, 5)}
        path, moved = (
            {**path, "reverse": {**path["reverse"], "Dense_0": {**first, "kernel": blind[rows]}}} for rows in (6, 5)
        )
    params, same = {**params, "trajectory": path}, {**same, "posterior": {"start": params["posterior"], **moved}}

    def moments(model, params, seed):
        @jax.jit
        @jax.vmap
        def one(key):
            trace = model.infer(params, key, one_image)
            (latent,) = trace.latents.values()
            found = jnp.concatenate([trace.log_weight, latent.value[0]])
            return jnp.concatenate([found, found**2])

        return one(jax.random.split(jax.random.key(seed), DRAWS))

    scores = z_scores(moments(model, params, 5), moments(flat, same, 6))
    assert np.abs(scores).max() < 4.0


def twice_tanh(x):
    return jnp.tanh(jnp.tanh(x))


@pytest.mark.parametrize("name", ["draw", pytest.param("conv_draw", marks=pytest.mark.slow)])
def test_a_loop_draws_what_steps_one_by_one_do(make_model, randomize, binary_images, name):
    """Inference, densities, generation with none, some and all latents given, and gradients."""
    model = make_model(name, glimpses=3, latents=2)
    fields = {field.name: getattr(model.network, field.name) for field in dataclasses.fields(model.network)}
    del fields["parent"], fields["name"]
    network = type("Other", (type(model.network),), {}) if name == "draw" else type(model.network)
    if name == "draw":
        network.rolled = False
    else:
        fields["rolled"] = True
    other = dataclasses.replace(model, network=network(**fields))
    params = randomize(jax.jit(model.init)(jax.random.key(0)), 0.5)
    jax.tree.map(np.testing.assert_array_equal, model.init(jax.random.key(0)), other.init(jax.random.key(0)))

    def answers(model):
        @jax.jit
        def of(params, key):
            trace = model.infer(params, key, binary_images)
            latents, pixels = model.generate(params, key, 16)
            some = {"z_2": latents["z_2"]}
            partly = model.infer(params, key, binary_images, given=some).bound
            again, _ = model.generate(params, key, 16, given={"z_1": trace.latents["z_1"]})
            slope = jax.grad(lambda params: jnp.sum(model.infer(params, key, binary_images).log_weight))(params)
            joint = model.joint(params, binary_images, latents)
            decoded = model.decode(params, latents)
            return trace.latents, trace.bound, latents, pixels.mean, partly, again, slope, joint, decoded.mean

        return of(params, jax.random.key(1))

    assert_close(answers(model), answers(other))


def test_the_gradient_through_both_windows_is_that_of_central_differences(make_model, randomize, binary_images):
    model = make_model("draw", glimpses=2, features=1)
    params = randomize(jax.jit(model.init)(jax.random.key(0)))
    windows = {name: params[name] for name in ("read_window", "write_window")}
    direction = jax.tree.map(
        lambda leaf: jnp.asarray(np.random.default_rng(leaf.size).standard_normal(leaf.shape), jnp.float32), windows
    )

    @jax.jit
    def weight(windows):
        return jnp.mean(model.infer({**params, **windows}, jax.random.key(6), binary_images).log_weight)

    def along(step):
        return float(weight(jax.tree.map(lambda leaf, toward: leaf + step * toward, windows, direction)))

    gradient = jax.jit(jax.grad(weight))(windows)
    assert all(np.abs(leaf).max() > 1e-4 for leaf in jax.tree.leaves(gradient))
    slope = sum(float(jnp.vdot(a, b)) for a, b in zip(*map(jax.tree.leaves, (gradient, direction)), strict=True))
    np.testing.assert_allclose(slope, (along(0.003) - along(-0.003)) / 0.006, rtol=0.02)


@pytest.mark.parametrize(
    ("name", "likelihood", "changes"),
    [
        ("draw", "gaussian", {"attention": False}),
        ("draw", "ctc", {"write_size": 3}),
        ("draw", "categorical", {"posterior": "iaf"}),
        ("conv_draw", "ctc", {"channels": 2}),
        ("conv_draw", "gaussian", {"channels": 3, "posterior": "iaf"}),
    ],
)
def test_any_pixels_and_any_family_drawn_alone_serve_images_of_any_shape(make_model, name, likelihood, changes):
    model = make_model(name, likelihood, shape=(4, 6, 3), bits=3, glimpses=10, latents=2, **changes)
    batch = Batch(jnp.zeros((5, 4, 6, 3), jnp.uint8), jnp.zeros(5, jnp.int32))

    def answers(key):
        params = model.init(key)
        trace = model.infer(params, key, batch)
        latents, pixels = model.generate(params, key, 5)
        return params, trace.log_weight, latents, pixels.sample(key), model.joint(params, batch, latents).total

    params, weight, latents, images, joint = jax.eval_shape(answers, jax.random.key(0))
    assert list(latents) == ["z_01", "z_02", "z_03", "z_04", "z_05", "z_06", "z_07", "z_08", "z_09", "z_10"]
    numbers = 2 if name == "draw" else 2 * 3 * changes["channels"]
    assert all(latent.value.shape == (5, numbers) for latent in latents.values())
    assert weight.shape == joint.shape == (5,)
    assert images.shape == (5, 4, 6, 3)
    once = make_model(name, likelihood, shape=(4, 6, 3), bits=3, glimpses=1, latents=2, **changes)
    assert jax.tree.map(jnp.shape, jax.eval_shape(once.init, jax.random.key(0))) == jax.tree.map(jnp.shape, params)


@pytest.mark.parametrize("name", ["draw", "conv_draw"])
def test_a_family_of_one_latent_alone_is_refused(make_model, name):
    words = r"posterior\.name is 'semi_amortized'; allowed: diagonal, .*iaf.*, annealed_hamiltonian \(others need log p"
    with pytest.raises(ConfigError, match=words):
        make_model(name, posterior="semi_amortized")


def test_a_map_that_the_image_cannot_be_halved_to_is_refused(make_model):
    with pytest.raises(ConfigError, match=r"model\.conv_draw\.levels is 2; allowed: 1 to 1, the times a 2x6 image"):
        make_model("conv_draw", shape=(2, 6, 1), levels=2)


def test_published_settings_have_their_size(make_model):
    """64 glimpses of 2x2, strokes of 5x5, 256 units, 100 numbers a step, one feature a pixel; biases counted."""
    model = make_model(
        "draw", shape=(28, 28, 1), glimpses=64, width=256, latents=100, features=1, read_size=2, write_size=5
    )
    params = jax.eval_shape(model.init, jax.random.key(0))
    sizes = {name: sum(leaf.size for leaf in jax.tree.leaves(of)) for name, of in params.items()}
    assert sizes["encoder"] == 1024 * (2 * 2 * 2 + 256 + 256 + 1)
    assert sizes["decoder"] == 1024 * (100 + 256 + 1)
    assert sizes["posterior"] == 200 * 257
    assert sizes["stroke"] == 25 * 257
    assert sizes["read_window"] == sizes["write_window"] == 5 * 257
