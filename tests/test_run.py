import copy
import pickle

import jax
import numpy as np
import pytest
from jax.scipy.special import logsumexp

import ctc_jax
from configs import base
from ctc_jax import runs, training
from ctc_jax.errors import ConfigError, UserError
from ctc_jax.evaluation.even_rows import even_batch
from ctc_jax.saved_run import describe_images


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    images = np.random.default_rng(0).integers(0, 256, (96, 4, 4, 1), dtype=np.uint8)
    np.savez(folder / "pixels.npz", images=images)
    config = base.experiment(
        {
            "data.name": "npz",
            "data.npz.path": str(folder / "pixels.npz"),
            "data.bits": 2,
            "model.name": "mlp_vae",
            "model.latents": 1,
            "model.width": 4,
            "model.blocks": 1,
            "model.features": 2,
            "likelihood.name": "categorical",
            "train.steps": 8,
            "train.batch_size": 8,
            "train.warmup_steps": 0,
            "train.evaluate_every": 4,
            "train.checkpoint_every": 4,
            "train.picture_every": 0,
            "train.ema_decay": 0.5,
            "evaluate.importance_samples": 4,
            "evaluate.latents": 4,
            "report.tensorboard": False,
        }
    )
    with runs.claim(folder / "run", config.to_dict()) as claimed:
        experiment = training.build(config)
        runs.begin(claimed, config.to_dict(), describe_images(experiment.space, experiment.dataset), [])
        training.train(experiment, claimed)
    return claimed


def test_the_same_parameters_by_step_and_by_name(workdir):
    latest, eighth = ctc_jax.load(workdir, "latest"), ctc_jax.load(workdir, 8)
    assert latest.step == eighth.step == 8
    for a, b in zip(jax.tree.leaves(latest.params), jax.tree.leaves(eighth.params), strict=True):
        np.testing.assert_array_equal(a, b)
    bounds = {line["step"]: line["bound_bpd"] for line in latest.history if line["split"] == "validation"}
    assert ctc_jax.load(workdir).step == min(bounds, key=bounds.get)


def test_samples_are_levels_of_the_data_and_repeat_with_the_key(workdir):
    run = ctc_jax.load(workdir)
    samples = run.sample(jax.random.key(0), 5)
    assert samples.shape == (5, 4, 4, 1)
    assert set(np.unique(samples)) <= {0, 1, 2, 3}
    np.testing.assert_array_equal(samples, run.sample(jax.random.key(0), 5))


def test_log_likelihood_tends_to_the_integral_over_the_single_latent(workdir):
    run = ctc_jax.load(workdir)
    images = run.dataset.test.images[:3]
    # Quadrature of p(x|z) N(z) on a grid that holds all but 1e-12 of the prior.
    grid = np.linspace(-7, 7, 2001, dtype=np.float32)
    pixels = run.decode({"z": grid[:, None]})
    log_prior = -0.5 * grid**2 - 0.5 * np.log(2 * np.pi) + np.log(grid[1] - grid[0])
    exact = [logsumexp(pixels.log_prob(jax.numpy.broadcast_to(image, (2001, 4, 4, 1))) + log_prior) for image in images]
    # 2,000 samples are off by 0.01 (a standard error, by repetition), 32,000 by a quarter of that.
    estimate = run.log_likelihood(images, importance_samples=32_000)
    np.testing.assert_allclose(estimate, exact, atol=0.01)


def test_encode_and_reconstruct_follow_the_images(workdir):
    run = ctc_jax.load(workdir)
    images = run.dataset.test.images[:4]
    assert run.encode(images)["z"].shape == (4, 1)
    np.testing.assert_allclose(run.encode(images[2:])["z"], run.encode(images)["z"][2:], rtol=1e-5)
    means = run.reconstruct(images)
    assert means.shape == images.shape
    assert means.min() >= 0
    assert means.max() <= 3


