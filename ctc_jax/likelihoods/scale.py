"""Where the scales of values come from. Tests: test_value_outputs.py."""

from dataclasses import dataclass

from ctc_jax.options import Options, option

SCALES = {
    "pixel": "an output of the network",
    "channel": "one parameter for each component and channel",
    "shared": "one parameter for each channel, the same for all components",
    "fixed": "the constant fixed_scale",
    "optimal": "one for a whole image, the best of `scales` learned ones; their choice is summed out (no ctc)",
}


@dataclass(frozen=True)
class ScaleOptions(Options):
    """Where the scales of values come from: of every likelihood whose values have one."""

    scale: str = option("pixel", "; ".join(f"{name}: {text}" for name, text in SCALES.items()), choices=tuple(SCALES))
    fixed_scale: float = option(8.0, "in pixel levels: the scale where it is fixed, else its start", above=0)
    scales: int = option(16, "optimal: how many there are, at first from fixed_scale / 8 to 8 fixed_scale", at_least=2)
