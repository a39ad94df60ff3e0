"""Adaptive search over keys of a config, by Optuna. Tests: tests/sweeps/test_search.py.

A search file is a Python file with `suggest(trial)`, which gives the overrides of one run from an Optuna trial, for
example `{"train.learning_rate": trial.suggest_float("rate", 1e-4, 1e-2, log=True)}`, and, where others than the
defaults are wanted, `SAMPLER` and `PRUNER`: objects of Optuna. A sampler with a seed repeats itself in each launcher.
"""

import contextlib
import fcntl
import os
import platform
import runpy
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import ml_collections

from ctc_jax.errors import DIVERGED_EXIT_CODE, SAVED_EXIT_CODE, UserError
from ctc_jax.options import flatten
from ctc_jax.reporting import read_history
from ctc_jax.sweeps import saved_config
from ctc_jax.sweeps.execute import LAUNCH, PROJECT, last_line, signals_interrupt
from ctc_jax.sweeps.expand import Overrides, Trial, checked, run_name
from ctc_jax.sweeps.ledger import write_whole
from ctc_jax.sweeps.running_jobs import POLL_SECONDS
from ctc_jax.sweeps.summary import Outcome, write_summary

ERROR, WORKER, RUN = "error", "worker", "run"  # what a trial of Optuna's is marked with
STATES = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running", "WAITING": "waiting"}
FAILURES = 3  # in a row, and no more is tried


def search(
    config_file: str,
    search_file: str,
    *,
    root: Path,
    config: ml_collections.ConfigDict,
    runs: int,
    parallel: int = 1,
    command: Sequence[str] = LAUNCH,
) -> int:
    """Runs one config after the other, each chosen by what the ones before reached on the validation images.

    A run whose validation bound is worse than that of most others at its step is stopped (Optuna's pruning); one that
    diverges counts as such. What is known lies in `root/search.journal`, so that the same command goes on with a
    search, and several of them work on one at once: Optuna advises against its SQLite storage for that. Runs of a
    launcher that was stopped or killed are taken up where they saved.

    Args:
      config_file: the experiment's file, for the page.
      search_file: a Python file with `suggest(trial)`.
      root: folder of the search, one folder a run in it.
      config: what the overrides change.
      runs: how many there are to be, finished or pruned.
      parallel: of this launcher at once.
      command: what a run starts with.

    Returns:
      The exit code: 1 when a run failed, 75 when stopped, else 0.

    Raises:
      UserError: Optuna is not there, the search file or an override is wrong, or the folder cannot be written.
    """
    work = _Search(root.absolute(), config_file, search_file, config, runs, tuple(command))
    with work.signed_in(), signals_interrupt():
        work.take_up()
        print(f"search of {runs} runs in {work.root}, {parallel} at once", flush=True)
        with ThreadPoolExecutor(parallel) as threads:
            workers = [threads.submit(work.work) for _ in range(parallel)]
            try:
                while not all(worker.done() for worker in workers):
                    time.sleep(POLL_SECONDS)
            except KeyboardInterrupt:
                print("stopping the runs, which save first", flush=True)
                work.stop()
        for worker in workers:
            worker.result()
    return work.told()


