"""``python -m tests.standin --script FILE.py``: the server in a process of its own.

The first line it prints is its URL; the last, when it ends, is what it saw, as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import runpy
import signal
import sys
from collections import Counter
from typing import Any

from tests.standin.catalog import Catalog
from tests.standin.log import Log
from tests.standin.server import MODEL, listening
from tests.standin.serving import House
from tests.standin.slots import Slots


def main() -> int:
    """Serve until the time is over or a signal comes; 1 if the script raised."""
    args = arguments()
    answer = runpy.run_path(args.script)["answer"]
    catalog = Catalog(args.model or [MODEL], args.library)
    house = House(answer, catalog, Slots(args.slots, args.queue), Log(), args.key)
    asyncio.run(serve(house, args.port, args.seconds))
    print(json.dumps(summary(house.log)), flush=True)  # noqa: T201 - it is the program's output
    for error in house.log.errors:
        print(f"the script raised {error!r}", file=sys.stderr)  # noqa: T201
    return 1 if house.log.errors else 0


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.standin", description=__doc__)
    parser.add_argument("--script", required=True, help="Python file that defines answer(request) -> Reply")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--model", action="append", help="installed model; may be repeated")
    parser.add_argument("--library", action="append", default=[], help="model that could be pulled; may be repeated")
    parser.add_argument("--slots", type=int, default=8, help="requests served at once")
    parser.add_argument("--queue", type=int, default=512, help="requests that may wait")
    parser.add_argument("--key", help="API key that /v1 asks for")
    parser.add_argument("--seconds", type=float, default=600.0, help="end after that time")
    return parser.parse_args()


async def serve(house: House, port: int, seconds: float) -> None:
    """Listen, and tell where."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with listening(house, port) as runner:
        print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)  # noqa: T201 - it is the program's output
        try:
            async with asyncio.timeout(seconds):
                await stop.wait()
        except TimeoutError:
            pass


def summary(log: Log) -> dict[str, Any]:
    """What was seen, in numbers."""
    outcomes = Counter(str(exchange.outcome) for exchange in log.exchanges)
    peaks = {"peak_in_flight": log.peak_in_flight, "peak_served": log.peak_served}
    return {"requests": len(log.exchanges), "outcomes": outcomes, **peaks, "pulls": log.pulls}


if __name__ == "__main__":
    sys.exit(main())
