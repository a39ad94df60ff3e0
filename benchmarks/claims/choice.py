"""Where a choice is the right latent: claim e of docs/founding-claim.md, each factor alone, three seeds, resumed.

depth: layers of the decoder between a latent and the pixels, 0 being linear.
label: one code, the label, for many images: what levels of each family below it bring.
likelihoods: the same code without levels, under each likelihood of grey pixels.
combinations: several digits, or pieces of digits beside one.
few: the highest level alone; rate at a fixed distortion.

Each factor's sweep is done by launch.py first, goes on where it was broken off, and shares the runs that another has by
the same name; --tabulate makes the pages of what is finished. Further arguments go to launch.py. A run with another
seed:

    python launch.py --config=configs/choice_claim.py --config.model.decoder_blocks=0 --config.seed=3
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    "few": Factor("configs/sweeps/choice_few.py", "few"),
}
CORE = ("depth", "label")
# What a row's name says of a run's overrides beside its family or likelihood.
WORDS = {
    "model.decoder_blocks": "depth {}",
    "data.objects": "{} digits",
    "data.distractors": "{} pieces",
    "model.ctc_hierarchy.channels": "channels {}",
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
        "rate_nats": [sum(of[key] for key in held if key.startswith("kl_nats/")) for of in last],
        "distortion_nats": [-of["log_likelihood_nats"] for of in last],
        **{_heading(key): [of[key] for of in last] for key in held},
    }
    return line | {heading: summary(values)[0] for heading, values in of_each.items()}


def _heading(key: str) -> str:
    kind, _, latent = key.partition("/")
    return f"{'masks of ' if kind.startswith('mask') else ''}{latent.replace('_', ' ')}_nats"


def pairs(names: Iterable[str]) -> list[tuple[str, str]]:
    """What is compared: masks with the Gaussian row that has all else alike; ctc with every other likelihood."""
    names = list(names)
    if CTC in names:
        return [(CTC, name) for name in names if name != CTC]
    found = []
    for name in names:
        head, comma, rest = name.partition(", ")
        other = GAUSSIAN + comma + rest
        if head != GAUSSIAN and other in names:
            found.append((name, other))
    return found


def differences(rows: Mapping[str, Figures]) -> list[dict[str, Any]]:
    """What the first row of each pair has more than the second, by pairs of a seed."""
    made = []
    for one, other in pairs(rows):
        seeds = sorted(rows[one].keys() & rows[other].keys())
        if seeds:
            line: dict[str, Any] = {"row": one, "less": other, "seeds": len(seeds)}
            for heading, key in (("bound, nats", "elbo_nats"), ("importance bound, nats", "importance_bound_nats")):
                mean, error = summary([rows[one][seed][key] - rows[other][seed][key] for seed in seeds])
                line[heading] = verdict(mean, error, len(seeds))
            made.append(line)
    return made


def main() -> None:
    """Trains what is not trained yet, and tabulates."""
    flags = parser(__doc__, "choice")
    flags.add_argument("--factors", nargs="+", default=list(CORE), choices=list(FACTORS), help="default: depth label")
    flags.add_argument("--sweeps", type=Path, default=ROOT / "runs" / "choice_claim", help="a folder for each preset")
    flags.add_argument("--parallel", type=int, default=1, help="runs at once")
    flags.add_argument("--tabulate", action="store_true", help="train nothing")
    arguments, overrides = flags.parse_known_args()
    limit_threads(arguments.threads)
    for name in arguments.factors:
        factor = FACTORS[name]
        root = arguments.sweeps.absolute() / (factor.preset or "places")
        if not arguments.tabulate:
            config = f"{CONFIG}{factor.preset and ':'}{factor.preset}"
            finish_sweep(config, factor.sweep, root, parallel=arguments.parallel, overrides=overrides)
        runs = finished(get_config(factor.preset), factor.sweep, root, row_name)
        figures = test_figures(runs)
        first = {label: next(iter(by_seed.values())) for label, by_seed in runs.items()}
        made = {
            "": [row(label, by_seed) for label, by_seed in figures.items()],
            "differences": differences(figures),
            "runs": [{"row": label, **training_figures(run)} for label, run in first.items()],
        }
        output = arguments.output.with_stem(f"{arguments.output.stem}_{name}")
        notes = [NOTE]
        for label, run in first.items():
            notes += copy_pictures(run, output.with_suffix(""), PICTURES, label)
        write(output, f"Where a choice is the right latent: {name}", made, notes)


NOTE = (
    "Test set, means over seeds. Rate is the KL of all latents from their priors, distortion -log p(x given z), the "
    "bound minus the sum of the two; then the KL of each latent, the lowest level at the image, and what of it masks "
    "cost. Differences are of pairs of a seed, mean and standard error, more being better; decided where Student's "
    "interval of 95% leaves out 0. Training figures are those of the first seed."
)


if __name__ == "__main__":
    main()
