"""Whether Kubernetes manifests mean something: what the API refuses beyond its schema, and what it takes in vain.

Every check yields a sentence for each thing that is wrong.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

Manifest = dict[str, Any]
Labels = Mapping[str, str]

REFERENCE = re.compile(r"(?<!\$)\$\((\w+)\)")
UNITS = {"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "k": 1000, "M": 10**6, "G": 10**9, "m": 0.001}
#: Volumes that the restricted pod security standard lets a pod have.
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
KINDS = {"ConfigMap", "Deployment", "Job", "NetworkPolicy", "PersistentVolumeClaim", "Service"}


@dataclass(frozen=True)
class Pod:
    """What a Job or Deployment starts, and what is there for it.

    Attributes:
        owner: Its kind and name.
        labels: Of the pod.
        spec: Of the pod.
        configs: The data of each ConfigMap.
        claims: The names of the volume claims.
        secrets: The keys of each Secret that somebody has to make by hand.
    """

    owner: str
    labels: Labels
    spec: Mapping[str, Any]
    configs: Mapping[str, Labels] = field(default_factory=dict)
    claims: frozenset[str] = frozenset()
    secrets: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def containers(self) -> list[Mapping[str, Any]]:
        """Those of the start, too."""
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]


def problems(manifests: Sequence[Manifest], secrets: Mapping[str, Sequence[str]] | None = None) -> list[str]:
    """All that is wrong with manifests that are applied together."""
    found = [f"{one['kind']} is not understood here" for one in manifests if one["kind"] not in KINDS]
    for pod in pods(manifests, secrets):
        found += [f"{pod.owner}: {text}" for check in POD_CHECKS for text in check(pod)]
    for one in manifests:
        name = f"{one['kind']} {one['metadata']['name']}"
        found += [f"{name}: {text}" for look in CHECKS.get(one["kind"], ()) for text in look(one, manifests)]
    return found


def pods(manifests: Iterable[Manifest], secrets: Mapping[str, Sequence[str]] | None = None) -> list[Pod]:
    """The pods that they start."""
    manifests = list(manifests)
    configs = {one["metadata"]["name"]: one["data"] for one in manifests if one["kind"] == "ConfigMap"}
    claims = frozenset(one["metadata"]["name"] for one in manifests if one["kind"] == "PersistentVolumeClaim")
    return [
        Pod(
            f"{one['kind']} {one['metadata']['name']}",
            one["spec"]["template"]["metadata"]["labels"],
            one["spec"]["template"]["spec"],
            configs,
            claims,
            secrets or {},
        )
        for one in manifests
        if one["kind"] in ("Job", "Deployment")
    ]


def amount(text: str | int) -> float:
    """A quantity, as of memory or processors."""
    number = re.match(r"[0-9.]+", str(text))
    assert number, text
    return float(number[0]) * UNITS[str(text)[number.end() :]]


def repeated(kind: str, names: Iterable[str]) -> Iterator[str]:
    """Names that are there twice."""
    yield from (f"{kind} {name} is there {n} times" for name, n in Counter(names).items() if n > 1)


def volumes(pod: Pod) -> Iterator[str]:
    """Every mount has its volume, every volume what it is of."""
    given = [volume["name"] for volume in pod.spec.get("volumes", [])]
    yield from repeated("volume", given)
    for container in pod.containers:
        mounts = container.get("volumeMounts", [])
        yield from (f"mount {m['name']} has no volume" for m in mounts if m["name"] not in given)
        yield from repeated("mount path", (m["mountPath"] for m in mounts))
    used = {m["name"] for container in pod.containers for m in container.get("volumeMounts", [])}
    yield from (f"volume {name} is not mounted" for name in given if name not in used)
    for volume in pod.spec.get("volumes", []):
        claim = volume.get("persistentVolumeClaim", {}).get("claimName")
        if claim is not None and claim not in pod.claims:
            yield f"there is no claim {claim}"


def environment(pod: Pod) -> Iterator[str]:
    """Every variable has a value, and every reference a variable that is known by then."""
    for container in pod.containers:
        known: set[str] = set()
        for source in container.get("envFrom", []):
            name = source["configMapRef"]["name"]
            known |= pod.configs.get(name, {}).keys()
            if name not in pod.configs:
                yield f"there is no config map {name}"
        entries = container.get("env", [])
        yield from repeated("variable", (entry["name"] for entry in entries))
        for entry in entries:
            yield from unknown(entry.get("value", ""), known)
            yield from secret(entry, pod)
            known.add(entry["name"])
        for word in [*container.get("command", []), *container.get("args", [])]:
            yield from unknown(word, known)


def unknown(text: str, known: set[str]) -> Iterator[str]:
    """References to variables that do not exist: they would stay as they are written."""
    yield from (f"$({name}) is no variable here" for name in REFERENCE.findall(text) if name not in known)


def secret(entry: Mapping[str, Any], pod: Pod) -> Iterator[str]:
    """A secret that a variable needs."""
    named = entry.get("valueFrom", {}).get("secretKeyRef")
    if named and not named.get("optional") and named["key"] not in pod.secrets.get(named["name"], ()):
        yield f"there is no secret {named['name']} with {named['key']}"


def resources(pod: Pod) -> Iterator[str]:
    """Every container has its memory, and no request exceeds its limit."""
    for container in pod.containers:
        given = container.get("resources", {})
        limits, requests = given.get("limits", {}), given.get("requests", {})
        yield from (f"{container['name']} has no {of} of memory" for of in ("limits", "requests") if not given.get(of))
        for name in requests.keys() & limits.keys():
            if amount(requests[name]) > amount(limits[name]):
                yield f"{container['name']} requests more {name} than its limit"
        storage = [
            v["emptyDir"]["sizeLimit"] for v in pod.spec.get("volumes", []) if "sizeLimit" in v.get("emptyDir", {})
        ]
        if "ephemeral-storage" in limits and sum(map(amount, storage)) > amount(limits["ephemeral-storage"]):
            yield f"{container['name']} may store less than its volumes hold"


def images(pod: Pod) -> Iterator[str]:
    """Every image has a version."""
    for container in pod.containers:
        _, _, tag = container["image"].rpartition("/")[2].partition(":")
        if tag in ("", "latest"):
            yield f"{container['image']} may be another one tomorrow"


def probes(pod: Pod) -> Iterator[str]:
    """Every port that a probe asks is one of its container's."""
    for container in pod.containers:
        ports = {p for port in container.get("ports", []) for p in (port.get("name"), port["containerPort"])}
        for name in ("startupProbe", "readinessProbe", "livenessProbe"):
            asked = container.get(name, {}).get("httpGet", {}).get("port")
            if asked is not None and asked not in ports:
                yield f"{name} asks port {asked}, which {container['name']} does not have"


