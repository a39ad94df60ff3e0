import ml_collections
import numpy as np
import pytest

from ctc_jax.errors import ConfigError, UserError
from ctc_jax.sweeps.expand import LONGEST_NAME, crossed, drawn, load_sweep, product, run_name, zipped

LIKELIHOOD = {"name": "ctc", "off": False, "ctc": {"components": 10}}
BASE = ml_collections.ConfigDict({"seed": 0, "likelihood": LIKELIHOOD, "train": {"rate": 0.1}})


def written(folder, body):
    path = folder / "sweep.py"
    path.write_text(body)
    return str(path)


def yielding(folder, overrides):
    return written(folder, f"def get_overrides():\n    return {overrides!r}\n")


def test_product_has_every_combination_last_axis_fastest():
    assert product({"a": [1, 2], "b": "xy"}) == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    ]


def test_zipped_takes_values_together_and_as_many_of_each():
    assert zipped({"a": [1, 2], "b": "xy"}) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    with pytest.raises(ValueError, match="shorter"):
        zipped({"a": [1, 2], "b": "x"})


def test_random_search_draws_each_axis_and_more_runs_only_add():
    axes = {"rate": lambda r: 10 ** r.uniform(-4, -2), "seed": lambda r: r.randrange(3)}
    few, many = drawn(axes, 5, seed=1), drawn(axes, 400, seed=1)
    assert many[:5] == few != drawn(axes, 5, seed=2)
    rates = np.log10([overrides["rate"] for overrides in many])
    assert -4 <= rates.min() <= rates.max() <= -2
    assert abs(rates.mean() + 3) < 4 * (2 / 12**0.5) / 400**0.5
    assert {overrides["seed"] for overrides in many} == {0, 1, 2}


def test_crossed_combines_lists_and_the_later_one_wins():
    assert crossed([{"a": 1}, {"a": 2}], [{"b": 3}, {"a": 9}]) == [
        {"a": 1, "b": 3},
        {"a": 9},
        {"a": 2, "b": 3},
        {"a": 9},
    ]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"likelihood.name": "ctc", "seed": 1}, "likelihood.name=ctc,seed=1"),
        ({"train.learning_rate": 3e-4}, "train.learning_rate=0.0003"),
        ({}, "base"),
    ],
)
def test_name_tells_the_overrides(overrides, expected):
    assert run_name(overrides) == expected


def test_awkward_names_are_safe_short_and_differ():
    awkward = [{"a": "x/y"}, {"a": "x:y"}, {"a": "../x"}, {"a": "b,c=d"}, {"a": "b", "c": "d"}, {"a": "z" * 300}]
    names = [run_name(overrides) for overrides in awkward]
    assert len(set(names)) == len(names)
    assert not any("/" in name or ":" in name or len(name) > LONGEST_NAME for name in names)
    assert names == [run_name(overrides) for overrides in awkward]


def test_file_is_read_and_numpy_scalars_become_plain(tmp_path):
    body = "import numpy\nRESOURCES = {'timeout_min': 5}\ndef get_overrides():\n    yield {'seed': numpy.int64(3)}\n"
    sweep = load_sweep(written(tmp_path, body), BASE)
    ((name, overrides),) = [(run.name, run.overrides) for run in sweep.trials]
    assert (name, overrides, type(overrides["seed"])) == ("seed=3", {"seed": 3}, int)
    assert sweep.resources == {"timeout_min": 5}
    assert not isinstance(overrides["seed"], np.integer)


def test_whole_number_fits_a_float(tmp_path):
    assert load_sweep(yielding(tmp_path, [{"train.rate": 1}]), BASE).trials[0].overrides == {"train.rate": 1}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"likelihood.nam": "ctc"}, r"config\.likelihood\.nam is 'ctc'.*did you mean likelihood\.name\?"),
        ({"likelihood": "ctc"}, r"config\.likelihood is 'ctc'; allowed: only keys that the config has"),
        ({"seed": "1"}, r"config\.seed is '1'; allowed: a value of type int"),
        ({"likelihood.off": 1}, r"config\.likelihood\.off is 1; allowed: a value of type bool"),
        (
            {"likelihood.name": "gaussian", "likelihood.ctc.components": 5},
            r"config\.likelihood\.ctc\.components is 5; allowed: its default, since likelihood\.name is 'gaussian'",
        ),
        ({"seed": True}, r"config\.seed is True; allowed: a value of type int"),
        ({"seed": 0.5}, r"config\.seed is 0\.5; allowed: a value of type int"),
    ],
)
def test_wrong_override_is_named_with_what_is_allowed(tmp_path, overrides, message):
    with pytest.raises(ConfigError, match=message):
        load_sweep(yielding(tmp_path, [{"seed": 1}, overrides]), BASE)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("x = 1\n", r"has no function get_overrides\(\)"),
        ("def get_overrides():\n    return 1 / 0\n", "fails: ZeroDivisionError: division by zero"),
        ("def get_overrides(:\n", "fails: SyntaxError"),
        ("def get_overrides():\n    return []\n", "yields no run"),
        ("def get_overrides():\n    return ['seed']\n", "yields 'seed'; allowed: mappings"),
        ("def get_overrides():\n    return [{'seed': 1}, {}, {'seed': 1}]\n", "yields the run seed=1 twice"),
    ],
)
def test_wrong_file_is_said_in_words(tmp_path, body, message):
    with pytest.raises(UserError, match=message):
        load_sweep(written(tmp_path, body), BASE)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.py does not exist"):
        load_sweep(str(tmp_path / "none.py"), BASE)


def test_likelihood_sweep_fits_the_base_config():
    from configs.base import get_config

    runs = load_sweep("configs/sweeps/likelihoods.py", get_config()).trials
    assert len(runs) == 12
    assert runs[-1].name == "likelihood.name=ctc,seed=2"
