"""Work in several processes."""

import os

import pytest

from data_prep import processes
from tfvqgen.errors import UserError


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_tasks(workers):
    assert list(processes.in_parallel(abs, [-3, 2, -1], workers)) == [3, 2, 1]
    assert list(processes.in_parallel(abs, [], workers)) == []


def test_a_worker_that_is_killed_is_a_user_error():
    with pytest.raises(UserError, match="was killed: expected memory"):
        list(processes.in_parallel(os._exit, [1, 1], workers=2))
