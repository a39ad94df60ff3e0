import pytest

from ctc_jax.evaluation.notes import notes

# The sentences on masks are tested with what they are about, in test_masks.py.
QUIET = {"kl_nats/z": 12.0, "calibration_p_value/z": 0.3, "rank_spread/z": 1.02, "elbo_nats": -90.0}


def test_a_model_without_faults_has_none():
    assert notes(QUIET) == []


def test_a_layer_that_costs_nothing_is_hardly_used():
    assert notes({**QUIET, "kl_nats/z": 0.02}) == ["z is hardly used: it costs 0.02 nats an image"]
    assert notes({**QUIET, "kl_nats/z": -0.02}) == ["z is hardly used: it costs 0 nats an image"]


def test_latents_of_one_resolution_are_judged_together():
    """One of them may do all the work."""
    used = {"kl_nats/8x8.1": 0.0, "kl_nats/8x8.2": 3.0, "kl_nats/1x1.1": 0.02, "kl_nats/1x1.2": 0.03}
    assert notes({**QUIET, **used}) == ["1x1 is hardly used: its 2 latents cost 0.05 nats an image"]


@pytest.mark.parametrize(
    ("spread", "words"), [(1.4, "too narrow or beside it"), (0.7, "too wide"), (0.96, "of another shape")]
)
def test_a_q_that_is_not_calibrated_is_said_to_be_what_it_is(spread, words):
    (found,) = notes({**QUIET, "calibration_p_value/z": 1e-9, "rank_spread/z": spread})
    assert found == f"q is not the posterior by the ranks of z: p = 1e-09, spread {spread:.2f}, {words}"
