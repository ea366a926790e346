"""A stand-in for model servers: Ollama's and OpenAI's protocols, with scripted answers, latency, queue and faults.

    with StandIn(fixed("def f(): ..."), models=("granite3.3:8b",), slots=4) as server:
        ...  # point a real client at server.url (Ollama) or server.openai_url
    assert server.log.outcomes == [Outcome.ANSWERED]

``python -m tests.standin --script FILE.py`` serves the ``answer`` of a file from a process of its own.
"""

from tests.standin.catalog import Model
from tests.standin.log import Exchange, Log, Outcome
from tests.standin.pages import Page
from tests.standin.process import standin_process
from tests.standin.rules import by_task, faulty, fixed, in_turn, status
from tests.standin.script import Answer, Call, Fault, Options, Reply, Request, Turn
from tests.standin.server import StandIn

__all__ = [
    "Answer",
    "Call",
    "Exchange",
    "Fault",
    "Log",
    "Model",
    "Options",
    "Outcome",
    "Page",
    "Reply",
    "Request",
    "StandIn",
    "Turn",
    "by_task",
    "faulty",
    "fixed",
    "in_turn",
    "standin_process",
    "status",
]
