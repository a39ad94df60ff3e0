import dataclasses

import jax
import numpy as np
import pytest

from ctc_jax.data import Dataset
from ctc_jax.evaluation import (
    EvaluateOptions,
    bits_per_dimension,
    build_reference,
    evaluate,
    evaluate_elbo,
    evaluate_importance,
)
from ctc_jax.evaluation.even_rows import even_rows
from ctc_jax.evaluation.sharpness import laplacian_variance
from ctc_jax.training.mesh import data_mesh, replicated


def options(**changes):
    sizes = {"importance_samples": 32, "batch_size": 4, "latents": 3, "likelihood_samples": 2}
    return EvaluateOptions(**{**sizes, "features": "pixels,random", **changes})


@pytest.fixture(scope="module")
def found(scaled, scaled_params, binary_split):
    return evaluate(scaled, scaled_params, binary_split, options(), levels=1, seed=3)


def test_every_promised_number_is_there_and_finite(found):
    assert set(found) == {
        "elbo_nats",
        "bound_bpd",
        "log_likelihood_nats",
        "kl_nats/z",
        "importance_bound_nats",
        "importance_bound_bpd",
        "importance_bound_standard_error_nats",
        "importance_samples",
        "active_units/z",
        "multimodality_gap_nats_per_dimension",
        "sharpness/samples",
        "sharpness/means",
        "sharpness/data",
        "images",
        "parameters",
    }
    assert np.isfinite(list(found.values())).all()


def test_bounds_are_those_of_the_whole_split(found, scaled, scaled_params, binary_split):
    elbo = evaluate_elbo(scaled, scaled_params, binary_split, batch_size=11, seed=3)
    bounds = evaluate_importance(scaled, scaled_params, binary_split, samples=32, batch_size=11, seed=3)
    assert {name: found[name] for name in elbo} == pytest.approx(elbo, rel=1e-5)
    assert found["importance_bound_nats"] == pytest.approx(bounds.mean(), rel=1e-5)
    # The error of a mean over images: sample variance, n - 1 in the denominator.
    variance = np.sum((bounds - bounds.mean()) ** 2) / 10
    assert found["importance_bound_standard_error_nats"] == pytest.approx(np.sqrt(variance / 11), rel=1e-4)
    assert (found["importance_samples"], found["images"], found["parameters"]) == (32, 11, 16)


def test_a_single_image_has_every_number_but_a_standard_error(found, scaled, scaled_params, binary_split):
    single = dataclasses.replace(binary_split, images=binary_split.images[:1], labels=binary_split.labels[:1])
    numbers = evaluate(scaled, scaled_params, single, options(), levels=1, seed=3)
    assert set(found) - set(numbers) == {"importance_bound_standard_error_nats"}
    assert np.isfinite(list(numbers.values())).all()


def test_the_importance_bound_is_above_the_elbo(found):
    assert found["importance_bound_nats"] > found["elbo_nats"]
    assert found["importance_bound_bpd"] < found["bound_bpd"]


def test_nats_and_bits_agree(found):
    for nats, bits in (("elbo_nats", "bound_bpd"), ("importance_bound_nats", "importance_bound_bpd")):
        assert found[bits] == pytest.approx(bits_per_dimension(found[nats], (4, 4, 1)), rel=1e-12)
    assert found["elbo_nats"] == pytest.approx(found["log_likelihood_nats"] - found["kl_nats/z"], rel=1e-12)


def test_sharpness_of_the_data_is_that_of_as_many_images_as_are_drawn(found, binary_split):
    shown = binary_split.images[even_rows(len(binary_split), 6)]
    assert found["sharpness/data"] == pytest.approx(laplacian_variance(shown, 1).mean())


def test_active_units_are_those_of_the_whole_split(found, binary_split):
    variance = binary_split.images.mean(axis=(1, 2, 3)).var()
    assert found["active_units/z"] == float(variance > 0.01)


def test_four_devices_give_the_same_figures(found, scaled, scaled_params, binary_split):
    sharding = replicated(data_mesh())
    params = jax.device_put(scaled_params, sharding)
    again = evaluate(scaled, params, binary_split, options(), levels=1, seed=3, sharding=sharding)
    assert again == pytest.approx(found, rel=1e-5)


def test_sample_quality_is_added_where_it_is_asked_for_whatever_the_batches_and_devices(
    found, scaled, scaled_params, binary_split, tmp_path
):
    dataset = Dataset("binary", *[binary_split] * 3, bits=1, classes=1, binarization="static")
    reference = build_reference(options(quality_samples=20), dataset, tmp_path)
    sharding = replicated(data_mesh())
    alone, many = (
        evaluate(
            scaled,
            params,
            binary_split,
            options(quality_samples=20, batch_size=size),
            levels=1,
            seed=3,
            sharding=given,
            reference=reference,
        )
        for params, size, given in (
            (scaled_params, 4, None),
            (jax.device_put(scaled_params, sharding), 8, sharding),
        )
    )
    added = set(alone) - set(found)
    assert {name.split("/")[0] for name in added} == {
        "quality_samples",
        "spectrum_distance_decades",
        *("frechet", "precision", "recall", "density", "coverage", "diversity"),
    }
    # Of an image against itself all distances are 0, but for the square roots of rounding errors.
    assert {name: many[name] for name in added} == pytest.approx({name: alone[name] for name in added}, abs=1e-4)


def test_copies_are_looked_for_where_it_is_asked_for(found, scaled, scaled_params, binary_split, tmp_path):
    dataset = Dataset("binary", *[binary_split] * 3, bits=1, classes=1, binarization="static")
    asked = options(copying_samples=5)
    reference = build_reference(asked, dataset, tmp_path)
    given = {"levels": 1, "seed": 3, "reference": reference, "pictures": tmp_path}
    numbers = evaluate(scaled, scaled_params, binary_split, asked, **given)
    measures = ("copying_nearer_share", "copying_distance_ratio")
    spaces = ("pixels", "random")
    assert set(numbers) - set(found) == {f"{of}/{space}" for of in measures for space in spaces} | {"copying_samples"}
    # The test images are the training images here: no sample is nearer to one than they are.
    assert numbers["copying_nearer_share/pixels"] <= 0.5
    assert (tmp_path / "copying.png").is_file()


def test_quality_without_a_reference_is_a_mistake_of_the_caller(scaled, scaled_params, binary_split):
    with pytest.raises(ValueError, match="build_reference"):
        evaluate(scaled, scaled_params, binary_split, options(quality_samples=10), levels=1, seed=0)
