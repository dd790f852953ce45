"""Distribution strategies: the devices and processes that train a stage."""

import json
import os

import tensorflow as tf

from tfvqgen.config import STRATEGIES
from tfvqgen.errors import UserError


def make_strategy(name: str = "auto") -> tf.distribute.Strategy:
    """Returns a distribution strategy.

    Args:
        name: ``"one_device"`` (the first GPU, else the CPU), ``"mirrored"`` (all GPUs
            of this machine, else its logical CPUs), ``"multi_worker"`` (the cluster in
            the environment variable ``TF_CONFIG``), or ``"auto"``: multi_worker if
            ``TF_CONFIG`` is set, mirrored if there are several GPUs, else one_device.

    Raises:
        UserError: The name is unknown, or ``TF_CONFIG`` is missing or invalid.
    """
    if name == "multi_worker" or (name == "auto" and os.environ.get("TF_CONFIG")):
        # Before any device is listed, which would initialize the communication.
        _check_tf_config()
        return tf.distribute.MultiWorkerMirroredStrategy()
    gpus = tf.config.list_logical_devices("GPU")
    if name == "auto":
        name = "mirrored" if len(gpus) > 1 else "one_device"
    if name == "one_device":
        return tf.distribute.OneDeviceStrategy("/gpu:0" if gpus else "/cpu:0")
    if name == "mirrored":
        devices = gpus or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    raise UserError(
        f"unknown strategy: expected one of {', '.join(STRATEGIES)}. Received: {name!r}"
    )


def num_workers(strategy: tf.distribute.Strategy) -> int:
    """Returns the number of processes that train together."""
    resolver = strategy.cluster_resolver
    cluster = resolver.cluster_spec().as_dict() if resolver else {}
    return len(cluster.get("worker", ())) or 1


def worker_index(strategy: tf.distribute.Strategy) -> int:
    """Returns the number of this process among the workers, from 0 (the chief)."""
    resolver = strategy.cluster_resolver
    return int(resolver.task_id or 0) if resolver else 0


def lost_worker(error: tf.errors.OpError) -> UserError | None:
    """Returns the user's error if another worker has ended; None for other errors."""
    if "Collective" not in (error.message or ""):
        return None
    return UserError(
        "another worker has ended: expected every worker of TF_CONFIG until the end; "
        "look at the messages of the others, and run all of them again to continue "
        f"from the last checkpoint. Received: {type(error).__name__}"
    )


def _check_tf_config() -> None:
    text = os.environ.get("TF_CONFIG", "")
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        valid = list(cluster) == ["worker"] and task["type"] == "worker"
        valid = valid and 0 <= int(task["index"]) < len(cluster["worker"])
    except (ValueError, KeyError, TypeError):
        valid = False
    if not valid:
        raise UserError(
            "multi_worker needs a cluster in TF_CONFIG: expected JSON like "
            '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", '
            f'"index": 0}}}}. Received: TF_CONFIG={text!r}'
        )
