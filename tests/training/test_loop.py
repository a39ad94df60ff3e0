import io
import time

import jax
import numpy as np
import pytest

from ctc_jax import training
from ctc_jax.objectives import Elbo
from ctc_jax.reporting import read_history
from ctc_jax.training import Checkpoints, Outcome, loop
from ctc_jax.training.compiled_step import CompiledStep


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
    """Gives a NaN in the metric `kl_nats/z` at the steps after those of `bad`, or at all of them from 5 on."""

    bad = (5, 8)
    ever_after = False

    def __call__(self, model, params, key, batch, step):
        loss, metrics = super().__call__(model, params, key, batch, step)
        poisoned = step >= 5 if self.ever_after else jax.numpy.any(step == jax.numpy.asarray(self.bad))
        nan = jax.numpy.where(poisoned, np.nan, 0.0)
        return loss + nan, {**metrics, "kl_nats/z": metrics["kl_nats/z"] + nan, "loss_nats": loss + nan}


@pytest.mark.parametrize("model", ["mlp_vae", pytest.param("draw", marks=pytest.mark.slow)])
def test_an_interrupted_run_resumes_to_the_same_bits_and_lines(tiny, tmp_path, model):
    config = tiny(train__ema_decay=0.9, train__skip_factor=2.0, model__name=model, model__draw__glimpses=3)
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


@pytest.mark.slow
def test_many_steps_a_call_give_the_curve_of_one(tiny, tmp_path):
    config = tiny(model__name="mlp_vae")
    run(config, tmp_path / "one")
    run(tiny(train__steps_per_call=4), tmp_path / "four")
    one, four = (read_history(tmp_path / name) for name in ("one", "four"))
    assert steps(one, "train") == steps(four, "train")
    for a, b in zip(one, four, strict=True):
        np.testing.assert_allclose(a["elbo_nats"], b["elbo_nats"], rtol=1e-5)


@pytest.mark.slow
def test_compiling_is_no_part_of_the_throughput(tiny, tmp_path, monkeypatch):
    compile_it = CompiledStep.compiled

    def slowly(*arguments):
        time.sleep(0 if arguments[0]._compiled else 5)
        return compile_it(*arguments)

    monkeypatch.setattr(CompiledStep, "compiled", slowly)
    run(tiny(train__steps=4, train__evaluate_every=4), tmp_path)
    first = read_history(tmp_path)[0]
    assert first["elapsed_seconds"] > 5
    assert first["images_per_second"] > 4 * 8 / 5


def test_data_that_do_not_fit_the_device_give_the_same_run(tiny, tmp_path):
    _, _, experiment = run(tiny(), tmp_path / "device")
    run(tiny(data__device_budget_mib=0), tmp_path / "host")
    same(final(experiment, tmp_path / "device"), final(experiment, tmp_path / "host"))


def test_one_bad_step_is_named_dropped_and_survived(tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(training.experiment.objectives.registry.REGISTRY, "elbo", Poisoned)
    outcome, said, experiment = run(tiny(), tmp_path)
    assert outcome is Outcome.FINISHED
    assert "step 6: kl_nats/z is nan; its update is dropped and the state is that of step 5" in said
    assert "step 9: kl_nats/z is nan" in said
    assert final(experiment, tmp_path).bad_steps == 0
    assert all(np.isfinite(line["elbo_nats"]) for line in read_history(tmp_path))


def test_two_bad_steps_in_a_row_stop_the_run_with_its_last_good_state(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(Poisoned, "ever_after", True)
    monkeypatch.setitem(training.experiment.objectives.registry.REGISTRY, "elbo", Poisoned)
    outcome, said, experiment = run(tiny(), tmp_path)
    assert outcome is Outcome.DIVERGED
    assert "two steps in a row were not finite: stopped" in said
    state = final(experiment, tmp_path)
    assert (state.step, state.bad_steps) == (7, 2)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.params))
    outcome, said, _ = run(tiny(), tmp_path)
    assert outcome is Outcome.DIVERGED
    assert "stopped at step 7" in said


@pytest.mark.parametrize("per_call", [1, pytest.param(12, marks=pytest.mark.slow)])
def test_bad_steps_of_one_log_interval_are_all_told(tiny, tmp_path, monkeypatch, per_call):
    monkeypatch.setattr(Poisoned, "bad", (0, 2, 4, 6, 8))
    monkeypatch.setitem(training.experiment.objectives.registry.REGISTRY, "elbo", Poisoned)
    rare = {f"train__{key}_every": 12 for key in ("log", "evaluate", "checkpoint")}
    outcome, said, _ = run(tiny(train__steps_per_call=per_call, **rare), tmp_path)
    assert outcome is Outcome.FINISHED
    assert [number for number in range(1, 13) if f"step {number}: kl_nats/z is nan" in said] == [1, 3, 5]
    assert "2 more steps up to step 9 were not finite; their updates are dropped as well" in said


def test_steps_after_the_stop_are_none(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(Poisoned, "ever_after", True)
    monkeypatch.setitem(training.experiment.objectives.registry.REGISTRY, "elbo", Poisoned)
    rare = {f"train__{key}_every": 12 for key in ("log", "evaluate", "checkpoint")}
    outcome, said, _ = run(tiny(train__steps_per_call=12, **rare), tmp_path)
    assert outcome is Outcome.DIVERGED
    assert said.count("is nan") == 2
    assert "more step" not in said


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_a_validation_bound_that_is_not_finite_is_told_and_never_the_best(tiny, tmp_path, monkeypatch, bad):
    honest, asked = loop.evaluate_elbo, iter([False, True, True])

    def validate(*arguments, **options):
        numbers = honest(*arguments, **options)
        return {**numbers, "bound_bpd": bad} if next(asked) else numbers

    monkeypatch.setattr(loop, "evaluate_elbo", validate)
    config = tiny(train__evaluate_every=4)
    outcome, said, experiment = run(config, tmp_path)
    assert outcome is Outcome.DIVERGED
    assert f"step 8: validation bound is {bad}: this checkpoint cannot be the best" in said
    assert f"the validation bound of the last step is {bad}: training diverged; the best is of step 4; try a" in said
    assert Checkpoints(tmp_path / "checkpoints").best == 4
    assert final(experiment, tmp_path).step == 12  # what was trained is saved all the same
    outcome, again, _ = run(config, tmp_path)  # called again, it says so again
    assert outcome is Outcome.DIVERGED
    assert f"the validation bound of the last step is {bad}: training diverged; the best is of step 4" in again


def test_a_validation_bound_that_is_not_finite_on_the_way_is_no_divergence(tiny, tmp_path, monkeypatch):
    honest, asked = loop.evaluate_elbo, iter([True, False])

    def validate(*arguments, **options):
        numbers = honest(*arguments, **options)
        return {**numbers, "bound_bpd": np.nan} if next(asked) else numbers

    monkeypatch.setattr(loop, "evaluate_elbo", validate)
    outcome, _, _ = run(tiny(), tmp_path)
    assert outcome is Outcome.FINISHED
    assert Checkpoints(tmp_path / "checkpoints").best == 12


@pytest.mark.slow
def test_training_finds_a_distribution_it_can_represent(tiny, tmp_path):
    # One pixel, two bits, uniform over two levels: the exact entropy is ln 2 a pixel, 16 ln 2 an image.
    path = tmp_path / "two.npz"
    images = np.random.default_rng(1).integers(0, 2, (4000, 4, 4, 1), dtype=np.uint8) * 128
    np.savez(path, images=images)
    config = tiny(
        data__npz__path=str(path),
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
