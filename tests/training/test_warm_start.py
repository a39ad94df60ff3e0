import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ctc_jax import training
from ctc_jax.errors import ConfigError
from ctc_jax.training.warm_start import warm_started


def initial(config):
    experiment = training.build(config)
    return experiment, jax.jit(experiment.step.init)()


def trained(config, workdir, **options):
    said = io.StringIO()
    experiment = training.build(config)
    training.train(experiment, workdir, stream=said, **options)
    checkpoints = training.Checkpoints(workdir / "checkpoints")
    state = checkpoints.restore(experiment.abstract_state, experiment.sharding).state
    checkpoints.close()
    return state, said.getvalue()


def test_a_run_starts_from_the_parameters_of_another(tiny, tmp_path):
    first, _ = trained(tiny(), tmp_path / "first")
    # The rate is so small that float32 keeps the parameters where they started.
    config = tiny(train__steps=1, train__learning_rate=1e-30, train__ema_decay=0.9)
    second, said = trained(config, tmp_path / "second", start=first.params)
    jax.tree.map(np.testing.assert_array_equal, first.params, second.params)
    assert "fresh" not in said
    fresh, _ = trained(config, tmp_path / "fresh")
    assert any(np.any(a != b) for a, b in zip(*map(jax.tree.leaves, (fresh.params, second.params)), strict=True))


def test_a_flow_starts_from_the_gaussian_of_a_run_without_one_and_says_what_is_fresh(tiny):
    _, gaussian = initial(tiny(seed=3))
    _, flow = initial(tiny(posterior__name="planar", train__ema_decay=0.9))
    state, fresh = warm_started(flow, gaussian.params)
    for params in (state.params, state.average.params):
        jax.tree.map(np.testing.assert_array_equal, params["posterior"]["start"], gaussian.params["posterior"])
        jax.tree.map(np.testing.assert_array_equal, params["down_0"], gaussian.params["down_0"])
    assert fresh
    assert all("posterior/moves" in name or "posterior/contexts" in name for name in fresh)
    back, fresh = warm_started(gaussian, flow.params)
    jax.tree.map(np.testing.assert_array_equal, back.params["posterior"], flow.params["posterior"]["start"])
    assert not fresh


def test_parameters_of_another_shape_stay_fresh_and_none_at_all_is_refused(tiny, tmp_path):
    _, narrow = initial(tiny(model__width=3))
    _, wide = initial(tiny())
    state, fresh = warm_started(wide, narrow.params)
    assert "down_0/kernel" in fresh
    assert "likelihood/output/bias" not in fresh
    np.testing.assert_array_equal(state.params["down_0"]["kernel"], wide.params["down_0"]["kernel"])
    with pytest.raises(ConfigError, match=r"config.train.start_from is 'x'; allowed: a run like"):
        trained(tiny(train__start_from="x"), tmp_path, start={"other": jnp.ones(3)})
