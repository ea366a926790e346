"""The least that the same requests can take: a bare asynchronous client, as a whole command.

python -m tests.perf.bare URL MODEL IN_FLIGHT < PROMPTS (one JSON string a line)
"""

from __future__ import annotations

import asyncio
import json
import sys

import httpx


async def ask_all(url: str, model: str, in_flight: int, prompts: list[str]) -> int:
    """Send every prompt to Ollama's chat, so many at once; how many were answered."""
    slots = asyncio.Semaphore(in_flight)

    async def ask(client: httpx.AsyncClient, prompt: str) -> int:
        body = {"model": model, "messages": [{"role": "user", "content": prompt}], "stream": False}
        async with slots:
            answer = await client.post(f"{url}/api/chat", json=body)
        return int(bool(answer.raise_for_status().json()["message"]["content"]))

    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=120, limits=limits) as client:
        return sum(await asyncio.gather(*(ask(client, prompt) for prompt in prompts)))


if __name__ == "__main__":
    _, address, name, at_once = sys.argv
    print(asyncio.run(ask_all(address, name, int(at_once), [json.loads(line) for line in sys.stdin])))  # noqa: T201
