""""""

import itertools

import pytest

from tfvqgen.client.failure import Cause, Failure, shortened
from tfvqgen.client.transport import pause_after, with_retries


class Clock:
    """Time that passes only when somebody waits."""

    def __init__(self):
        self.now = 100.0
        self.pauses = []

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds

    def __call__(self):
        return self.now


def attempts(causes, clock, **options):
    """Makes requests that fail for these causes; returns their time-outs."""
    timeouts = []

    def request(timeout):
        timeouts.append(timeout)
        if len(timeouts) <= len(causes):
            raise Failure(causes[len(timeouts) - 1], "no")
        return "yes"

    options = {"timeout": 10, "retries": 4, "deadline": 100, **options}
    try:
        answer = with_retries(request, **options, sleep=clock.sleep, clock=clock)
    except Failure as failure:
        answer = failure.cause
    return answer, timeouts


@pytest.mark.parametrize("cause", Cause)
def test_only_what_passes_is_asked_again(cause):
    answer, timeouts = attempts([cause], Clock())
    passing = cause in (Cause.NOBODY, Cause.UNAVAILABLE, Cause.LOADING)
    assert (answer, len(timeouts)) == (("yes", 2) if passing else (cause, 1))


def test_pauses_double_and_differ_by_up_to_a_half():
    for attempt, longest in enumerate([0.25, 0.5, 1, 2, 4, 8, 8, 8]):
        pauses = [pause_after(attempt) for _ in range(200)]
        assert longest / 2 <= min(pauses) < max(pauses) <= longest
        assert len(set(pauses)) > 100


def test_there_is_an_end_to_asking_again():
    clock = Clock()
    answer, timeouts = attempts([Cause.NOBODY] * 9, clock)
    assert answer is Cause.NOBODY
    assert len(timeouts) == 5 and len(clock.pauses) == 4


def test_no_attempt_is_made_or_waited_for_after_the_deadline():
    clock = Clock()
    answer, timeouts = attempts(
        [Cause.NOBODY] * 99, clock, retries=99, deadline=12, timeout=10
    )
    assert answer is Cause.NOBODY
    assert sum(clock.pauses) < 12
    spent = itertools.accumulate([0, *clock.pauses])
    assert timeouts == pytest.approx([min(10, 12 - x) for x in spent])


def test_a_servers_words_are_one_line_without_places_in_its_graph():
    text = "assertion failed: [too hot:]\n [3.0]\n\t [[{{node Assert/Assert}}]]"
    assert shortened(text) == "assertion failed: [too hot:] [3.0]"
    assert len(shortened("x" * 1000)) == 403