def test_latents_are_improved_and_sampled_by_the_config_s_method_or_another(workdir):
    run = ctc_jax.load(workdir)
    images = run.dataset.test.images[:2]
    better = run.infer(images, draws=20, warmup=0, step_size=0.05)
    assert better.latents["z"].value.shape == (20, 1, 2, 1)  # descent, the config's
    assert better.gain.min() >= 0
    drawn = run.infer(images, method="hmc", chains=3, draws=5, warmup=2, leapfrogs=3)
    assert drawn.latents["z"].value.shape == (5, 3, 2, 1)
    again = run.infer(
        images, method="hmc", chains=3, draws=5, warmup=2, leapfrogs=3, key=jax.random.key(run.config.seed)
    )
    np.testing.assert_array_equal(drawn.latents["z"].value, again.latents["z"].value)
    with pytest.raises(UserError, match=r"config\.inference\.name is 'nuts'; allowed: descent, hmc, langevin, mala"):
        run.infer(images, method="nuts")
    with pytest.raises(UserError, match=r"config\.inference\.hmc\.steps is 3; allowed: step_size, leapfrogs"):
        run.infer(images, method="hmc", steps=3)
    with pytest.raises(UserError, match=r"config\.inference\.draws is 0; allowed: "):
        run.infer(images, draws=0)


def test_the_gap_is_that_of_the_evaluation(workdir):
    run = ctc_jax.load(workdir)
    options = {"gap_steps": 3, "importance_samples": 5, "annealed_temperatures": 2, "annealed_leapfrogs": 1}
    found = run.gap(even_batch(run.dataset.test, 2).image, **options)
    numbers = run.evaluate({**run.config.evaluate.to_dict(), "gap_images": 2, **options})
    for name in ("annealed_bound", "best_elbo", "elbo", "approximation", "amortization"):
        assert numbers[f"gap/{name}_nats"] == pytest.approx(getattr(found, name).mean(), rel=1e-5)
    with pytest.raises(UserError, match=r"config\.evaluate\.steps is 3; allowed: importance_samples"):
        run.gap(run.dataset.test.images[:2], steps=3)


def test_the_config_s_method_is_tried_on_as_many_images_as_are_asked_for(workdir, tmp_path):
    run = ctc_jax.load(workdir)
    run.config.inference = {"name": "mala", "chains": 2, "warmup": 1, "draws": 4, "mala": {"step_size": 0.01}}
    numbers = run.evaluate({**run.config.evaluate.to_dict(), "inference_images": 3}, pictures=tmp_path)
    found = run.infer(even_batch(run.dataset.test, 3).image)
    assert numbers["inference/mala/gain_nats"] == pytest.approx(found.gain.mean(), rel=1e-4)
    assert numbers["inference_images"] == 3
    assert {path.name for path in tmp_path.iterdir()} == {"refinement.png", "extremes.png"}


def test_calibration_is_measured_drawn_and_had_in_a_notebook(workdir, tmp_path):
    run = ctc_jax.load(workdir)
    numbers = run.evaluate({**run.config.evaluate.to_dict(), "calibration_images": 12}, pictures=tmp_path)
    found = run.calibration(12)
    assert numbers["calibration_p_value/z"] == pytest.approx(found.p_values()["z"].min())
    assert {"rank_spread/log_likelihood", "aggregate_p_value/z", "calibration_images"} <= set(numbers)
    assert {path.name for path in tmp_path.iterdir()} == {"calibration.png", "extremes.png"}
    with pytest.raises(
        UserError, match=r"config\.evaluate\.calibration_images is 9; allowed: 0 \(off\), or 10 or more"
    ):
        run.calibration(9)


def test_evaluate_counts_every_test_image(workdir):
    run = ctc_jax.load(workdir)
    numbers = run.evaluate()
    assert numbers["images"] == len(run.dataset.test)
    assert numbers["importance_samples"] == 4


