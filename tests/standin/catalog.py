"""The models that a stand-in has, under names that resolve as Ollama's do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Model:
    """An installed model, or one of the library.

    ``digest`` is 64 hex digits, made from the name if not given; ``size`` is in bytes; ``broken`` is the error that a
    pull of it meets half way.
    """

    name: str
    digest: str = ""
    size: int = 4_900_000_000
    family: str = "granite"
    parameter_size: str = "8.2B"
    quantization: str = "Q4_K_M"
    context: int = 131_072
    broken: str = ""


class Catalog:
    """What is installed, what could be pulled, and what has been loaded by a request."""

    def __init__(self, models: Iterable[Model | str], library: Iterable[Model | str]) -> None:
        self.installed = {model.name: model for model in map(_complete, models)}
        self.library = {model.name: model for model in map(_complete, library)}
        self.loaded: dict[str, Model] = {}

    def find(self, name: str) -> Model | None:
        """The installed model of that name; a mere prefix of a name finds nothing."""
        return self.installed.get(full(name))

    def load(self, model: Model) -> None:
        """Note that it is in memory."""
        self.loaded[model.name] = model

    def pull(self, name: str) -> Model | None:
        """Install a model of the library; None if it is not there."""
        found = self.library.get(full(name))
        if found is not None and not found.broken:
            self.installed[found.name] = found
        return found


def full(name: str) -> str:
    """The name with its tag, ``latest`` if it has none."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _complete(model: Model | str) -> Model:
    model = Model(model) if isinstance(model, str) else model
    digest = model.digest or hashlib.sha256(full(model.name).encode()).hexdigest()
    return replace(model, name=full(model.name), digest=digest)
