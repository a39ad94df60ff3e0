"""What a run is, in a few rows at the top of its page. Tests: tests/reporting/test_overview.py."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ctc_jax.reporting.progress import format_duration
from ctc_jax.reporting.units import format_number

PARTS = ("posterior", "estimator", "objective")


def overview(
    config: Mapping[str, Any],
    shape: tuple[int, int, int],
    bits: int,
    history: Sequence[Mapping[str, Any]],
    provenance: Mapping[str, Any],
) -> dict[str, str]:
    """Bound, data, model, likelihood, other parts, training and device of a run, each in words; what is not known is
    left out.

    Args:
      config: of the run, its keys dotted.
      shape: of its images: height, width, channels.
      bits: of their levels.
      history: what `read_history` returns; the last line of the split `test` has the numbers.
      provenance: of the run's start, as it was noted.
    """
    tested: Mapping[str, Any] = next((line for line in reversed(history) if line["split"] == "test"), {})
    levels = f"{bits} bits" if bits > 1 else "binary"
    parameters = f", {tested['parameters']:,} parameters" if "parameters" in tested else ""
    found = {
        "bound": _bound(tested),
        "data": f"{config.get('data.name')}, {' x '.join(map(str, shape))}, {levels}",
        "model": f"{config.get('model.name')}{parameters}",
        "likelihood": str(config.get("likelihood.name")),
        "other parts": ", ".join(f"{part} {config.get(f'{part}.name')}" for part in PARTS),
        "training": _training(config, history, tested),
        "device": _device(provenance),
    }
    return {name: words for name, words in found.items() if words}


def _bound(tested: Mapping[str, Any]) -> str:
    """The tightest of the bounds that every test image has, with the standard error of its mean."""
    if "importance_bound_nats" in tested:
        nats, bpd = tested["importance_bound_nats"], tested.get("importance_bound_bpd")
        error = tested.get("importance_bound_standard_error_nats")
        kind = f"importance-weighted, {tested.get('importance_samples', '?')} codes per image"
    elif "elbo_nats" in tested:
        nats, bpd, error, kind = tested["elbo_nats"], tested.get("bound_bpd"), None, "ELBO"
    else:
        return ""
    values = [_with_error(nats, error, "nats")]
    if bpd is not None:
        values.append(_with_error(bpd, abs(error * bpd / nats) if error and nats else None, "bpd"))
    images = f", {tested['images']:,} test images" if "images" in tested else ""
    return f"{', '.join(values)} ({kind}{images})"


def _with_error(value: float, error: float | None, unit: str) -> str:
    words = format_number(value, unit)
    return f"{words} {unit}" if error is None else f"{words} ± {error:.2g} {unit}"


def _training(config: Mapping[str, Any], history: Sequence[Mapping[str, Any]], tested: Mapping[str, Any]) -> str:
    trained = [line for line in history if line["split"] == "train"]
    if not trained:
        return ""
    last = trained[-1]
    words = [f"{last['step']:,} steps of {config.get('train.batch_size')} images"]
    if "elapsed_seconds" in last:
        words[0] += f" in {format_duration(last['elapsed_seconds'])}"
    if "images_per_second" in last:
        words.append(f"{format_number(last['images_per_second'], 'images/s')} images/s at the end")
    if tested.get("step", last["step"]) != last["step"]:
        words.append(f"the numbers are of step {tested['step']:,}, whose validation bound is best")
    return ", ".join(words)


def _device(provenance: Mapping[str, Any]) -> str:
    devices = provenance.get("devices")
    if not isinstance(devices, list):
        return ""
    words = ", ".join(f"{count} x {kind}" for kind, count in Counter(map(str, devices)).items())
    cores = provenance.get("cpu_count")
    return f"{words}, on a machine of {cores} cores" if isinstance(cores, int) else words
