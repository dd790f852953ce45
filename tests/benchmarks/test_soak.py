import collections
import json
import time
from concurrent import futures

import numpy as np
import pytest

from benchmarks import soak


def _stretch(rate, waiting, took=(0.1,)):
    return soak.Stretch(
        rate, 10.0, np.array(took), np.array(waiting), collections.Counter()
    )


@pytest.mark.parametrize(
    ("waiting", "growing"),
    [
        ([1] * 30, False),
        ([1, 2, 3, 2, 1, 4] * 5, False),
        (list(range(1, 31)), True),
        ([1] * 20 + [soak.MOST_WAITING], True),
        ([0], False),
    ],
)
def test_a_queue_grows_if_its_end_is_longer_than_its_start(waiting, growing):
    assert _stretch(1.0, waiting).growing is growing


@pytest.mark.parametrize("start", [3.0, 20.0, 200.0])
def test_the_search_ends_at_the_highest_rate_that_is_held(start):
    def attempt(rate):
        return _stretch(rate, range(1, 31) if rate > 40 else [1] * 30)

    tried, best = soak.search(attempt, start)
    assert 40 / 1.25 <= best <= 40
    assert tried[-1].growing and not tried[-2].growing


def test_figures_are_those_of_the_answers():
    took = np.arange(1, 101) / 1e3
    line = _stretch(10.0, [1, 2, 3], took).as_json()
    assert line["p50_ms"] == pytest.approx(50.5)
    assert line["p99_ms"] == pytest.approx(99.0, abs=0.1)
    assert line["longest_ms"] == pytest.approx(100)
    assert (line["requests_per_second"], line["most_waiting"]) == (10.0, 3)


def test_a_server_that_answers_nothing_has_its_line_too():
    class Silent:
        def megabytes(self):
            return 1.0

        def begin(self, request):
            future = futures.Future()
            future.set_exception(RuntimeError("gone"))
            return future

    rng = np.random.default_rng(0)
    made = soak.stretch(Silent(), ["a"], 500.0, 0.1, rng=rng, most=10_000)
    line = json.loads(json.dumps(made.as_json(), allow_nan=False))
    assert line["failed"] == {"gone": line["requests"]} and line["requests"] > 10
    assert (line["requests_per_second"], line["p50_ms"]) == (0, None)


class _Pool:
    """Answers each request in a thread, every tenth with an error."""

    def __init__(self):
        self._threads = futures.ThreadPoolExecutor(4)
        self.asked = []

    def megabytes(self):
        return 100.0

    def begin(self, request):
        self.asked.append(request)
        return self._threads.submit(self._answer, len(self.asked))

    def _answer(self, number):
        time.sleep(0.001)
        if number % 10 == 0:
            raise RuntimeError("busy")


def test_requests_come_at_their_rate_and_every_answer_is_counted():
    pool = _Pool()
    rng = np.random.default_rng(0)
    made = soak.stretch(pool, ["a", "b"], 200.0, 0.5, rng=rng, most=10_000)
    number = len(pool.asked)
    assert 40 < number < 200 and pool.asked[:3] == ["a", "b", "a"]
    assert len(made.waiting) == number
    assert made.failed == {"busy": number // 10}
    assert len(made.took) == number - number // 10
    assert (made.took > 0).all()


def test_a_soak_is_bounded_by_its_requests():
    pool = _Pool()
    rng = np.random.default_rng(0)
    made = soak.stretch(pool, ["a"], 1e4, 60.0, rng=rng, most=25)
    assert len(pool.asked) == 25 and made.seconds < 30
