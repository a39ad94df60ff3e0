import io

import jax
import numpy as np
import pytest

from ctc_jax import training
from ctc_jax.objectives import Elbo
from ctc_jax.reporting import read_history
from ctc_jax.training import Checkpoints, Outcome


def run(config, workdir, **options):
    said = io.StringIO()
    experiment = training.build(config)
    outcome = training.train(experiment, workdir, stream=said, **options)
    return outcome, said.getvalue(), experiment


def final(experiment, workdir):
    checkpoints = Checkpoints(workdir / "checkpoints")
    restored = checkpoints.restore(jax.eval_shape(experiment.step.init), experiment.sharding)
    checkpoints.close()
    return restored.state


def same(one, other) -> None:
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


def steps(history, split):
    return [line["step"] for line in history if line["split"] == split]


class Poisoned(Elbo):
    """Gives a NaN in the metric `kl_nats/z` at the steps after 5 and 8, or at all of them from 5 on."""

    bad = (5, 8)
    ever_after = False

    def __call__(self, model, params, key, batch, step):
        loss, metrics = super().__call__(model, params, key, batch, step)
        poisoned = step >= self.bad[0] if self.ever_after else (step == self.bad[0]) | (step == self.bad[1])
        nan = jax.numpy.where(poisoned, np.nan, 0.0)
        return loss + nan, {**metrics, "kl_nats/z": metrics["kl_nats/z"] + nan, "loss_nats": loss + nan}


def test_an_interrupted_run_resumes_to_the_same_bits_and_lines(tiny, tmp_path):
    config = tiny(train__ema_decay=0.9)
    outcome, _, experiment = run(config, tmp_path / "whole")
    assert outcome is Outcome.FINISHED
    asked = iter([False] * 4 + [True])
    outcome, _, _ = run(config, tmp_path / "broken", interrupted=lambda: next(asked))
    assert outcome is Outcome.INTERRUPTED
    outcome, said, _ = run(config, tmp_path / "broken")
    assert outcome is Outcome.FINISHED
    assert "resuming from the checkpoint of step 5" in said
    same(final(experiment, tmp_path / "whole"), final(experiment, tmp_path / "broken"))
    whole, broken = read_history(tmp_path / "whole"), read_history(tmp_path / "broken")
    assert steps(whole, "train") == [4, 8, 12]
    assert steps(broken, "train") == [4, 5, 8, 12]  # 5 is where it was interrupted
    assert steps(whole, "validation") == steps(broken, "validation") == [6, 12]


def test_many_steps_a_call_give_the_curve_of_one(tiny, tmp_path):
    config = tiny(model__name="mlp_vae")
    run(config, tmp_path / "one")
    run(tiny(train__steps_per_call=4), tmp_path / "four")
    one, four = (read_history(tmp_path / name) for name in ("one", "four"))
    assert steps(one, "train") == steps(four, "train")
    for a, b in zip(one, four, strict=True):
        np.testing.assert_allclose(a["elbo_nats"], b["elbo_nats"], rtol=1e-5)


def test_data_that_do_not_fit_the_device_give_the_same_run(tiny, tmp_path):
    _, _, experiment = run(tiny(), tmp_path / "device")
    run(tiny(data__device_budget_mib=0), tmp_path / "host")
    same(final(experiment, tmp_path / "device"), final(experiment, tmp_path / "host"))


def test_one_bad_step_is_named_dropped_and_survived(tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(training.experiment.objectives.registry.REGISTRY, "elbo", lambda config: Poisoned())
    outcome, said, experiment = run(tiny(), tmp_path)
    assert outcome is Outcome.FINISHED
    assert "step 6: kl_nats/z is nan; its update is dropped and the state is that of step 5" in said
    assert "step 9: kl_nats/z is nan" in said
    assert final(experiment, tmp_path).bad_steps == 0
    assert all(np.isfinite(line["elbo_nats"]) for line in read_history(tmp_path))


def test_two_bad_steps_in_a_row_stop_the_run_with_its_last_good_state(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(Poisoned, "ever_after", True)
    monkeypatch.setitem(training.experiment.objectives.registry.REGISTRY, "elbo", lambda config: Poisoned())
    outcome, said, experiment = run(tiny(), tmp_path)
    assert outcome is Outcome.DIVERGED
    assert "two steps in a row were not finite: stopped" in said
    state = final(experiment, tmp_path)
    assert (state.step, state.bad_steps) == (7, 2)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.params))
    outcome, said, _ = run(tiny(), tmp_path)
    assert outcome is Outcome.DIVERGED
    assert "stopped at step 7" in said


@pytest.mark.slow
def test_training_finds_a_distribution_it_can_represent(tiny, tmp_path):
    # One pixel, two bits, uniform over two levels: the exact entropy is ln 2 a pixel, 16 ln 2 an image.
    path = tmp_path / "two.npz"
    images = np.random.default_rng(1).integers(0, 2, (4000, 4, 4, 1), dtype=np.uint8) * 128
    np.savez(path, images=images)
    config = tiny(
        data__path=str(path),
        likelihood__name="categorical",
        train__steps=400,
        train__batch_size=64,
        train__learning_rate=0.03,
        train__log_every=400,
        train__evaluate_every=400,
        train__checkpoint_every=400,
    )
    run(config, tmp_path / "run")
    bound = read_history(tmp_path / "run")[-1]["elbo_nats"]
    # Below the entropy by what is still unlearned, above it only by the luck of the validation images.
    assert -16 * np.log(2) - 0.35 < bound < -16 * np.log(2) + 0.05