def restricted(pod: Pod) -> Iterator[str]:
    """The restricted pod security standard."""
    spec = pod.spec
    whole = spec.get("securityContext", {})
    yield from (f"{name} is shared" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name))
    for volume in spec.get("volumes", []):
        kinds = volume.keys() - {"name"}
        yield from (f"a volume of the kind {kind}" for kind in kinds - VOLUMES)
    if whole.get("sysctls"):
        yield "kernel parameters"
    for container in pod.containers:
        name, own = container["name"], container.get("securityContext", {})
        told = {**whole, **own}
        if told.get("runAsNonRoot") is not True or told.get("runAsUser") == 0:
            yield f"{name} may be root"
        if told.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
            yield f"{name} may make any system call"
        if own.get("allowPrivilegeEscalation") is not False:
            yield f"{name} may gain privileges"
        if own.get("capabilities", {}).get("drop") != ["ALL"]:
            yield f"{name} keeps capabilities"
        if set(own.get("capabilities", {}).get("add", [])) - {"NET_BIND_SERVICE"}:
            yield f"{name} is given capabilities"
        if own.get("privileged") or own.get("procMount", "Default") != "Default":
            yield f"{name} is privileged"
        yield from (f"{name} has a port of the host" for port in container.get("ports", []) if "hostPort" in port)


