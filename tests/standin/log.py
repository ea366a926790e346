"""What a stand-in saw. Times are seconds of `time.perf_counter`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from tests.standin.script import Reply, Request


class Outcome(StrEnum):
    """How a request ended."""

    ANSWERED = "answered"
    CANCELLED = "cancelled"
    """The client went before its answer was complete."""
    FAULT = "fault"
    """The reply's fault was carried out."""
    REFUSED = "refused"
    """The script was not asked: wrong key or model, nothing to generate from, or the queue was full."""


@dataclass
class Exchange:
    """One request for a generation and what became of it; ``outcome`` is None while it lasts."""

    request: Request
    arrived: float
    started: float | None = None
    finished: float | None = None
    reply: Reply | None = None
    outcome: Outcome | None = None


@dataclass
class Log:
    """All requests in the order of their arrival, all pulls, and the errors of the script."""

    exchanges: list[Exchange] = field(default_factory=list)
    pulls: list[str] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    peak_in_flight: int = 0
    """The most requests that were there at once, served or waiting."""
    peak_served: int = 0
    """The most that were served at once."""
    _seen: Counter[Hashable] = field(default_factory=Counter)

    @property
    def requests(self) -> list[Request]:
        """The requests alone."""
        return [exchange.request for exchange in self.exchanges]

    @property
    def outcomes(self) -> list[Outcome | None]:
        """The outcomes alone."""
        return [exchange.outcome for exchange in self.exchanges]

    @property
    def in_flight(self) -> int:
        """How many requests are there now."""
        return sum(exchange.outcome is None for exchange in self.exchanges)

    @property
    def served(self) -> int:
        """How many of them hold a slot."""
        return sum(exchange.outcome is None and exchange.started is not None for exchange in self.exchanges)

    def arrive(self, request: Request) -> Exchange:
        """Record a request, and count it among those that were the same."""
        key = (request.path, request.model, request.messages, request.options)
        self._seen[key] += 1
        exchange = Exchange(replace(request, number=self._seen[key]), time.perf_counter())
        self.exchanges.append(exchange)
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        return exchange

    def start(self, exchange: Exchange) -> None:
        """Record that it got a slot."""
        exchange.started = time.perf_counter()
        self.peak_served = max(self.peak_served, self.served)

    def finish(self, exchange: Exchange, outcome: Outcome) -> None:
        """Record how it ended; the first word stands."""
        if exchange.outcome is None:
            exchange.finished = time.perf_counter()
            exchange.outcome = outcome

    def settle(self, seconds: float = 2.0) -> Log:
        """Wait until no request is in flight, as seen by the server; for the client's thread."""
        wait_until(lambda: self.in_flight == 0, seconds)
        return self


def wait_until(true: Callable[[], bool], seconds: float = 2.0) -> None:
    """Wait until that is true.

    Raises:
        TimeoutError: It never was.
    """
    end = time.perf_counter() + seconds
    while not true():
        if time.perf_counter() > end:
            raise TimeoutError(f"it did not come true within {seconds:g} s")
        time.sleep(0.005)
