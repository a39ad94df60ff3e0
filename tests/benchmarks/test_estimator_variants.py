import sys

from benchmarks import machine

sys.modules.setdefault("machine", machine)  # scripts find it beside themselves

from benchmarks.estimator_variants import variants  # noqa: E402


def labels(kind="categorical", **options):
    return {one.label: one.rewards for one in variants(kind, 3, 4, most_rewards=64, **options)}


def test_samples_are_in_the_label_where_the_rewards_grow_with_them():
    found = labels(names=("rloo", "rebar", "score"))
    assert found == {"score": 1, "rloo-2": 2, "rloo-4": 4, "rebar": 3}


def test_what_does_not_serve_the_masks_is_left_out():
    assert "disarm" in labels("bernoulli")
    assert "disarm" not in labels()
    assert "pathwise" not in labels()


def test_what_takes_too_many_rewards_is_left_out():
    assert "enumerate" in labels()  # 4^3 = 64
    assert "enumerate" not in {one.label for one in variants("categorical", 3, 4, most_rewards=63)}
