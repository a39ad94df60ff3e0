import json
import os
import subprocess
import sys

import pytest

from configs import base
from ctc_jax.errors import UserError
from ctc_jax.options import flatten
from ctc_jax.training.workdir import NEW_KEYS, claim, note_start, read_config, upgrade

CONFIG = {"seed": 0, "train": {"steps": 3, "rate": 0.5}, "evaluate": {"k": 1}}


def begin(workdir, config=CONFIG, **options):
    with claim(workdir, config, **options) as claimed:
        note_start(claimed, config, ["launch.py"])
    return claimed


def test_config_and_provenance_are_written_and_read_back(tmp_path):
    workdir = begin(tmp_path / "a" / "run")
    assert read_config(workdir) == CONFIG
    noted = json.loads((workdir / "provenance.json").read_text())
    assert noted["command"] == ["launch.py"]
    assert noted["versions"]["jax"]
    assert len(noted["devices"]) == 4


def test_a_second_start_is_noted_beside_the_first(tmp_path):
    begin(tmp_path / "run")
    begin(tmp_path / "run")
    noted = json.loads((tmp_path / "run" / "provenance.json").read_text())
    assert len(noted["resumed"]) == 1


def test_differing_keys_are_listed_and_free_sections_may_differ(tmp_path):
    begin(tmp_path / "run")
    other = {"seed": 1, "train": {"steps": 4, "rate": 0.5}, "evaluate": {"k": 2}}
    with pytest.raises(UserError, match=r"evaluate\.k \(1 there, 2 now\), seed .* train\.steps \(3 there, 4 now\)"):
        begin(tmp_path / "run", other)
    begin(tmp_path / "run", {**CONFIG, "evaluate": {"k": 2}}, free=("evaluate",))


def test_a_run_from_before_a_key_is_that_of_the_value_which_means_the_same(tmp_path):
    begin(tmp_path / "run")
    begin(tmp_path / "run", {**CONFIG, "train": {**CONFIG["train"], "cpu_devices": 1}})
    with pytest.raises(UserError, match=r"train\.cpu_devices \(1 there, 0 now\)"):
        begin(tmp_path / "run", {**CONFIG, "train": {**CONFIG["train"], "cpu_devices": 0}})
    assert upgrade({"train": {"cpu_devices": 0}}) == {"train": {"cpu_devices": 0}}


def test_a_hierarchy_whose_parameters_meant_another_model_is_refused(tmp_path):
    def run(folder, **model):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "config.json").write_text(json.dumps({"model": model}))
        return tmp_path / folder

    old = run("old", name="ctc_hierarchy", inference="top_down", families="none,ctc_pool")
    with pytest.raises(UserError, match=r"old is a hierarchy of an earlier version.*train it again"):
        read_config(old)
    read_config(run("new", name="ctc_hierarchy", inference="top_down", value_loc=0.0))
    read_config(run("upwards", name="ctc_hierarchy", inference="bottom_up"))
    read_config(run("flat", name="ctc_hierarchy", inference="top_down", families="none"))
    read_config(run("other", name="conv_vae"))


def test_every_key_is_of_the_oldest_runs_or_has_a_value_for_them():
    """Else a run from before it can neither be loaded nor resumed."""
    first = {f"{section}.{key}" if key else section for section, keys in FIRST_KEYS.items() for key in keys.split(" ")}
    assert first | NEW_KEYS.keys() == flatten(base.get_config().to_dict()).keys()
    assert not first & NEW_KEYS.keys()


# Every other key needs a value in NEW_KEYS, and so does every one to come.
FIRST_KEYS = {
    "data": "binarization bits device_budget_mib directory image_size name path tfds_directory validation",
    "estimator": "name",
    "evaluate": "batch_size importance_samples latents likelihood_samples",
    "likelihood": "autoregressive components family fixed_scale mask_group name off scale",
    "model": "activation blocks features latents levels name width",
    "objective": "free_nats kl_warmup_steps mask_annealing_start mask_annealing_steps name",
    "posterior": "name",
    "report": "tensorboard wandb_project",
    "seed": "",
    "train": "accumulate batch_size beta2 checkpoint_every clip_norm compute_dtype ema_decay "
    "evaluate_every learning_rate log_every optimizer picture_every schedule steps steps_per_call warmup_steps "
    "weight_decay",
}


def test_foreign_files_are_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="not a run of ours"):
        begin(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_refused_start_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError, match="no such model"), claim(tmp_path / "run", CONFIG):
        raise RuntimeError("no such model")
    assert not (tmp_path / "run").exists()


def test_a_file_in_the_way_is_one_line(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        begin(tmp_path / "run")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_directory(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot be written: Permission denied"):
        begin(tmp_path / "run")


def test_another_process_is_kept_out(tmp_path):
    holder = (
        "import sys, ctc_jax.training.workdir as w\n"
        "with w.claim(sys.argv[1], {}) as d: w.note_start(d, {}, []); print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", holder, tmp_path / "run"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    with pytest.raises(UserError, match=f"in use by process {process.pid}"):
        begin(tmp_path / "run", {})
    process.communicate("")
    begin(tmp_path / "run", {})


def test_a_damaged_config_is_told(tmp_path):
    begin(tmp_path / "run")
    (tmp_path / "run" / "config.json").write_text('{"seed":')
    with pytest.raises(UserError, match=r"config\.json cannot be read"):
        begin(tmp_path / "run")
