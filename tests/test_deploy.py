"""The manifests of deploy/: valid for several versions of Kubernetes, and meaning what they should."""

from __future__ import annotations

import copy
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonpatch
import kubernetes_validate
import pytest
from packaging.requirements import Requirement

from pytest_mcode.settings import OPTIONS
from tests.kustomize import KustomizeError, built, read
from tests.manifests import Manifest, connects, leaves, pods, problems

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
OVERLAYS = sorted(path.parent.name for path in DEPLOY.glob("overlays/*/kustomization.yaml"))
SERVERS = ("ollama", "vllm")
VERSIONS = ("1.29", "1.31", "1.33", "1.35", "1.37")
SECRETS = {"mcode-db": ("url",)}

MCODE = {"app.kubernetes.io/name": "mcode"}
BENCH, PREPARE, COLLECT = ({**MCODE, "app.kubernetes.io/component": name} for name in ("bench", "prepare", "collect"))
SERVER = {"mcode.dev/role": "model-server"}
OLLAMA = {"app.kubernetes.io/name": "ollama", **SERVER}
PULL = {"app.kubernetes.io/name": "ollama-pull"}
DATABASE = {"mcode.dev/role": "database"}
STRANGER = {"app.kubernetes.io/name": "shop"}


def overlay(name: str) -> list[Manifest]:
    return built(DEPLOY / "overlays" / name)


def server(name: str) -> list[Manifest]:
    return read(DEPLOY / "k8s" / f"{name}.yaml")


def namespace(name: str) -> list[Manifest]:
    """All that is there once an overlay has been applied, in the order of the walk-through."""
    applied = [*(one for each in SERVERS for one in server(each)), *overlay("prepare"), *overlay(name)]
    return list({(one["kind"], one["metadata"]["name"]): one for one in applied}.values())


def find(manifests: list[Manifest], kind: str, name: str) -> Any:
    (found,) = [one for one in manifests if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return found


@pytest.fixture(scope="module")
def sqlite() -> list[Manifest]:
    return namespace("sqlite")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", [*OVERLAYS, *SERVERS])
def test_every_manifest_fits_the_schema_of_several_kubernetes_versions(name: str, version: str) -> None:
    for one in server(name) if name in SERVERS else overlay(name):
        assert kubernetes_validate.validate(one, version, strict=True) == version


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_overlay_means_something(name: str) -> None:
    assert problems(namespace(name), SECRETS if "postgres" in name else {}) == []


def test_overlays_bring_what_they_are_for() -> None:
    jobs = {name: [one["metadata"]["name"] for one in overlay(name) if one["kind"] == "Job"] for name in OVERLAYS}
    assert jobs == {
        "collect": ["mcode-collect"],
        "collect-postgres": ["mcode-collect"],
        "postgres": ["mcode-bench"],
        "prepare": ["mcode-prepare"],
        "sqlite": ["mcode-bench"],
    }


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("resources: [../..]", "cycle detected"),
        ("resources: [../outside.yaml]", "not in or below"),
        ("resources: [one.yaml, one.yaml]", "already registered"),
        ("resources: [one.yaml]\npatches: [{target: {kind: Pod, name: two}, patch: '[]'}]", "of which there are 0"),
        ("resources: [one.yaml]\nnamePrefix: x", "not understood here: namePrefix"),
    ],
)
def test_what_kustomize_refuses_is_refused(content: str, complaint: str, tmp_path: Path) -> None:
    place = tmp_path / "base" / "overlay"
    place.mkdir(parents=True)
    head = "kind: Kustomization\n"
    (tmp_path / "kustomization.yaml").write_text(head)
    (tmp_path / "base" / "outside.yaml").write_text("kind: Pod\nmetadata: {name: one}")
    (place / "one.yaml").write_text("kind: Pod\nmetadata: {name: one}")
    (place / "kustomization.yaml").write_text(head + content)
    with pytest.raises(KustomizeError, match=complaint):
        built(place)


def test_a_word_that_kubernetes_does_not_know_is_no_manifest(sqlite: list[Manifest]) -> None:
    for path in ("/spec/completion", "/spec/template/spec/containers/0/securityContext/readOnlyRootFileSystem"):
        job = jsonpatch.apply_patch(find(sqlite, "Job", "mcode-bench"), [{"op": "add", "path": path, "value": 1}])
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(job, VERSIONS[0], strict=True)


