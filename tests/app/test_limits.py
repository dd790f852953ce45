import threading

import pytest

from tfvqgen.app.limits import Busy, OneAtATime, RateLimit, TooMany


def test_a_burst_goes_through_and_then_so_many_a_second():
    now = [100.0]
    rate = RateLimit(burst=3, per_second=2.0, clock=lambda: now[0])
    for _ in range(3):
        rate.count()
    with pytest.raises(TooMany, match="2 a second at most") as caught:
        rate.count()
    assert caught.value.seconds == 1
    now[0] += 0.5
    rate.count()
    with pytest.raises(TooMany):
        rate.count()
    now[0] += 1000
    for _ in range(3):
        rate.count()
    with pytest.raises(TooMany):
        rate.count()


def test_one_has_its_turn_a_few_wait_and_the_next_is_refused():
    gate, entered = OneAtATime(most_waiting=1), threading.Event()
    leave, most, within = threading.Event(), [0], [0]

    def use():
        with gate.turn():
            within[0] += 1
            most[0] = max(most[0], within[0])
            entered.set()
            assert leave.wait(10)
            within[0] -= 1

    threads = [threading.Thread(target=use) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert entered.wait(10)
    while gate._places._value:
        pass
    with pytest.raises(Busy, match="busy"), gate.turn():
        pass
    leave.set()
    for thread in threads:
        thread.join()
    assert most == [1]
    with gate.turn():
        pass


def test_closing_waits_for_the_one_who_has_a_turn_and_gives_no_more():
    gate, entered, leave = OneAtATime(), threading.Event(), threading.Event()

    def use():
        with gate.turn():
            entered.set()
            assert leave.wait(10)

    user = threading.Thread(target=use)
    user.start()
    assert entered.wait(10)
    closer = threading.Thread(target=gate.close, daemon=True)
    closer.start()
    closer.join(0.1)
    assert closer.is_alive()
    refused = []

    def late():
        with pytest.raises(Busy, match="closed"), gate.turn():
            refused.append("not")

    waiting = threading.Thread(target=late, daemon=True)
    waiting.start()
    leave.set()
    closer.join(10)
    assert not closer.is_alive() and refused == []
    user.join()


def test_a_failure_gives_the_turn_back():
    gate = OneAtATime(most_waiting=0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), gate.turn():
            raise ZeroDivisionError
