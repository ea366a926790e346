"""What is simulated, and what it came to: a run over many shards, in simulated seconds."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Plan:
    """A run and what it runs on. Seconds and shares are those of one of each.

    Attributes:
        tasks: Tasks of the run.
        samples: Samples of a task, all drawn.
        shards: Into how many shards its tasks are cut.
        concurrency: ``--mcode-concurrency`` of each shard.
        replicas: Model servers, each with a queue of its own.
        slots: Requests that a server answers at once.
        seconds: Mean of a generation that no limit cuts.
        pods: Shards at the most that run at once; None is all.
        spread: Standard deviation of the logarithm of a generation's seconds; 0 is always the same.
        longest: Seconds of a generation that the token limit cuts.
        sticky: Whether a shard stays with one server, as kept connections do; else the idlest server is asked.
        queue: Requests that wait at a server before it answers 503; None is no limit.
        patience: ``--mcode-gen-timeout``.
        judging: Seconds of an execution.
        commit: Seconds that the one database is busy with a task; 0 is a file for each shard.
        start: Seconds from a pod's creation to its first request.
        created: Pods created in a second.
    """

    tasks: int
    samples: int
    shards: int
    concurrency: int
    replicas: int
    slots: int
    seconds: float
    pods: int | None = None
    spread: float = 0.6
    longest: float = math.inf
    sticky: bool = False
    queue: int | None = None
    patience: float = 300.0
    judging: float = 0.1
    commit: float = 0.0
    start: float = 10.0
    created: float = 20.0

    @property
    def generations(self) -> int:
        """Generations of the whole run."""
        return self.tasks * self.samples

    @property
    def mean(self) -> float:
        """Mean seconds of a generation, in closed form: a lognormal's, cut at the longest."""
        if math.isinf(self.longest) or not self.spread:
            return min(self.seconds, self.longest)
        cut = (math.log(self.longest) - self.middle) / self.spread
        normal = statistics.NormalDist()
        return self.seconds * normal.cdf(cut - self.spread) + self.longest * (1 - normal.cdf(cut))

    @property
    def middle(self) -> float:
        """Mean of the logarithm of a generation's seconds."""
        return math.log(self.seconds) - self.spread**2 / 2


@dataclass
class Seen:
    """What happened, in simulated seconds.

    Attributes:
        began: Of each shard, when it asked first.
        ended: Of each shard, when its last task was recorded.
        served: Seconds of slots that went into answers.
        wasted: Seconds of slots that went into requests that were given up.
        answered: Requests that were answered.
        stayed: Seconds that those were at a server, in its queue and in a slot.
        refused: Requests that a server was too busy for.
        present: Requests at the servers, times the seconds that they were so many.
        results: Tasks that were recorded.
        errors: Tasks that ended in an error.
        committing: Seconds that the database was busy.
    """

    began: dict[int, float] = field(default_factory=dict)
    ended: dict[int, float] = field(default_factory=dict)
    served: float = 0.0
    wasted: float = 0.0
    answered: int = 0
    stayed: float = 0.0
    refused: int = 0
    present: float = 0.0
    results: int = 0
    errors: int = 0
    committing: float = 0.0


@dataclass(frozen=True)
class Found:
    """A plan and what it came to."""

    plan: Plan
    seen: Seen

    @property
    def wall(self) -> float:
        """Seconds from the Job's creation to its end."""
        return max(self.seen.ended.values())

    @property
    def utilisation(self) -> float:
        """Part of the slots' time that went into answers."""
        return self.seen.served / (self.wall * self.plan.replicas * self.plan.slots)

    @property
    def tail(self) -> float:
        """The last shard's end over the mean of all."""
        return self.wall / statistics.fmean(self.seen.ended.values()) - 1

    @property
    def commits(self) -> float:
        """Commits a second, over the whole run."""
        return self.seen.results / self.wall

    @property
    def database(self) -> float:
        """Part of the time that the one database was busy."""
        return self.seen.committing / self.wall

    @property
    def starting(self) -> float:
        """Part of the wall time before the last pod that was there from the beginning asked first."""
        first = sorted(self.seen.began.values())[: self.plan.pods]
        return first[-1] / self.wall