def locked(pod: Pod) -> Iterator[str]:
    """What is asked of mCode's own pods beyond that."""
    if pod.spec.get("automountServiceAccountToken") is not False:
        yield "it is given a token of the cluster"
    if pod.spec.get("enableServiceLinks") is not False:
        yield "services of the cluster become variables"
    if pod.labels.get("app.kubernetes.io/name") != "mcode":
        return
    for container in pod.containers:
        if container.get("securityContext", {}).get("readOnlyRootFilesystem") is not True:
            yield f"{container['name']} may change its own files"
        if "/tmp" not in {mount["mountPath"] for mount in container.get("volumeMounts", [])}:
            yield f"{container['name']} has nowhere to run programs"


POD_CHECKS: tuple[Callable[[Pod], Iterator[str]], ...] = (
    *(volumes, environment, resources, images, probes),
    *(restricted, locked),
)


def job(one: Manifest, _: Sequence[Manifest]) -> Iterator[str]:
    """What the API asks of a Job."""
    spec, pod = one["spec"], one["spec"]["template"]["spec"]
    policy, per_index = spec.get("podFailurePolicy"), "backoffLimitPerIndex" in spec
    if pod.get("restartPolicy") not in ("Never", "OnFailure"):
        yield "restartPolicy must be Never or OnFailure"
    if (policy or per_index) and pod.get("restartPolicy") != "Never":
        yield "a pod failure policy, and a limit per index, need restartPolicy Never"
    if spec.get("completionMode") == "Indexed" and not isinstance(spec.get("completions"), int):
        yield "Indexed needs completions"
    if per_index and spec.get("completionMode") != "Indexed":
        yield "backoffLimitPerIndex needs Indexed"
    if "maxFailedIndexes" in spec and (not per_index or spec["maxFailedIndexes"] > spec.get("completions", 0)):
        yield "maxFailedIndexes needs backoffLimitPerIndex, and at most as many as completions"
    names = {container["name"] for container in [*pod.get("initContainers", []), *pod["containers"]]}
    for rule in (policy or {}).get("rules", []):
        yield from failure(rule, names, per_index=per_index)


def failure(rule: Mapping[str, Any], names: set[str], *, per_index: bool) -> Iterator[str]:
    """What the API asks of one rule on failures."""
    codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
    if (codes is None) == (not conditions):
        yield "a rule on failures must have exit codes or conditions, not both"
    if codes and codes.get("containerName", next(iter(names))) not in names:
        yield f"a rule on failures names the container {codes['containerName']}"
    if codes and (
        codes["values"] != sorted(set(codes["values"])) or (codes["operator"] == "In" and 0 in codes["values"])
    ):
        yield "exit codes of a rule must be in order, and none of them 0"
    if rule["action"] == "FailIndex" and not per_index:
        yield "FailIndex needs backoffLimitPerIndex"


def shards(one: Manifest, manifests: Sequence[Manifest]) -> Iterator[str]:
    """A pod for each shard."""
    if one["spec"].get("completionMode") != "Indexed":
        return
    (pod,) = pods([*(m for m in manifests if m["kind"] == "ConfigMap"), one])
    values = {name: value for data in pod.configs.values() for name, value in data.items()}
    if str(one["spec"].get("completions")) != values.get("MCODE_SHARD_COUNT"):
        yield f"{one['spec'].get('completions')} completions for {values.get('MCODE_SHARD_COUNT')} shards"


def deployment(one: Manifest, _: Sequence[Manifest]) -> Iterator[str]:
    """It selects its own pods."""
    if not selects(one["spec"]["selector"], one["spec"]["template"]["metadata"]["labels"]):
        yield "its selector does not match its pods"


