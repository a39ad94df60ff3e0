"""Where a choice is the right latent: claim e of docs/founding-claim.md, each factor alone, three seeds, resumed.

depth: layers of the decoder between a latent and the pixels, 0 being linear.
label: one code, the label, for many images: what levels of each family below it bring.
likelihoods: the same code without levels, under each likelihood of grey pixels.
combinations: several digits, or pieces of digits beside one.
values: pooled levels of four times the channels, so that as many values are active as in Gaussian ones.
few: the highest level alone; rate at a distortion that both families reach.

Each factor's sweep is done by launch.py first, goes on where it was broken off, and shares the runs that another has by
the same name; --tabulate makes the pages of what is finished. --judge looks at finished runs by more than their bound,
without training: whole digits among samples, places read off codes, and whether masks say where; what it finds is kept
beside each run, and shown from then on. Further arguments go to launch.py. A run with another seed:

    python launch.py --config=configs/choice_claim.py --config.model.decoder_blocks=0 --config.seed=3
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.claims.choice_judges import judge, judged
from benchmarks.claims.founding import summary, verdict
from benchmarks.harness.finished_runs import training_figures
from benchmarks.harness.finished_sweeps import finish_sweep, finished, test_figures
from benchmarks.harness.machine import ROOT, limit_threads
from benchmarks.harness.pictures import copy_pictures
from benchmarks.harness.results import parser, write
from configs.choice_claim import get_config

CONFIG = "configs/choice_claim.py"
GAUSSIAN, CTC = "gaussian", "ctc"
PICTURES = ("mean_and_samples", "one_code", "masks", "what_where")
# What differences are of, more being better.
JUDGED = {
    "bound, nats": "elbo_nats",
    "importance bound, nats": "importance_bound_nats",
    "share of whole digits": "whole/samples",
}
Figures = Mapping[int, Mapping[str, float]]


@dataclass(frozen=True)
class Factor:
    """What is varied.

    Attributes:
      sweep: its file.
      preset: of the config that it changes.
    """

    sweep: str
    preset: str = ""


FACTORS = {
    "depth": Factor("configs/sweeps/choice_depth.py"),
    "label": Factor("configs/sweeps/choice_label.py", "label"),
    "likelihoods": Factor("configs/sweeps/likelihoods.py", "label_grey"),
    "combinations": Factor("configs/sweeps/choice_combinations.py"),
    "values": Factor("configs/sweeps/choice_values.py"),
    "few": Factor("configs/sweeps/choice_few.py", "few"),
}
CORE = ("depth", "label")
# What a row's name says of a run's overrides beside its family or likelihood.
WORDS = {
    "model.decoder_blocks": "depth {}",
    "data.objects": "{} digits",
    "data.distractors": "{} pieces",
    "model.ctc_hierarchy.channels": "channels {}",
    "model.width": "width {}",
    "train.steps": "{} steps",
}


def row_name(overrides: Mapping[str, Any]) -> str:
    """`ctc_pool, depth 0`: what the levels are made of, or the likelihood, and what else is changed."""
    families = overrides.get("model.ctc_hierarchy.families")
    head = families.rpartition(",")[2] if families else overrides["likelihood.name"]
    return ", ".join([head, *(words.format(overrides[key]) for key, words in WORDS.items() if key in overrides)])


def row(name: str, by_seed: Figures) -> dict[str, Any]:
    """Bound, rate and distortion of a row, and what each latent holds: means over seeds, and the bound's error."""
    line: dict[str, Any] = {"row": name, "seeds": len(by_seed)}
    last = list(by_seed.values())
    line["bound_nats"], line["error of the bound_nats"] = summary([of["elbo_nats"] for of in last])
    held = [key for key in last[0] if key.startswith(("kl_nats/", "mask_kl_nats/")) and not key.endswith("/label")]
    of_each = {
        "importance bound_nats": [of["importance_bound_nats"] for of in last],
        "rate_nats": [_rate(of) for of in last],
        "distortion_nats": [-of["log_likelihood_nats"] for of in last],
        **{_heading(key): [of[key] for of in last] for key in held},
    }
    return line | {heading: summary(values)[0] for heading, values in of_each.items()}


def judges(name: str, by_seed: Figures) -> dict[str, Any]:
    """What a row is judged by beside its bound, over the seeds that were: means, and the error of whole digits."""
    found = [of for of in by_seed.values() if "whole/samples" in of]
    line: dict[str, Any] = {"row": name, "seeds": len(found)}
    if not found:
        return line
    line["whole digits of samples"], line["error of them"] = summary([of["whole/samples"] for of in found])
    names = {
        "of real canvases": "whole/real",
        "of real ones torn": "torn/real",
        "things on a sample": "things_a_canvas/samples",
        "on a real canvas": "things_a_canvas/real",
        "follows masks": "follows_masks",
        **{f"place by {key.partition('/')[2].replace('_', ' ')}": key for key in found[0] if key.startswith("place/")},
    }
    return line | {
        heading: summary([of[key] for of in found])[0]
        for heading, key in names.items()
        if all(key in of for of in found)
    }


def _rate(figures: Mapping[str, float]) -> float:
    return sum(value for key, value in figures.items() if key.startswith("kl_nats/"))


def _heading(key: str) -> str:
    kind, _, latent = key.partition("/")
    return f"{'masks of ' if kind.startswith('mask') else ''}{latent.replace('_', ' ')}_nats"


