"""Workers: results in order whoever is first, errors come through, and nothing is done twice."""

import time

import pytest
import torch

from unmix.runtime import workers
from unmix.runtime.workers import Pool, nested_thread_map, process_map, thread_map


def test_results_come_in_the_order_of_the_items_even_when_nested():
    def row(i: int) -> list[int]:
        time.sleep(0.01 * (5 - i))  # the last is done first
        return thread_map(lambda j: i * j, range(4))

    threads = torch.get_num_threads()
    assert nested_thread_map(row, range(6)) == [[i * j for j in range(4)] for i in range(6)]
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("run", [thread_map, nested_thread_map])
def test_an_error_comes_through(run):
    with pytest.raises(ZeroDivisionError):
        run(lambda i: 1 // i, [1, 0, 2])


@pytest.mark.skipif(not torch.set_flush_denormal(False), reason="this processor has no such way")
@pytest.mark.parametrize("run", [thread_map, nested_thread_map])
def test_the_tiniest_numbers_are_zeros_in_threads_and_only_there(run, monkeypatch):
    monkeypatch.setattr(workers, "cores", lambda: 2)

    def half(i: int) -> float:
        return float((torch.full((64,), 2e-38) / 2).max())

    assert run(half, range(4)) == [0.0] * 4
    assert half(0) > 0


class Squares:
    """Counts what it is asked."""

    def __init__(self):
        self.asked = []

    def item(self, i: int) -> int:
        self.asked.append(i)
        return i * i


def test_known_items_are_not_asked_again_and_every_new_one_is_kept():
    squares, kept = Squares(), []
    found = process_map(squares, 4, 1, "squares", {1: -1}, lambda rows: kept.append(dict(rows)))
    assert found == [0, -1, 4, 9] and squares.asked == [0, 2, 3]
    assert [sorted(rows) for rows in kept] == [[0, 1], [0, 1, 2], [0, 1, 2, 3]]


def test_workers_end_at_once_when_somebody_stops_everything():
    with pytest.raises(KeyboardInterrupt), Pool(600, 1) as pool:
        assert pool.result(pool.submit(abs)) == 600
        pool.submit(time.sleep)  # ten minutes of work
        time.sleep(0.5)
        began = time.monotonic()
        raise KeyboardInterrupt
    assert time.monotonic() - began < 10