def service(one: Manifest, manifests: Sequence[Manifest]) -> Iterator[str]:
    """There are pods behind it, which have its ports."""
    behind = [pod for pod in pods(manifests) if one["spec"]["selector"].items() <= pod.labels.items()]
    if not behind:
        yield "no pod is behind it"
    for pod in behind:
        ports = {
            p for c in pod.containers for port in c.get("ports", []) for p in (port["name"], port["containerPort"])
        }
        for port in one["spec"]["ports"]:
            if port.get("targetPort", port["port"]) not in ports:
                yield f"{pod.owner} has no port {port.get('targetPort', port['port'])}"


def policy(one: Manifest, _: Sequence[Manifest]) -> Iterator[str]:
    """Every direction with rules is one that it is about."""
    for name in ("ingress", "egress"):
        if one["spec"].get(name) and name.capitalize() not in one["spec"].get("policyTypes", []):
            yield f"its {name} rules are not in its policyTypes"


CHECKS: dict[str, tuple[Callable[[Manifest, Sequence[Manifest]], Iterator[str]], ...]] = {
    "Job": (job, shards),
    "Deployment": (deployment,),
    "Service": (service,),
    "NetworkPolicy": (policy,),
}


def selects(selector: Mapping[str, Any], labels: Labels) -> bool:
    """Whether a selector of labels matches; an empty one matches all."""
    if selector.keys() - {"matchLabels"}:
        raise ValueError(f"not understood here: {selector}")
    wanted: Labels = selector.get("matchLabels", {})
    return wanted.items() <= labels.items()


def connects(manifests: Iterable[Manifest], source: Labels, target: Labels, port: int) -> bool:
    """Whether the network policies let one pod reach another of the same namespace by TCP."""
    manifests = list(manifests)
    out, coming = about(manifests, "egress", source), about(manifests, "ingress", target)
    return (out is None or any(lets(rule, "to", port, of_pod(target)) for rule in out)) and (
        coming is None or any(lets(rule, "from", port, of_pod(source)) for rule in coming)
    )


def leaves(manifests: Iterable[Manifest], source: Labels, address: str, port: int) -> bool:
    """Whether the network policies let a pod reach an address outside of the cluster by TCP."""
    out = about(manifests, "egress", source)
    return out is None or any(lets(rule, "to", port, of_address(address)) for rule in out)


def about(manifests: Iterable[Manifest], direction: str, labels: Labels) -> list[Mapping[str, Any]] | None:
    """The rules of one direction that a pod is under; None if there is no policy, so that all is allowed."""
    policies = [one["spec"] for one in manifests if one["kind"] == "NetworkPolicy"]
    its = [p for p in policies if direction.capitalize() in p["policyTypes"] and selects(p["podSelector"], labels)]
    return [rule for p in its for rule in p.get(direction, [])] if its else None


def lets(rule: Mapping[str, Any], direction: str, port: int, fits: Callable[[Mapping[str, Any]], bool]) -> bool:
    """Whether a rule allows a peer at a port."""
    ports, peers = rule.get("ports"), rule.get(direction)
    if ports and not any(p["port"] == port and p.get("protocol", "TCP") == "TCP" for p in ports):
        return False
    return not peers or any(map(fits, peers))


def of_pod(labels: Labels) -> Callable[[Mapping[str, Any]], bool]:
    """Whether a peer of a rule is a pod of this namespace."""
    return lambda peer: peer.keys() == {"podSelector"} and selects(peer["podSelector"], labels)


def of_address(text: str) -> Callable[[Mapping[str, Any]], bool]:
    """Whether a peer of a rule is an address."""
    address = ip_address(text)

    def fits(peer: Mapping[str, Any]) -> bool:
        block = peer.get("ipBlock")
        if block is None or address not in ip_network(block["cidr"]):
            return False
        return not any(address in ip_network(part) for part in block.get("except", []))

    return fits