def test_sample_quality_is_measured_where_the_section_given_asks_for_it(workdir):
    run = ctc_jax.load(workdir)
    section = run.config.evaluate.copy_and_resolve_references()
    section.update({"quality_samples": 9, "features": "pixels"})
    numbers = run.evaluate(section)
    assert numbers["quality_samples"] == 9
    assert 0 <= numbers["precision/pixels/samples"] <= 1
    section.features = "pixels,classifier"
    with pytest.raises(ConfigError, match="npz has no labels"):
        run.evaluate(section)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.zeros((2, 4, 4), np.uint8), "shape"),
        (np.zeros((2, 5, 4, 1), np.uint8), "shape"),
        (np.zeros((2, 4, 4, 1), np.float32), "float32"),
        (np.full((2, 4, 4, 1), 4, np.uint8), "takes 0 to 3"),
    ],
)
def test_images_that_do_not_fit_are_refused_in_words(workdir, images, words):
    with pytest.raises(UserError, match=words):
        ctc_jax.load(workdir).log_likelihood(images)


def test_no_run_and_no_such_step(workdir, tmp_path):
    with pytest.raises(UserError, match="no run in"):
        ctc_jax.load(tmp_path)
    with pytest.raises(UserError, match="no checkpoint of step 3"):
        ctc_jax.load(workdir, 3)


@pytest.mark.parametrize(
    ("labels", "words"),
    [([0, 1], "from 0 to 1"), ([0], "shape (1,)"), ([2**32, 0], "4294967296"), ([0.0, 0.0], "float")],
)
def test_labels_that_do_not_fit_are_refused_in_words(workdir, labels, words):
    with pytest.raises(UserError, match=r"labels are .* allowed: 2 classes") as caught:
        ctc_jax.load(workdir).log_likelihood(np.zeros((2, 4, 4, 1), np.uint8), labels)
    assert words in str(caught.value)


def test_other_data_are_told_moved_ones_are_not_and_another_shape_is_refused(workdir, tmp_path, caplog):
    run = ctc_jax.load(workdir)
    images = np.random.default_rng(0).integers(0, 256, (96, 4, 4, 1), dtype=np.uint8)
    run.config.data.npz.path = str(tmp_path / "moved.npz")
    np.savez(tmp_path / "moved.npz", images=images)
    assert len(run.dataset.test) == 10
    assert caplog.messages == []

    images[3, 2, 1, 0] ^= 128
    np.savez(tmp_path / "moved.npz", images=images)
    again = ctc_jax.load(workdir)
    again.config.data.npz.path = run.config.data.npz.path
    assert len(again.dataset.test) == 10
    assert caplog.messages == [f"the data in {tmp_path / 'moved.npz'} are not those that the run was trained on"]

    np.savez(tmp_path / "moved.npz", images=images[:, :3])
    other = ctc_jax.load(workdir)
    other.config.data.npz.path = run.config.data.npz.path
    with pytest.raises(UserError, match=r"which had shape \(4, 4, 1\), 2 bits .* holds images of shape \(3, 4, 1\)"):
        other.evaluate()


def test_encode_and_decode_are_traced_once_for_a_shape_whichever_run_asks(workdir, monkeypatch):
    traced = []
    run = ctc_jax.load(workdir)
    for name in ("infer", "decode"):
        method = getattr(type(run.model), name)

        def counted(*arguments, name=name, method=method, **options):
            traced.append(name)
            return method(*arguments, **options)

        monkeypatch.setattr(type(run.model), name, counted)
    images = run.dataset.test.images
    for asked in (run, run, ctc_jax.load(workdir)):
        latents = asked.encode(images[:7])  # a shape that no other test takes
        asked.decode(latents)
    assert sorted(traced) == ["decode", "infer"]


def test_a_run_says_what_it_is_in_two_lines(workdir):
    first, second = repr(ctc_jax.load(workdir, 8)).split("\n")
    assert first.startswith(f"Run('{workdir}'): step 8, ")
    assert second == "mlp_vae with categorical pixels on npz, images 4 x 4 x 1 of 2 bits"


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda run: pickle.loads(pickle.dumps(run))])
def test_a_copy_of_a_run_answers_as_the_run(workdir, copied):
    run = ctc_jax.load(workdir)
    other = copied(run)
    images = run.dataset.test.images[:3]
    np.testing.assert_array_equal(other.encode(images)["z"], run.encode(images)["z"])
    assert repr(other) == repr(run)
    assert (other.history, other.config.to_dict()) == (run.history, run.config.to_dict())
