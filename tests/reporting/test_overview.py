from ctc_jax.reporting import overview

CONFIG = {
    "data.name": "cifar10",
    "model.name": "conv_vae",
    "likelihood.name": "ctc",
    "posterior.name": "iaf",
    "estimator.name": "pathwise",
    "objective.name": "elbo",
    "train.batch_size": 16,
}
TRAINED = {"step": 8000, "split": "train", "elapsed_seconds": 3723.0, "images_per_second": 131.4}
TESTED = {
    "step": 6000,
    "split": "test",
    "elbo_nats": -9879.7,
    "bound_bpd": 4.6398,
    "importance_bound_nats": -9847.96,
    "importance_bound_bpd": 4.62487,
    "importance_bound_standard_error_nats": 12.667,
    "importance_samples": 5,
    "images": 10_000,
    "parameters": 1_234_567,
}
PROVENANCE = {"devices": ["NVIDIA H200", "NVIDIA H200"], "cpu_count": 16}


def test_it_says_what_the_run_is():
    assert overview(CONFIG, (32, 32, 3), 8, [TRAINED, TESTED], PROVENANCE) == {
        # An error of 12.667 nats is one of 12.667 x 4.62487 / 9847.96 = 0.00595 bpd.
        "bound": "-9,847.96 ± 13 nats, 4.625 ± 0.0059 bpd (importance-weighted, 5 codes per image, 10,000 test images)",
        "data": "cifar10, 32 x 32 x 3, 8 bits",
        "model": "conv_vae, 1,234,567 parameters",
        "likelihood": "ctc",
        "other parts": "posterior iaf, estimator pathwise, objective elbo",
        "training": "8,000 steps of 16 images in 1:02:03, 131 images/s at the end, the numbers are of step 6,000, "
        "whose validation bound is best",
        "device": "2 x NVIDIA H200, on a machine of 16 cores",
    }


def test_of_a_run_that_has_not_begun_it_says_what_there_is():
    found = overview(CONFIG, (28, 28, 1), 1, [], {})
    assert found.keys() == {"data", "model", "likelihood", "other parts"}
    assert (found["data"], found["model"]) == ("cifar10, 28 x 28 x 1, binary", "conv_vae")


def test_without_importance_weights_the_elbo_is_the_bound():
    elbo = {key: TESTED[key] for key in ("step", "split", "elbo_nats", "bound_bpd")}
    assert overview(CONFIG, (32, 32, 3), 8, [elbo], {})["bound"] == "-9,879.70 nats, 4.640 bpd (ELBO)"