class _Search:
    """What the workers of one launcher share."""

    def __init__(
        self,
        root: Path,
        config_file: str,
        search_file: str,
        config: ml_collections.ConfigDict,
        runs: int,
        command: tuple[str, ...],
    ):
        self.optuna = _optuna()
        names = _read(search_file)
        self.root, self.config, self.runs, self.command = root, config, runs, command
        self.base, self.suggest = flatten(config.to_dict()), names["suggest"]
        self.files = {"config_file": config_file, "sweep_file": search_file}
        try:
            for folder in ("configs", "logs", "workers"):
                (root / folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"workdir {root} cannot be written: {error.strerror}; choose another --workdir") from None
        self.worker = f"{platform.node()}-{os.getpid()}"
        journal = self.optuna.storages.journal
        self.study = self.optuna.create_study(
            storage=self.optuna.storages.JournalStorage(journal.JournalFileBackend(str(root / "search.journal"))),
            study_name="search",
            load_if_exists=True,
            sampler=names.get("SAMPLER") or self.optuna.samplers.TPESampler(constant_liar=True),
            pruner=names.get("PRUNER") or self.optuna.pruners.MedianPruner(),
        )
        self.lock, self.stopping = threading.Lock(), threading.Event()
        self.children: set[subprocess.Popen] = set()
        self.failures = 0

    @contextlib.contextmanager
    def signed_in(self) -> Iterator[None]:
        """A lock that lasts as long as this launcher: another one sees by it whose runs are at work."""
        path = self.root / "workers" / self.worker
        with open(path, "w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            try:
                yield
            finally:
                path.unlink(missing_ok=True)

    def take_up(self) -> None:
        """Puts the runs of launchers that are gone before all others."""
        for trial in self.study.get_trials(states=[self.optuna.trial.TrialState.RUNNING]):
            if _gone(self.root / "workers" / trial.user_attrs.get(WORKER, "none")):
                self._again(trial.number, trial.params)

    def work(self) -> None:
        """Runs, until there are as many as asked for."""
        while not self.stopping.is_set():
            with self.lock:
                if self._counted() >= self.runs or self.failures >= FAILURES:
                    return
                trial = self.study.ask()
                trial.set_user_attr(WORKER, self.worker)
                overrides = checked(dict(self.suggest(trial)), self.base)
                trial.set_user_attr(RUN, {"name": run_name(overrides), "overrides": overrides})
            self._run(trial, run_name(overrides), overrides)
            with self.lock:
                self._write_page()

    def stop(self) -> None:
        """Asks all runs to save and end."""
        self.stopping.set()
        for child in list(self.children):
            child.terminate()

    def told(self) -> int:
        """The end of a search in words; its exit code."""
        self._write_page()
        print(f"summary: {self.root / 'sweep.html'}", flush=True)
        finished = self.study.get_trials(states=[self.optuna.trial.TrialState.COMPLETE])
        if finished:
            best = self.study.best_trial
            print(f"best: {best.value:.4f} bpd on validation images by {best.user_attrs[RUN]['name']}", flush=True)
        failed = [trial for trial in self.study.get_trials() if ERROR in trial.user_attrs]
        for trial in failed:
            print(f"  {trial.user_attrs[RUN]['name']} failed: {trial.user_attrs[ERROR]}", flush=True)
        if failed:
            return 1
        return 0 if self._counted() >= self.runs else SAVED_EXIT_CODE

    def _run(self, trial: Any, name: str, overrides: Overrides) -> None:
        """One run, to its end or until it is pruned; what Optuna is told of it."""
        states, log = self.optuna.trial.TrialState, self.root / "logs" / f"{name}.log"
        code, pruned = self._follow(trial, name, overrides, log)
        with self.lock:
            if not pruned and code not in (0, SAVED_EXIT_CODE, DIVERGED_EXIT_CODE):
                self.failures += 1
                trial.set_user_attr(ERROR, f"exit code {code}, log {log}: {last_line(log)}")
                self.study.tell(trial, state=states.FAIL)
                return
            self.failures = 0
            if code == SAVED_EXIT_CODE and not pruned:  # it was stopped, by us or by whoever runs this machine
                self._again(trial.number, trial.params)
                return
            bounds = [bound for _, bound in _bounds(self.root / name)]
            if finished := code == 0 and bounds and not pruned:
                self.study.tell(trial, min(bounds))
            else:
                self.study.tell(trial, state=states.PRUNED)
            said = f"{min(bounds):.4f} bpd" if bounds else "no bound"
            how = "finished" if finished else "pruned" if pruned else "diverged"
            print(f"[{self._counted(running=False)}/{self.runs}] {how} {name}: {said}", flush=True)

    def _follow(self, trial: Any, name: str, overrides: Overrides, log: Path) -> tuple[int, bool]:
        """Reports each validation bound; the exit code, and whether the run was pruned."""
        saved = self.root / "configs" / f"{name}.json"
        write_whole(saved, saved_config.text(self.config, overrides))
        arguments = [f"--config={saved_config.__file__}:{saved}", f"--workdir={self.root / name}", "--mode=train"]
        path = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH", "")]))
        told, size, pruned, metrics = 0, 0, False, self.root / name / "metrics.jsonl"
        with open(log, "ab") as output:
            child = subprocess.Popen(
                [*self.command, *arguments],
                stdout=output,
                stderr=output,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,  # a terminal's Ctrl-C is ours to pass on
            )
            self.children.add(child)
            if self.stopping.is_set():
                child.terminate()
            while True:
                ended = child.poll() is not None
                now = metrics.stat().st_size if metrics.exists() else 0
                if now != size:
                    size, bounds = now, _bounds(self.root / name)
                    for step, bound in bounds[told:]:
                        trial.report(bound, step)
                    told = max(told, len(bounds))
                    if not ended and not pruned and bounds and trial.should_prune():
                        pruned = True
                        child.terminate()
                if ended:
                    break
                time.sleep(POLL_SECONDS)
            self.children.discard(child)
        return child.returncode, pruned

    def _again(self, number: int, params: Mapping[str, Any]) -> None:
        """The same run once more, as the next: its directory has what it saved."""
        self.study.tell(number, state=self.optuna.trial.TrialState.FAIL)
        self.study.enqueue_trial(dict(params))

    def _counted(self, *, running: bool = True) -> int:
        """Runs that are done or at work, not those that are to be taken up again."""
        states = self.optuna.trial.TrialState
        done = (states.COMPLETE, states.PRUNED, *([states.RUNNING] if running else []))
        return sum(trial.state in done or ERROR in trial.user_attrs for trial in self.study.get_trials(deepcopy=False))

    def _write_page(self) -> None:
        trials, outcomes = {}, {}
        for of in self.study.get_trials(deepcopy=False):
            if RUN in of.user_attrs:
                known = of.user_attrs[RUN]
                trials[known["name"]] = Trial(known["name"], known["overrides"])
                outcomes[known["name"]] = Outcome(STATES[of.state.name])
        write_summary(self.root, **self.files, trials=list(trials.values()), outcomes=outcomes)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise UserError("--search needs the package optuna: pip install 'ctc-jax[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _read(path: str) -> dict[str, Any]:
    if not Path(path).is_file():
        raise UserError(f"search file {path} does not exist")
    try:
        names = runpy.run_path(path)
    except Exception as error:
        raise UserError(f"search file {path} fails: {type(error).__name__}: {error}") from error
    if not isinstance(names.get("suggest"), Callable):
        raise UserError(f"search file {path} has no function suggest(trial)")
    return names


def _bounds(workdir: Path) -> list[tuple[int, float]]:
    """Steps and validation bounds of a run so far, bits per dimension, those that are finite."""
    try:
        lines = read_history(workdir)
    except UserError:  # half a line
        return []
    found = [(line["step"], line["bound_bpd"]) for line in lines if line["split"] == "validation"]
    return [(step, bound) for step, bound in found if abs(bound) < float("inf")]


def _gone(lock: Path) -> bool:
    """Whether no launcher holds it."""
    try:
        with open(lock) as held:
            return _free(held)
    except FileNotFoundError:
        return True


def _free(held: IO[str]) -> bool:
    try:
        fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
