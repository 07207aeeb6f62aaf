"""A bounded queue with one thread behind it: requests put and go on, whatever the receiver does."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

log = logging.getLogger("gateway.telemetry")
Item = TypeVar("Item")


class Background(Generic[Item]):
    """Sends items in batches from its own thread, and drops what does not fit.

    `Background(send, name="traces")`: `send(batch)` may take its time and may raise. The thread starts with the first item.
    `dropped` counts what was given up.
    """

    def __init__(
        self,
        send: Callable[[list[Item]], None],
        *,
        name: str,
        size: int = 4096,
        batch: int = 512,
        every: float = 0.5,
    ) -> None:
        self._send = send
        self._name = name
        self._size, self._half = size, size // 2
        self._batch = batch
        self._every = every
        self._items: deque[Item] = deque()
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._idle = threading.Condition()
        self._sending = 0
        self._closed = False
        self.dropped = 0

    def put(self, item: Item) -> bool:
        """False where it was dropped."""
        waiting = len(self._items)
        if waiting >= self._size or self._closed:
            self.dropped += 1
            return False
        self._items.append(item)
        if self._thread is None:
            self._start()
        if waiting == self._half:  # before it is full
            self._wake.set()
        return True

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until all that was put before is sent or given up; False where that took too long."""
        until = time.monotonic() + timeout
        self._wake.set()
        with self._idle:
            while self._thread is not None and (self._items or self._sending):
                if not self._idle.wait(max(0.0, until - time.monotonic())):
                    return False
        return True

    def close(self, timeout: float = 2.0) -> None:
        """Send what is left, within the time given."""
        self.flush(timeout)
        self._closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=0.1)

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name=f"gateway-{self._name}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait(self._every)
            self._wake.clear()
            while self._items:
                self._send_some()
            with self._idle:
                self._idle.notify_all()

    def _send_some(self) -> None:
        self._sending = 1  # before the items leave the queue, so that `flush` never sees neither
        batch = [self._items.popleft() for _ in range(min(self._batch, len(self._items)))]
        try:
            self._send(batch)
        except Exception as error:
            log.warning("%s: %d given up: %s", self._name, len(batch), error)
            self.dropped += len(batch)
        finally:
            self._sending = 0
