"""A run's rates as an Every Eval Ever record, schema 0.3.0: https://github.com/evaleval/every_eval_ever."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pytest_mcode.metrics import Rate
from pytest_mcode.report.figures import Figures
from pytest_mcode.settings import effective_temperature

SCHEMA = "0.3.0"
#: What serves the models of a backend; the others are programming interfaces with anything behind them.
ENGINES = {"ollama": "Ollama", "hf": "transformers"}
#: pass@k is told for these k, and for as many as there are samples.
TOLD = (1, 2, 5, 10, 100)
#: Facts of a run that go along, as far as they are known.
FACTS = ("python", "platform", "mellea", "isolation", "commit", "selection", "solutions", "rejudged")
#: Options that go along.
OPTIONS = ("samples", "all-samples", "debug-iters", "seed", "recipe", "feedback", "timeout", "context")


def record(found: Figures, organization: str, now: float) -> dict[str, Any]:
    """The record of one run.

    Args:
        found: Its figures.
        organization: Who made the run.
        now: The time, in seconds since 1970.
    """
    run = found.run
    return {
        "schema_version": SCHEMA,
        "evaluation_id": f"{run.benchmark}/{run.model}/{int(now)}",
        "evaluation_timestamp": str(int(datetime.fromisoformat(run.started_at).timestamp())),
        "retrieved_timestamp": str(int(now)),
        "source_metadata": {
            "source_name": "mCode",
            "source_type": "evaluation_run",
            "source_organization_name": organization,
            "evaluator_relationship": "other",
            "additional_details": {"run": run.id, "configuration": run.config_hash},
        },
        "eval_library": {"name": "pytest-mcode", "version": run.versions.get("pytest-mcode", "unknown")},
        "model_info": _model(found),
        "evaluation_results": [_result(found, *one) for one in _rates(found)],
    }


def _model(found: Figures) -> dict[str, Any]:
    run = found.run
    known = ("model_digest", "quantization", "parameter_size", "family")
    details = {name: run.versions[name] for name in known if run.versions.get(name)}
    deployment = "self_deployed" if run.backend in ENGINES else "unknown"
    told: dict[str, Any] = {
        "name": run.model,
        "id": run.model,
        "additional_details": {
            **details,
            "backend": run.backend,
            "deployment_type": deployment,
            "model_availability": "unknown",
        },
    }
    if run.backend in ENGINES:
        version = run.versions.get(run.backend, "unknown")
        told["inference_engine"] = {"name": ENGINES[run.backend], "version": version}
    return told


def _rates(found: Figures) -> Iterator[tuple[str, str, dict[str, int], Rate]]:
    """The metric's id, what it says, its parameters, and the rate, as far as it is known."""
    n, first = found.samples, "first attempts"
    estimator = "unbiased estimate of Chen et al. (2021)" if found.all_samples else "success within k samples"
    for k in sorted({k for k in TOLD if k <= n} | {n}):
        rate = found.pass_at(k)
        if rate is not None:
            yield "pass_at_k", f"pass@{k} of {first}" + (f", {estimator}" if n > 1 else ""), {"k": k}, rate
    rate = found.solved_within(n)
    if n * found.attempts > 1 and rate is not None:
        told = f"solved within {n} samples of {found.attempts} attempts, debug iterations included"
        yield "mcode.solve_at_budget", told, {"samples": n, "attempts": found.attempts}, rate


def _result(found: Figures, metric: str, told: str, parameters: dict[str, int], rate: Rate) -> dict[str, Any]:
    run = found.run
    name = ", ".join(f"{key}={value}" for key, value in parameters.items())
    return {
        "evaluation_result_id": f"{run.id}/{metric}/{name}",
        "evaluation_name": run.benchmark,
        "source_data": _data(found),
        "metric_config": {
            "metric_id": metric,
            "metric_name": told.partition(" of ")[0] if metric == "pass_at_k" else "solve@budget",
            "metric_kind": "pass_rate",
            "metric_unit": "proportion",
            "metric_parameters": parameters,
            "evaluation_description": told,
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": 0.0,
            "max_score": 1.0,
        },
        "score_details": {
            "score": rate.value,
            "details": {"tasks": str(rate.n), "errors": str(found.errors), "not_run": str(found.missing)},
            "uncertainty": {
                "confidence_interval": {
                    "lower": rate.low,
                    "upper": rate.high,
                    "confidence_level": 0.95,
                    "method": _method(found, metric, parameters),
                },
                "num_samples": rate.n,
            },
        },
        "generation_config": _generation(found),
    }


def _method(found: Figures, metric: str, parameters: dict[str, int]) -> str:
    """How the interval was computed, see `metrics.interval`: of all n samples or of one, a task counts for 0 or 1."""
    if metric == "pass_at_k" and found.all_samples and parameters["k"] < found.samples:
        return "percentile bootstrap over tasks; Wilson score if all count for 0 or 1"
    return "Wilson score"


def _data(found: Figures) -> dict[str, Any]:
    details = {"origin": found.run.versions.get("dataset", ""), "fingerprint": found.run.dataset_fingerprint}
    return {
        "dataset_name": found.run.benchmark,
        "source_type": "other",
        "additional_details": {name: text for name, text in details.items() if text},
    }


def _generation(found: Figures) -> dict[str, Any]:
    run, config = found.run, found.run.config
    args: dict[str, Any] = {
        "temperature": effective_temperature(config.get("temperature"), found.samples),
        "top_p": config.get("top-p"),
        "sandbox": {"type": str(config.get("sandbox"))},
        "max_attempts": found.attempts,
    }
    if config.get("max-tokens"):
        args["max_tokens"] = config["max-tokens"]
    if config.get("solutions"):
        args["temperature"] = config.get("temperature")  # what it was elsewhere is not known
    details = {name.replace("-", "_"): str(config[name]) for name in OPTIONS if config.get(name) is not None}
    details |= {name: str(run.versions[name]) for name in FACTS if run.versions.get(name)}
    return {"generation_args": args, "additional_details": details}
