"""Ctrl+C as a request to come to an end, not as an end."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager


@contextmanager
def interruptible():
    """An event that the first Ctrl-C sets; the second one raises KeyboardInterrupt."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event  # signals reach the main thread only
        return
    previous = signal.getsignal(signal.SIGINT)

    def handler(number, frame):
        event.set()
        signal.signal(signal.SIGINT, previous)

    signal.signal(signal.SIGINT, handler)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, previous)
