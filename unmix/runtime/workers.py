"""Work on all cores: threads for renders, and worker processes with one thread each, which neither
outlive nor disturb their parent."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cache
from multiprocessing import connection, get_context, parent_process

from unmix.errors import UnmixError

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")

_shared = None  # of a worker process
_a_worker = False  # whether this is one


def cores() -> int:
    """The processor cores that this process may use; one in a worker process."""
    if _a_worker:
        return 1
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _one_thread() -> None:
    """torch does not divide what a thread of this module computes any further, and the tiniest
    numbers, on which a processor takes many times as long, are zeros to it."""
    import torch

    torch.set_num_threads(1)  # of this thread, and of MKL everywhere
    torch.set_flush_denormal(True)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores(), "unmix", _one_thread)


def thread_map(work: Callable, items: Iterable) -> list:
    """``work`` on every item, in threads on all cores; results in their order.

    The effects and torch leave Python alone while they compute. ``work`` must not call this itself:
    the threads are the same for everybody.
    """
    if cores() == 1:
        return [work(item) for item in items]
    return list(_threads().map(work, items))


def nested_thread_map(work: Callable, items: Iterable) -> list:
    """As ``thread_map``, in threads of their own, so that ``work`` may call it."""
    import torch

    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(cores(), initializer=_one_thread) as pool:
            return list(pool.map(work, items))
    finally:
        torch.set_num_threads(threads)


def _start(shared, leash) -> None:
    """Runs once in a worker: keeps the shared object, computes in one thread, and ends the worker
    when the parent dies or lets go of the leash."""
    global _shared, _a_worker
    _shared, _a_worker = shared, True
    _one_thread()

    def follow_parent():
        connection.wait([parent_process().sentinel, leash])
        os._exit(1)

    threading.Thread(target=follow_parent, daemon=True).start()


def _call(function, *args):
    return function(_shared, *args)


@contextmanager
def _interrupts_held():
    """Processes started in here never see Ctrl+C: they inherit the mask. This one sees it later."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Pool:
    """Spawned processes that call functions on one shared object. A context manager; where an
    exception leaves it they end at once, whatever they are at.

    Args:
        shared: sent to each worker once; must be picklable.
        workers: number of processes.
    """

    def __init__(self, shared, workers: int):
        context = get_context("spawn")
        end, self._leash = context.Pipe(duplex=False)
        self._executor = ProcessPoolExecutor(workers, context, _start, (shared, end))

    def __enter__(self):
        self._before = {name: os.environ.get(name) for name in _THREADS}
        os.environ.update(dict.fromkeys(_THREADS, "1"))
        return self

    def submit(self, function, *args):
        """A future of ``function(shared, *args)``; see ``result``."""
        with _interrupts_held():
            return self._executor.submit(_call, function, *args)

    @staticmethod
    def result(future):
        """The future's result; what the function raised, or UnmixError if its worker died."""
        try:
            return future.result()
        except BrokenProcessPool:
            raise UnmixError(
                "a worker process died (was memory short?); run the same command again to go on, "
                "with fewer workers"
            ) from None

    def __exit__(self, error, *_):
        if error:
            self._leash.close()
        self._executor.shutdown(wait=True, cancel_futures=True)
        for name, value in self._before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _item(shared, i: int):
    return shared.item(i)


def process_map(
    shared,
    count: int,
    workers: int,
    what: str,
    rows: dict | None = None,
    keep: Callable[[dict], None] = lambda rows: None,
) -> list:
    """``shared.item(i)`` for every i below ``count``, with a progress bar called ``what``.

    Args:
        shared: must be picklable where there is more than one worker.
        workers: 1 runs in this process, as it is; more are processes of one thread each.
        rows: {i: item} of those that are known already; the others join as they are done.
        keep: called as keep(rows) whenever one has joined.
    """
    from tqdm import tqdm

    rows = {} if rows is None else rows
    missing = [i for i in range(count) if i not in rows]
    with tqdm(desc=what, total=count, initial=count - len(missing), leave=False) as bar:
        for i, row in _as_done(shared, missing, workers):
            rows[i] = row
            bar.update()
            keep(rows)
    return [rows[i] for i in range(count)]


def _as_done(shared, items: list[int], workers: int):
    """(i, shared.item(i)) of all items, as they are done."""
    if workers == 1:
        for i in items:
            yield i, shared.item(i)
        return
    with Pool(shared, workers) as pool:
        futures = {pool.submit(_item, i): i for i in items}
        for future in as_completed(futures):
            yield futures[future], pool.result(future)
