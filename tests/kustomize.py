"""What kustomize makes of a directory, for exactly the features that deploy/ uses; anything else is refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonpatch
import yaml

Manifest = dict[str, Any]
FILE = "kustomization.yaml"
FIELDS = {"apiVersion", "kind", "resources", "configMapGenerator", "generatorOptions", "patches"}


class KustomizeError(Exception):
    """What kustomize would refuse, or what is not understood here."""


def built(root: Path, visited: tuple[Path, ...] = ()) -> list[Manifest]:
    """The manifests that ``kubectl apply -k`` would send.

    Raises:
        KustomizeError: It would not get so far.
    """
    root = root.resolve()
    if any(place.is_relative_to(root) for place in visited):
        raise KustomizeError(f"cycle detected: candidate root {root} contains visited root {visited[-1]}")
    about = yaml.safe_load((root / FILE).read_text(encoding="utf-8"))
    only(about, FIELDS)
    if about["kind"] != "Kustomization":
        raise KustomizeError(f"{root / FILE} is no Kustomization")
    found = [one for name in about.get("resources", []) for one in resource(root, name, (*visited, root))]
    found += [config_map(root, each, about) for each in about.get("configMapGenerator", [])]
    require_unique(found)
    for patch in about.get("patches", []):
        found = patched(found, patch)
    return found


def read(path: Path) -> list[Manifest]:
    """The manifests of a file, as ``kubectl apply -f`` reads them."""
    return [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one is not None]


def resource(root: Path, name: str, visited: tuple[Path, ...]) -> list[Manifest]:
    """What one entry of ``resources`` brings: a base may be anywhere, a file only in or below the root."""
    if (root / name).is_dir():
        return built(root / name, visited)
    return read(within(root, name))


def within(root: Path, name: str) -> Path:
    """A file of a kustomization, which must not lie outside of it."""
    path = (root / name).resolve()
    if not path.is_relative_to(root):
        raise KustomizeError(f"security; file {path} is not in or below {root}")
    return path


def config_map(root: Path, wanted: Mapping[str, Any], about: Mapping[str, Any]) -> Manifest:
    """The ConfigMap of env files."""
    only(wanted, {"name", "envs"})
    if about.get("generatorOptions") != {"disableNameSuffixHash": True}:
        raise KustomizeError("a name with a hash of the content is not understood here")
    data = dict(pair for name in wanted["envs"] for pair in variables(within(root, name)))
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": wanted["name"]}, "data": data}


def variables(path: Path) -> Iterator[tuple[str, str]]:
    """The lines of an env file; values are taken as they stand, quotes and spaces too."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, given, value = line.lstrip().partition("=")
        if not given:
            raise KustomizeError(f"{path}: {line!r} would be taken from the environment of the caller")
        yield name, value


def patched(manifests: list[Manifest], patch: Mapping[str, Any]) -> list[Manifest]:
    """The manifests after one entry of ``patches``: operations of RFC 6902 on a target, or a deletion."""
    only(patch, {"target", "patch"})
    content = yaml.safe_load(patch["patch"])
    if isinstance(content, list):
        only(patch["target"], {"kind", "name"})
        place = position(manifests, patch["target"]["kind"], patch["target"]["name"])
        changed = jsonpatch.apply_patch(manifests[place], content)
        return [*manifests[:place], changed, *manifests[place + 1 :]]
    only(content, {"apiVersion", "kind", "metadata", "$patch"})
    if content["$patch"] != "delete":
        raise KustomizeError(f"$patch: {content['$patch']} is not understood here")
    place = position(manifests, content["kind"], content["metadata"]["name"])
    return [*manifests[:place], *manifests[place + 1 :]]


def position(manifests: list[Manifest], kind: str, name: str) -> int:
    """Where the one manifest of that kind and name is."""
    places = [n for n, one in enumerate(manifests) if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    if len(places) != 1:
        raise KustomizeError(f"a patch is for {kind} {name}, of which there are {len(places)}")
    return places[0]


def require_unique(manifests: Iterable[Manifest]) -> None:
    """Refuse two of the same kind and name."""
    seen = set()
    for one in manifests:
        key = one["kind"], one["metadata"]["name"]
        if key in seen:
            raise KustomizeError(f"may not add resource with an already registered id: {' '.join(key)}")
        seen.add(key)


def only(found: Mapping[str, Any], known: set[str]) -> None:
    """Refuse fields that are not understood here."""
    if not found.keys() <= known:
        raise KustomizeError(f"not understood here: {', '.join(sorted(found.keys() - known))}")
