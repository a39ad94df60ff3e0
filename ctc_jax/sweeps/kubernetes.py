"""A sweep as Kubernetes jobs: an indexed job a run, a pod a host. Tests: tests/sweeps/test_kubernetes.py."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ctc_jax.errors import DIVERGED_EXIT_CODE, SAVED_EXIT_CODE, UserError

NAME = "kubernetes"
PORT = 9911
LONGEST_NAME = 40  # of 63, for a pod's own ending
GRACE_SECONDS = 120  # between SIGTERM and SIGKILL, to save
# Defaults of RESOURCES["kubernetes"] of a sweep file, with a meaning each.
OPTIONS: dict[str, tuple[Any, str]] = {
    "image": ("", "a container image that has ctc-jax"),
    "claim": ("", "a persistent volume claim that all pods can write, for the runs"),
    "mount": ("/runs", "where it is mounted; --workdir lies below"),
    "hosts": (1, "pods a run"),
    "limits": ({}, 'what a pod gets, such as {"nvidia.com/gpu": 8}'),
    "node_selector": ({}, "labels of the nodes"),
    "retries": (1_000, "pods that may be lost or save and end before a run counts as failed"),
}


def manifest(commands: Mapping[str, Sequence[str]], root: Path, resources: Mapping[str, Any]) -> dict[str, Any]:
    """All jobs of a sweep as one Kubernetes list.

    A pod that was told to end and saved (exit code 75), or whose node is taken away, is replaced, and the run goes on.
    A mistake of the user (2) and diverged training (3) fail the job at once.

    Args:
      commands: what each run starts with, by its name.
      root: folder of the sweep.
      resources: those of the sweep file; its "kubernetes" is looked at.

    Raises:
      UserError: an option is unknown or missing, or the folder is not on the volume.
    """
    given = dict(resources.get(NAME, {}))
    for option in given.keys() - OPTIONS.keys():
        raise UserError(f'RESOURCES["{NAME}"] has the unknown key {option!r}; allowed: {", ".join(OPTIONS)}')
    for option in ("image", "claim"):
        if not given.get(option):
            raise UserError(f'RESOURCES["{NAME}"] lacks {option!r}: {OPTIONS[option][1]}')
    options = {option: default for option, (default, _) in OPTIONS.items()} | given
    if Path(options["mount"]) not in (root, *root.parents):
        raise UserError(f"--workdir is {root}; allowed: a folder below {options['mount']}, where the volume is mounted")
    items = [part for name, command in commands.items() for part in _run(name, command, options)]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def job_name(name: str) -> str:
    """A run's name as Kubernetes allows it, unique by a digest."""
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    words = re.sub(r"[^a-z0-9]+", "-", name.lower())[: LONGEST_NAME - 13]
    return re.sub("-+", "-", f"run-{words}-{digest}")


def _run(name: str, command: Sequence[str], options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The job, and of several hosts the service that gives its pods names."""
    job, hosts = job_name(name), int(options["hosts"])
    if hosts > 1:
        flags = (f"--coordinator={job}-0.{job}:{PORT}", f"--processes={hosts}", "--process=$(JOB_COMPLETION_INDEX)")
        command = [*command, "--distributed", *flags]
    rules = [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "Count", "onExitCodes": {"containerName": "run", "operator": "In", "values": [SAVED_EXIT_CODE]}},
        {
            "action": "FailJob",
            "onExitCodes": {
                "containerName": "run",
                "operator": "In",
                "values": [UserError.exit_code, DIVERGED_EXIT_CODE],
            },
        },
    ]
    container = {
        "name": "run",
        "image": options["image"],
        "command": list(command),
        "resources": {"limits": {key: str(value) for key, value in options["limits"].items()}},
        "volumeMounts": [{"name": "runs", "mountPath": options["mount"]}],
    }
    pod = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "subdomain": job,
        "nodeSelector": dict(options["node_selector"]),
        "containers": [container],
        "volumes": [{"name": "runs", "persistentVolumeClaim": {"claimName": options["claim"]}}],
    }
    labels = {"app": "ctc-jax"}
    made = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": job, "labels": labels, "annotations": {"ctc-jax/run": name}},
        "spec": {
            "completionMode": "Indexed",
            "completions": hosts,
            "parallelism": hosts,
            "backoffLimit": int(options["retries"]),
            "podFailurePolicy": {"rules": rules},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    if hosts == 1:
        return [made]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": job, "labels": labels},
        # A pod that is not ready yet is looked for as well: they find one another before they are.
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {"batch.kubernetes.io/job-name": job},
        },
    }
    return [service, made]
