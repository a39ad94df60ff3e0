import json
import re
from pathlib import Path

import kubernetes_validate
import pytest

from ctc_jax.errors import UserError
from ctc_jax.sweeps import kubernetes

GIVEN = {"image": "registry/ctc:1", "claim": "runs", "limits": {"nvidia.com/gpu": 8}, "node_selector": {"pool": "h"}}
COMMANDS = {"likelihood.name=ctc,seed=0": ["ctc-jax", "--config=configs/cifar_ctc.py"], "Seed=1": ["ctc-jax"]}


def manifest(root="/runs/sweep", **changes):
    return kubernetes.manifest(COMMANDS, Path(root), {"timeout_min": 3, "kubernetes": {**GIVEN, **changes}})


def checked(found) -> list[dict]:
    found = json.loads(json.dumps(found))  # as it is printed
    for item in found["items"]:
        kubernetes_validate.validate(item, "1.33", strict=True)
    return found["items"]


def test_a_run_of_one_host_is_a_job():
    first, second = checked(manifest())
    assert (first["kind"], second["kind"]) == ("Job", "Job")
    assert first["metadata"]["annotations"]["ctc-jax/run"] == "likelihood.name=ctc,seed=0"
    assert first["metadata"]["name"] != second["metadata"]["name"]
    pod = first["spec"]["template"]["spec"]
    assert pod["containers"][0]["command"] == COMMANDS["likelihood.name=ctc,seed=0"]
    assert pod["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": "8"}
    assert pod["containers"][0]["volumeMounts"] == [{"name": "runs", "mountPath": "/runs"}]


def test_a_run_of_several_hosts_is_an_indexed_job_whose_pods_know_the_first():
    service, job, *_ = checked(manifest(hosts=4))
    name = job["metadata"]["name"]
    assert (job["spec"]["completions"], job["spec"]["parallelism"], job["spec"]["completionMode"]) == (4, 4, "Indexed")
    assert job["spec"]["template"]["spec"]["containers"][0]["command"][2:] == [
        "--distributed",
        f"--coordinator={name}-0.{name}:9911",
        "--processes=4",
        "--process=$(JOB_COMPLETION_INDEX)",
    ]
    assert (service["kind"], service["metadata"]["name"], service["spec"]["clusterIP"]) == ("Service", name, "None")
    assert service["spec"]["selector"] == {"batch.kubernetes.io/job-name": name}


@pytest.mark.parametrize("name", ["a" * 200, "likelihood.name=ctc,seed=0", "__", "x-" * 30])
def test_names_are_those_of_hosts_and_unique(name):
    made = kubernetes.job_name(name)
    assert len(made) <= kubernetes.LONGEST_NAME
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", made)
    assert made != kubernetes.job_name(name + "b")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"image": ""}, "lacks 'image': a container image"),
        ({"claim": ""}, "lacks 'claim': a persistent volume claim"),
        ({"gpus": 3}, "unknown key 'gpus'; allowed: image, claim, mount"),
        ({"root": "/elsewhere/sweep"}, "--workdir is /elsewhere/sweep; allowed: a folder below /runs"),
    ],
)
def test_what_is_missing_or_wrong_is_told(changes, told):
    with pytest.raises(UserError, match=told):
        manifest(**changes)