SPEC = "/spec/template/spec"
FIRST = f"{SPEC}/containers/0"
#: A mistake in a manifest, and what is said of it.
MISTAKES: dict[str, tuple[str, str, str, Any, str]] = {
    "no count of an indexed job": ("Job mcode-bench", "remove", "/spec/completions", None, "Indexed needs completions"),
    "another count than shards": ("Job mcode-bench", "replace", "/spec/completions", 9, "9 completions for 8 shards"),
    "a job that is started again": (
        *("Job mcode-prepare", "replace", f"{SPEC}/restartPolicy", "Always"),
        "restartPolicy must be Never or OnFailure",
    ),
    "pods that are started again in place": (
        *("Job mcode-bench", "replace", f"{SPEC}/restartPolicy", "OnFailure"),
        "need restartPolicy Never",
    ),
    "limits of no index": ("Job mcode-bench", "remove", "/spec/completionMode", None, "backoffLimitPerIndex needs"),
    "too many failed indexes": ("Job mcode-bench", "replace", "/spec/maxFailedIndexes", 9, "maxFailedIndexes needs"),
    "a policy for another container": (
        *("Job mcode-bench", "replace", "/spec/podFailurePolicy/rules/1/onExitCodes/containerName", "bench"),
        "names the container bench",
    ),
    "a policy on success": (
        *("Job mcode-bench", "add", "/spec/podFailurePolicy/rules/1/onExitCodes/values/0", 0),
        "none of them 0",
    ),
    "a policy on nothing": (
        *("Job mcode-bench", "remove", "/spec/podFailurePolicy/rules/0/onPodConditions", None),
        "must have exit codes or conditions",
    ),
    "a mount of nothing": ("Job mcode-bench", "replace", f"{SPEC}/volumes/0/name", "other", "results has no volume"),
    "a volume for nobody": (
        "Job mcode-bench",
        "add",
        f"{SPEC}/volumes/-",
        {"name": "x", "emptyDir": {}},
        "not mounted",
    ),
    "a claim that is not there": (
        *("Job mcode-bench", "replace", f"{SPEC}/volumes/0/persistentVolumeClaim/claimName", "results"),
        "there is no claim results",
    ),
    "a config map that is not there": (
        *("Job mcode-bench", "replace", f"{FIRST}/envFrom/0/configMapRef/name", "bench"),
        "there is no config map bench",
    ),
    "a secret that is not there": (
        *("Job mcode-bench", "add", f"{FIRST}/env/-"),
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "mcode-db", "key": "password"}}},
        "there is no secret mcode-db with password",
    ),
    "a variable twice": ("Job mcode-bench", "add", f"{FIRST}/env/-", {"name": "MCODE_DB", "value": ""}, "2 times"),
    "a reference to what comes later": ("Job mcode-bench", "move", f"{FIRST}/env/1", None, "JOB_COMPLETION_INDEX) is"),
    "an argument of no variable": ("Job mcode-bench", "replace", f"{FIRST}/args/1", "$(BENCH)", "$(BENCH) is no"),
    "more than the limit": ("Job mcode-bench", "replace", f"{FIRST}/resources/requests/memory", "4Gi", "requests more"),
    "no limit": ("Job mcode-bench", "remove", f"{FIRST}/resources/limits", None, "no limits of memory"),
    "more files than storage": (
        "Job mcode-bench",
        "replace",
        f"{SPEC}/volumes/1/emptyDir/sizeLimit",
        "5Gi",
        "store less",
    ),
    "any version": ("Job mcode-bench", "replace", f"{FIRST}/image", "registry:5000/mcode", "may be another one"),
    "a probe of another port": (
        *("Deployment ollama", "replace", f"{FIRST}/readinessProbe/httpGet/port", "web"),
        "readinessProbe asks port web",
    ),
    "a selector of others": (
        *("Deployment ollama", "replace", "/spec/selector/matchLabels/app.kubernetes.io~1name", "llama"),
        "does not match its pods",
    ),
    "a service of nobody": (
        *("Service ollama", "replace", "/spec/selector/app.kubernetes.io~1name", "llama"),
        "no pod is behind it",
    ),
    "a service at another port": ("Service vllm", "replace", "/spec/ports/0/targetPort", 80, "has no port 80"),
    "rules that do not count": ("NetworkPolicy mcode", "replace", "/spec/policyTypes", ["Ingress"], "egress rules are"),
    "root": ("Job mcode-bench", "replace", f"{SPEC}/securityContext/runAsNonRoot", False, "mcode may be root"),
    "user 0": (
        "Job mcode-collect",
        "add",
        f"{SPEC}/initContainers/0/securityContext/runAsUser",
        0,
        "merge may be root",
    ),
    "any system call": ("Job mcode-bench", "remove", f"{SPEC}/securityContext/seccompProfile", None, "any system call"),
    "more privileges": (
        *("Deployment vllm", "remove", f"{FIRST}/securityContext/allowPrivilegeEscalation", None),
        "may gain privileges",
    ),
    "capabilities": ("Job ollama-pull", "remove", f"{FIRST}/securityContext/capabilities", None, "keeps capabilities"),
    "one more capability": (
        *("Job mcode-bench", "add", f"{FIRST}/securityContext/capabilities/add", ["SYS_ADMIN"]),
        "is given capabilities",
    ),
    "a privileged container": ("Job mcode-bench", "add", f"{FIRST}/securityContext/privileged", True, "is privileged"),
    "the host's network": ("Job mcode-bench", "add", f"{SPEC}/hostNetwork", True, "hostNetwork is shared"),
    "the host's files": (
        "Job mcode-bench",
        "replace",
        f"{SPEC}/volumes/1",
        {"name": "tmp", "hostPath": {}},
        "hostPath",
    ),
    "a port of the host": ("Deployment ollama", "add", f"{FIRST}/ports/0/hostPort", 11434, "has a port of the host"),
    "a root that can be written": (
        *("Job mcode-bench", "remove", f"{FIRST}/securityContext/readOnlyRootFilesystem", None),
        "may change its own files",
    ),
    "no place for programs": (
        "Job mcode-bench",
        "replace",
        f"{FIRST}/volumeMounts/1/mountPath",
        "/t",
        "nowhere to run",
    ),
    "a token": ("Job mcode-bench", "remove", f"{SPEC}/automountServiceAccountToken", None, "a token of the cluster"),
    "service links": (
        "Deployment vllm",
        "remove",
        f"{SPEC}/enableServiceLinks",
        None,
        "services of the cluster become",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_in_a_manifest_is_found(mistake: tuple[str, str, str, Any, str]) -> None:
    named, op, path, value, complaint = mistake
    manifests = namespace("sqlite") if "collect" not in named else namespace("collect")
    kind, _, name = named.partition(" ")
    one = find(manifests, kind, name)
    change = {"op": op, "path": path, "value": value}
    if op == "move":
        change = {"op": op, "from": path, "path": path.rpartition("/")[0] + "/0"}
    wrong = [jsonpatch.apply_patch(one, [change]) if each is one else each for each in manifests]
    found = problems(wrong)
    assert [text for text in found if text.startswith(f"{named}: ") or "Service" in named]
    assert any(complaint in text for text in found), found


def test_pods_reach_what_they_need_and_nothing_else(sqlite: list[Manifest]) -> None:
    sources = {"bench": BENCH, "prepare": PREPARE, "collect": COLLECT, "pull": PULL, "stranger": STRANGER}
    targets = {
        "ollama": (SERVER, 11434),
        "vllm": (SERVER, 8000),
        "database": (DATABASE, 5432),
        "a shell of the server": (SERVER, 22),
        "a shell of the database": (DATABASE, 22),
        "another pod": (STRANGER, 80),
        "a pod of a run": (BENCH, 80),
    }
    reached = {
        name: [there for there, (target, port) in targets.items() if connects(sqlite, labels, target, port)]
        for name, labels in sources.items()
    }
    needed = ["ollama", "vllm", "database"]
    others = ["database", "a shell of the database", "another pod"]  # what is no part of mCode's is left as it is
    assert reached == {
        "bench": needed,
        "prepare": needed,
        "collect": needed,
        "pull": ["ollama", "vllm", *others],
        "stranger": others,
    }


def test_only_the_pod_that_loads_data_sets_reaches_the_hub(sqlite: list[Manifest]) -> None:
    public, inside, metadata = "8.8.8.8", "10.1.2.3", "169.254.169.254"
    for labels in (BENCH, COLLECT, PREPARE):
        assert leaves(sqlite, labels, public, 443) == (labels is PREPARE)
        assert not leaves(sqlite, labels, public, 80)
        assert not leaves(sqlite, labels, inside, 443)
        assert not leaves(sqlite, labels, metadata, 443)


def test_pods_may_ask_for_names(sqlite: list[Manifest]) -> None:
    to = find(sqlite, "NetworkPolicy", "mcode")["spec"]["egress"][0]
    ((peer,), ports) = to["to"], to["ports"]
    assert peer["podSelector"] == {"matchLabels": {"k8s-app": "kube-dns"}}
    assert sorted((port["protocol"], port["port"]) for port in ports) == [("TCP", 53), ("UDP", 53)]


def test_a_rule_that_is_left_out_is_missed(sqlite: list[Manifest]) -> None:
    without = copy.deepcopy(sqlite)
    del find(without, "NetworkPolicy", "mcode")["spec"]["egress"][1]
    assert not connects(without, BENCH, OLLAMA, 11434)
    open_to_all = [one for one in sqlite if one["metadata"]["name"] != "mcode-model-server"]
    assert connects(open_to_all, STRANGER, OLLAMA, 11434)


def values(manifests: list[Manifest]) -> dict[str, str]:
    data: dict[str, str] = find(manifests, "ConfigMap", "mcode-bench")["data"]
    return data


def test_variables_are_options_with_values_that_they_take(sqlite: list[Manifest]) -> None:
    options = {opt.variable: opt for opt in OPTIONS}
    for name, value in values(sqlite).items():
        if name in options:
            options[name].parse(value)
        else:
            assert name in ("MCODE_BENCHMARK", "HF_HUB_OFFLINE")


def test_the_parts_of_the_configuration_agree(sqlite: list[Manifest]) -> None:
    config, job = values(sqlite), find(sqlite, "Job", "mcode-bench")["spec"]
    (bench,) = job["template"]["spec"]["containers"]
    ollama = find(sqlite, "Deployment", "ollama")["spec"]["template"]["spec"]["containers"][0]
    told = {entry["name"]: entry["value"] for entry in ollama["env"]}
    pull = find(sqlite, "Job", "ollama-pull")["spec"]["template"]["spec"]["containers"][0]
    port = find(sqlite, "Service", "ollama")["spec"]["ports"][0]["port"]
    assert config["MCODE_BASE_URL"] == f"http://ollama:{port}"
    assert told["OLLAMA_NUM_PARALLEL"] == str(job["parallelism"] * int(config["MCODE_CONCURRENCY"]))
    assert bench["resources"]["limits"]["cpu"] == config["MCODE_SANDBOXES"]
    assert pull["args"] == ["pull", config["MCODE_MODEL"]]
    assert ollama["startupProbe"]["exec"]["command"][2].count(config["MCODE_MODEL"]) == 2
    assert pull["image"] == ollama["image"]


def test_images_of_mcode_are_of_this_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    ours = {
        container["image"]
        for name in OVERLAYS
        for pod in pods(overlay(name))
        for container in pod.containers
        if pod.labels.items() >= MCODE.items()
    }
    assert ours == {f"mcode:{project['version']}"}


def pinned(name: str) -> list[Requirement]:
    """What a file of requirements names; a package more than once where Pythons need different versions."""
    lines = (DEPLOY / name).read_text(encoding="utf-8").splitlines()
    return [Requirement(line.rstrip(" \\")) for line in lines if line[:1].isalnum()]


def test_the_image_has_what_the_project_depends_on() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    depended = [*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["postgres"]]
    asked = {"requirements.txt": depended, "build-requirements.txt": project["build-system"]["requires"]}
    for name, requirements in asked.items():
        for wanted in map(Requirement, requirements):
            versions = [str(p.specifier) for p in pinned(name) if p.name.lower() == wanted.name.lower()]
            assert versions, wanted
            assert all(v.startswith("==") and wanted.specifier.contains(v[2:]) for v in versions), wanted


@pytest.mark.parametrize("name", ["requirements.txt", "build-requirements.txt", "sandbox/requirements.txt"])
def test_every_package_has_its_hash(name: str) -> None:
    entries = re.split(r"^(?=\w)", (DEPLOY / name).read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert len(entries) == len(pinned(name)) > 0
    assert all(re.search(r"\\\n    --hash=sha256:[0-9a-f]{64}$", entry, re.MULTILINE) for entry in entries)
