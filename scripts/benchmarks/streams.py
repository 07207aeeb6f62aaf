"""The CPU of streams that pass LLMApp untouched, against a plain relay on the same pool and server.

Both stand in one process, asked in turns; each round gives one quotient, and the median of them is what counts.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from statistics import median

import samples
from measure import HERE, LOAD_CORE, Target, clients
from process import Program, free_port

LIMIT = 1.5
CORE = 0
PACE = "5"  # milliseconds between two events
ROUNDS, REQUESTS, CONNECTIONS = 9, 256, 64
SIZE = 1500
CASES = {
    "anthropic": ("/v1/messages", samples.messages(SIZE, stream=True)),
    "openai chat": ("/v1/chat/completions", samples.chat_with_usage(SIZE)),
    "openai chat, usage asked for by the gateway only": ("/v1/chat/completions", samples.chat(SIZE, stream=True)),
    "openai responses": ("/v1/responses", samples.responses(SIZE)),
    "gemini": ("/v1beta/models/gemini-3-flash:streamGenerateContent", samples.generate(SIZE)),
}  # fmt: skip


class Relays:
    """The process in which both stand."""

    def __init__(self, base: str, folder: Path) -> None:
        self._base, self._folder = base, folder

    def cpu(self) -> float:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self._base + "/cpu", timeout=20) as answer:
            return float(answer.read())

    def ready(self) -> bool:
        try:
            return self.cpu() > 0
        except OSError:
            return False

    def cost(self, which: str, path: str, body: bytes) -> float:
        """Microseconds of CPU for one stream."""
        file = self._folder / "body.json"
        file.write_bytes(body)
        headers = ("anthropic-version:2023-06-01",) if path == "/v1/messages" else ()
        to = Target(f"{self._base}/{which}{path}", file, headers, True)
        before = self.cpu()
        found = clients(to, CONNECTIONS, "--requests", str(REQUESTS))
        if found["bad"] or found["n"] != REQUESTS:
            raise RuntimeError(f"{which}{path}: {found}")
        return (self.cpu() - before) / REQUESTS * 1e6


def measured(relays: Relays, path: str, body: bytes) -> dict[str, float]:
    """Interleaved, in both orders, so that a machine that grows slower or faster is unfair to neither."""
    found: dict[str, list[float]] = {"plain": [], "gateway": []}
    for number in range(ROUNDS + 1):
        for which in sorted(found, reverse=bool(number % 2)):
            found[which].append(relays.cost(which, path, body))
    plain, gateway = (found[which][1:] for which in ("plain", "gateway"))  # the first warms up
    ratios = [each / other for each, other in zip(gateway, plain, strict=True)]
    return {"plain_us": median(plain), "gateway_us": median(gateway), "ratio": median(ratios)}


def main() -> int:
    chosen = {name: case for name, case in CASES.items() if not sys.argv[1:] or name.startswith(sys.argv[1])}
    upstream, port = f"http://127.0.0.1:{free_port()}", free_port()
    mock = [sys.executable, str(HERE / "mock.py"), upstream.rsplit(":", 1)[1], PACE]
    both = [sys.executable, str(HERE / "relays.py"), str(port), upstream]
    worst = 0.0
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        with Program(mock, core=LOAD_CORE, log=folder / "mock.log"), Program(
            both, core=CORE, log=folder / "relays.log"
        ) as program:  # fmt: skip
            relays = Relays(f"http://127.0.0.1:{port}", folder)
            program.ready(relays.ready)
            time.sleep(0.5)
            print(f"{'a stream of 60 events, CPU µs':50} {'plain':>8} {'gateway':>8} {'ratio':>6}")
            for case, (path, body) in chosen.items():
                row = measured(relays, path, body)
                worst = max(worst, row["ratio"])
                print(f"{case:50} {row['plain_us']:8.0f} {row['gateway_us']:8.0f} {row['ratio']:6.2f}", flush=True)  # fmt: skip
    print(json.dumps({"same_dialect_stream_ratio": round(worst, 2), "limit": LIMIT}))
    return 0 if worst <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
