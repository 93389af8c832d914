"""What an answer of the gate costs: `POST /v1/gate` with checks and embedding, beside an empty handler in the same run.

python -m benchmarks.gate [--rate 50] [--seconds 30] [--database DIR | postgresql://...]
python -m benchmarks.gate --similar            # how alike texts of one intent are, and of two (AlpacaEval)

Requests come at fixed times, whether or not earlier ones were answered, to the gate and to the empty handler in turn,
so that both meet the same machine. The empty handler has the same route, token and body, and does nothing. Times are
the client's: connection kept, answer read.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import multiprocessing
import random
import socket
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import uvicorn

from monitor.actions.messages import GateRequest
from monitor.actions.policy import StreamState
from monitor.gate.transport import Transport
from monitor.ledger.open import open_ledger
from monitor.serve.app import build_app
from monitor.serve.context import Services
from monitor.serve.gatekeeper import SAME_INTENT
from monitor.serve.parts import add_parts
from monitor.serve.route import Answer
from monitor.serve.routes import ROUTES
from monitor.serve.routes.gate import ROUTES as GATE
from monitor.serve.streams import StreamStates
from monitor.settings import Settings
from monitor.settings.yaml_loader import parse
from tests.shared_data import shared

SETTINGS = """
gate:
  kinds:
    email: {decide: checked, hold_if: [check, drift, duplicate, unsure], requires: [key]}
serve: {limits: {requests_per_second: 100000, burst: 100000}}
streams:
  - match: bench
    criteria:
      - {name: no_promises, check: {not_matches: "(?i)guaranteed"}}
      - {name: concise, check: {feature: output.length.words, most: 2000}}
      - {name: calm, check: {feature: output.tone.exclamations, most: 50}}
      - {name: no_refusal, check: {feature: output.tone.refusal, most: 1}}
      - {name: no_loop, check: {feature: output.repetition.trigrams, most: 1}}
      - {name: english, check: {language: [en]}}
"""
THREADS = 16  # more than ever wait at once, or the times would not be those of requests that come on time
WARM = 40  # requests before the clock runs: connections, statements and word tables are in place then


class Calm(StreamStates):
    """A stream that was read a moment ago, so that the store costs nothing here: it is read in the background."""

    def start(self) -> None:
        """Nothing is read."""

    def state(self, stream: str) -> StreamState:
        """Calm."""
        return StreamState(known_at=self._services.clock())


def serve(address: str, port: int, secret: Any) -> None:
    """The service with the empty handler beside it; puts the token's secret into the queue."""
    ledger = open_ledger(address)
    secret.put(ledger.token_create(f"bench-{time.time_ns()}", ["gate"], time.time()))
    services = Services(settings=parse(Settings, SETTINGS, name="bench", environ={}), ledger=ledger)
    add_parts(services)
    services.parts[StreamStates] = Calm(services)
    empty = replace(GATE[0], path="/v1/empty", handler=lambda ctx, body: Answer(200, None), responses={200: None})
    app = build_app(services, (*ROUTES, empty))
    uvicorn.run(app, port=port, log_level="error")


