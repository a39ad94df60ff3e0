import pytest

from ctc_jax.errors import ConfigError
from ctc_jax.training import SECTION, TrainOptions


def test_the_section_of_the_defaults_reads_back_as_the_options():
    assert SECTION.read_shared(SECTION.defaults()) == TrainOptions()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"ema_decay": 1.0}, r"train\.ema_decay is 1\.0; allowed: a finite number, 0 or more, below 1"),
        ({"compute_dtype": "float16"}, r"train\.compute_dtype is 'float16'; .*did you mean bfloat16\?"),
        ({"warmup_steps": 100_000}, r"train\.warmup_steps is 100000; allowed: less than train\.steps, 100000"),
        ({"weight_decay": 0.1}, r"train\.weight_decay is 0\.1; allowed: 0, unless train\.optimizer is adamw"),
        ({"log_evry": 10}, r"train\.log_evry is 10; .*did you mean log_every\?"),
        ({"learning_rate": float("nan")}, r"train\.learning_rate is nan; allowed: a finite number, above 0"),
    ],
)
def test_what_does_not_fit_names_its_key(changes, told):
    with pytest.raises(ConfigError, match=told):
        SECTION.read_shared(changes)
