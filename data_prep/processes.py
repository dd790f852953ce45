"""Work in several processes, each on one core."""

import concurrent.futures
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tfvqgen.errors import UserError, require_package


def num_cores() -> int:
    """Returns the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_parallel(
    work: Callable[[Any], Any], tasks: Sequence[Any], workers: int
) -> Iterator[Any]:
    """Calls `work` on every task in processes and yields the results in order.

    One worker, or one task, needs no other process. If the iterator is closed early,
    tasks that no process has started are not done. `work` is a function of a module, so
    that a new process can import it; `tasks` can be pickled. No more processes are
    started than there are tasks.

    Raises:
        UserError: A process was killed, for example by lack of memory.
    """
    # Each process uses one core; its libraries must not start threads as well. The
    # last bits of a matrix product depend on the number of threads.
    workers = min(workers, len(tasks))
    if workers <= 1:
        require_package("threadpoolctl", "prep")
        import threadpoolctl

        with threadpoolctl.threadpool_limits(1):
            yield from map(work, tasks)
        return
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    pool = concurrent.futures.ProcessPoolExecutor(
        workers,
        # Not forked: the parent may have threads, and reads the variables above.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
    )
    try:
        yield from pool.map(work, tasks)
    except concurrent.futures.BrokenExecutor:
        raise UserError(
            "a worker process was killed: expected memory and time for all of them; "
            f"fewer --workers need less. Received: workers={workers}"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    """Leaves Ctrl-C to the parent, and ends this process when the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def end_with_parent() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