@contextmanager
def service(address: str) -> Iterator[tuple[str, str]]:
    """URL and token of a service that runs in a separate process."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    secret = context.Queue()
    process = context.Process(target=serve, args=(address, port, secret))
    process.start()
    try:
        token = secret.get(timeout=120)
        until = time.monotonic() + 120
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}", token
    finally:
        process.terminate()
        process.join()


def texts() -> list[str]:
    """Outputs of AlpacaEval, some 200 words each."""
    with gzip.open(shared("alpacaeval.jsonl.gz"), "rt") as lines:
        found = [json.loads(line)["output"] for line in itertools.islice(lines, 2_000)]
    random.Random(1).shuffle(found)
    return found


def measure(url: str, token: str, rate: float, seconds: float) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    """Milliseconds of the requests to each of both paths."""
    outputs, transport = texts(), Transport(url, token)
    number = itertools.count()
    run = time.time_ns()

    def ask(path: str) -> None:
        n = next(number)
        text = outputs[n % len(outputs)]
        asked = GateRequest(kind="email", key=f"{run}:{n}", stream="bench", target=f"lead-{n % 200}", output=text)
        reply = transport.request("POST", path, msgspec.json.encode(asked), 30)
        if reply.status != 200:
            raise SystemExit(f"{path}: {reply.status} {reply.body[:200]!r}")

    for _ in range(WARM):
        ask("/v1/gate")
        ask("/v1/empty")
    total = int(rate * seconds) * 2
    taken: dict[str, list[float]] = defaultdict(list)
    turns, lock = iter(range(total)), threading.Lock()
    begin = time.perf_counter() + 0.2

    def work() -> None:
        while True:
            with lock:
                turn = next(turns, None)
            if turn is None:
                return
            due = begin + turn / (2 * rate)
            time.sleep(max(0.0, due - time.perf_counter()))
            path = "/v1/gate" if turn % 2 == 0 else "/v1/empty"
            ask(path)
            taken[path].append((time.perf_counter() - due) * 1e3)

    workers = [threading.Thread(target=work) for _ in range(THREADS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return {path: np.array(each) for path, each in taken.items()}


def similar() -> None:
    """How alike the texts of one intent are, and of two."""
    from monitor.events.schema import OutputEvent
    from monitor.features.registry import build_featurizer

    featurizer, by_prompt, chance = build_featurizer(), defaultdict(list), random.Random(1)
    with gzip.open(shared("alpacaeval.jsonl.gz"), "rt") as lines:
        for row in map(json.loads, lines):
            by_prompt[row["prompt"]].append(row["output"])
    prompts = [prompt for prompt, answers in by_prompt.items() if len(answers) > 1][:400]
    vectors = {
        prompt: featurizer.batch(
            [OutputEvent(stream="s", output=text) for text in by_prompt[prompt][:6]]
        ).output_embedding
        for prompt in prompts
    }
    same = [float(a @ b) for each in vectors.values() for a, b in itertools.combinations(each, 2)]
    other = []
    for _ in range(20_000):
        one, two = chance.sample(prompts, 2)
        other.append(float(chance.choice(list(vectors[one])) @ chance.choice(list(vectors[two]))))
    for name, found in (("one instruction, two models", same), ("two instructions", other)):
        share = float(np.mean(np.array(found) >= SAME_INTENT))
        print(f"| {name} | {len(found):,} | {np.median(found):.2f} | {share:.1%} |")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second to the gate, and as many beside")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--database", default="", help="a folder, or postgresql://...; a new folder by default")
    parser.add_argument("--similar", action="store_true")
    given = parser.parse_args()
    if given.similar:
        print(f"| pairs | n | median cosine | at least {SAME_INTENT} |\n|---|---:|---:|---:|")
        similar()
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        service(given.database or str(Path(folder) / "ledger")) as (url, token),
    ):
        taken = measure(url, token, given.rate, given.seconds)
    quantiles = {path: np.quantile(each, [0.5, 0.9, 0.99]) for path, each in taken.items()}
    print(f"{given.rate:g} requests/s to each, {len(taken['/v1/gate']):,} answers of each\n")
    print("| handler | p50 ms | p90 ms | p99 ms |\n|---|---:|---:|---:|")
    for path, name in (("/v1/gate", "gate, with checks and embedding"), ("/v1/empty", "empty handler")):
        print(f"| {name} | {' | '.join(f'{each:.1f}' for each in quantiles[path])} |")
    ratio = quantiles["/v1/gate"] / quantiles["/v1/empty"]
    print(f"| ratio | {' | '.join(f'{each:.1f}' for each in ratio)} |")


if __name__ == "__main__":
    main()
