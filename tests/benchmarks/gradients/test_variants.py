from types import SimpleNamespace

from benchmarks.gradients.variants import variants
from ctc_jax.distributions.mask_kind import KINDS
from ctc_jax.gradients import MaskSite


def labels(kind="categorical", most_rewards=64, values=True, linear=True, **options):
    shape = (3, 4) if kind == "categorical" else (3,)
    model = SimpleNamespace(mask_sites=(MaskSite("z", KINDS[kind], shape, valued=values, linear=linear),))
    return {one.label: one.rewards for one in variants(model, most_rewards=most_rewards, **options)}


def test_samples_are_in_the_label_where_the_rewards_grow_with_them():
    found = labels(names=("rloo", "rebar", "score"))
    assert found == {"score": 1, "rloo-2": 2, "rloo-4": 4, "rebar": 3}
    assert labels(names=("diagonal_flips",)) == {"diagonal_flips-1": 3, "diagonal_flips-2": 6, "diagonal_flips-4": 12}


def test_what_does_not_serve_the_masks_is_left_out():
    assert "disarm" in labels("bernoulli")
    assert "disarm" not in labels()
    assert "pathwise" not in labels()
    assert "source_baseline" in labels()
    assert "source_baseline" not in labels(values=False)
    assert "single_flips-1" in labels()
    assert "single_flips-1" not in labels(linear=False)


def test_what_takes_too_many_rewards_is_left_out():
    assert "enumerate" in labels()  # 4^3 = 64
    assert "enumerate" not in labels(most_rewards=63)