def pairs(names: Iterable[str]) -> list[tuple[str, str]]:
    """What is compared: masks with the Gaussian row that has all else alike, or less changed; ctc with every other
    likelihood."""
    names = list(names)
    if CTC in names:
        return [(CTC, name) for name in names if name != CTC]
    plain = [name for name in names if name.split(", ")[0] == GAUSSIAN]
    found = []
    for name in names:
        family, rest = name.split(", ")[0], name.partition(", ")[2]
        alike = [other for other in plain if rest.startswith(other.partition(", ")[2])]
        if family != GAUSSIAN and alike:
            found.append((name, max(alike, key=len)))
    return found


def rates(rows: Mapping[str, Figures]) -> list[dict[str, Any]]:
    """How much less rate masks need than Gaussian values for the least distortion that both reach, by pairs of a seed.

    Rows of a family are points of rate and distortion, between which the rate is taken to be linear.
    """
    curves: dict[str, dict[int, list[tuple[float, float]]]] = {}
    for name, by_seed in rows.items():
        for seed, of in by_seed.items():
            point = (-of["log_likelihood_nats"], _rate(of))
            curves.setdefault(name.split(", ")[0], {}).setdefault(seed, []).append(point)
    made = []
    for family in curves.keys() - {GAUSSIAN}:
        found = []
        for seed in sorted(curves[family].keys() & curves.get(GAUSSIAN, {}).keys()):
            both = [np.array(sorted(curves[name][seed])).T for name in (GAUSSIAN, family)]
            at = max(distortions[0] for distortions, _ in both)
            if at <= min(distortions[-1] for distortions, _ in both):
                found.append((at, *(float(np.interp(at, *curve)) for curve in both)))
        if found:
            distortion, gaussian, masked = (summary(values)[0] for values in zip(*found, strict=True))
            mean, error = summary([one - other for _, one, other in found])
            made.append(
                {
                    "row": family,
                    "seeds": len(found),
                    "at a distortion of_nats": distortion,
                    "rate_nats": masked,
                    "rate of gaussian_nats": gaussian,
                    "less rate, nats": verdict(mean, error, len(found)),
                }
            )
    return made


def differences(rows: Mapping[str, Figures]) -> list[dict[str, Any]]:
    """What the first row of each pair has more than the second, by pairs of a seed."""
    made = []
    for one, other in pairs(rows):
        seeds = sorted(rows[one].keys() & rows[other].keys())
        if seeds:
            line: dict[str, Any] = {"row": one, "less": other, "seeds": len(seeds)}
            for heading, key in JUDGED.items():
                known = [seed for seed in seeds if key in rows[one][seed] and key in rows[other][seed]]
                if known:
                    mean, error = summary([rows[one][seed][key] - rows[other][seed][key] for seed in known])
                    line[heading] = verdict(mean, error, len(known))
            made.append(line)
    return made


def main() -> None:
    """Trains what is not trained yet, and tabulates."""
    flags = parser(__doc__, "choice")
    flags.add_argument("--factors", nargs="+", default=list(CORE), choices=list(FACTORS), help="default: depth label")
    flags.add_argument("--sweeps", type=Path, default=ROOT / "runs" / "choice_claim", help="a folder for each preset")
    flags.add_argument("--parallel", type=int, default=1, help="runs at once")
    flags.add_argument("--tabulate", action="store_true", help="train nothing")
    flags.add_argument("--judge", action="store_true", help="judge finished runs by more than their bound")
    arguments, overrides = flags.parse_known_args()
    limit_threads(arguments.threads)
    for name in arguments.factors:
        factor = FACTORS[name]
        root = arguments.sweeps.absolute() / (factor.preset or "places")
        if not arguments.tabulate:
            config = f"{CONFIG}{factor.preset and ':'}{factor.preset}"
            finish_sweep(config, factor.sweep, root, parallel=arguments.parallel, overrides=overrides)
        runs = finished(get_config(factor.preset), factor.sweep, root, row_name)
        for run in (run for by_seed in runs.values() for run in by_seed.values() if arguments.judge):
            judge(run)
        figures = {
            label: {seed: {**of, **judged(runs[label][seed])} for seed, of in by_seed.items()}
            for label, by_seed in test_figures(runs).items()
        }
        first = {label: next(iter(by_seed.values())) for label, by_seed in runs.items()}
        made = {
            "": [row(label, by_seed) for label, by_seed in figures.items()],
            "differences": differences(figures),
            **({"rate at equal distortion": rates(figures)} if name == "few" else {}),
            "whole digits and places": [judges(label, by_seed) for label, by_seed in figures.items()],
            "runs": [{"row": label, **training_figures(run)} for label, run in first.items()],
        }
        output = arguments.output.with_stem(f"{arguments.output.stem}_{name}")
        notes = [NOTE]
        for label, run in first.items():
            notes += copy_pictures(run, output.with_suffix(""), PICTURES, label)
        tables = {heading: rows for heading, rows in made.items() if rows}
        write(output, f"Where a choice is the right latent: {name}", tables, notes)


NOTE = (
    "Test set, means over seeds. Rate is the KL of all latents from their priors, distortion -log p(x given z), the "
    "bound minus the sum of the two; then the KL of each latent, the lowest level at the image, and what of it masks "
    "cost. Differences are of pairs of a seed, mean and standard error, more being better; decided where Student's "
    "interval of 95% leaves out 0. Whole digits are a share of the things on a canvas, groups of 8 and more pixels: "
    "those that fit into a square of 14 x 14 and to which a classifier of single digits gives one label with 0.9; of "
    "samples, of as many real canvases, and of these if each thing had the lower half of the next. Place: the share of "
    "its variance over test images that a linear map finds by pixels, by the mean of each latent, by all of them, and "
    "by the probabilities of masks alone. What follows masks: how far of the way to another image's place a digit goes "
    "that is given that image's masks. Training figures are those of the first seed."
)


if __name__ == "__main__":
    main()
