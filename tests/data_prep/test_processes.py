"""Work shared out among processes."""

import os

import pytest

from data_prep import processes
from tfvqgen.errors import UserError


def test_results_come_in_the_order_of_the_tasks():
    assert list(processes.in_parallel(abs, [-3, 2, -1], workers=2)) == [3, 2, 1]


def test_no_task_needs_no_process():
    assert list(processes.in_parallel(abs, [], workers=2)) == []


def test_a_worker_that_is_killed_is_a_sentence():
    with pytest.raises(UserError, match="was killed: expected memory"):
        list(processes.in_parallel(os._exit, [1], workers=1))
