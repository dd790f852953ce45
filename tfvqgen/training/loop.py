"""The training loop of a stage: steps, metrics, validation, checkpoints, resume."""

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from tfvqgen.data.tfrecords import READ_ERRORS
from tfvqgen.errors import UserError
from tfvqgen.files import whole_file
from tfvqgen.training import distribution
from tfvqgen.training.checkpoints import Checkpoints, Variables
from tfvqgen.training.metrics_log import MetricsLog, RunningSums, read_metrics
from tfvqgen.training.optimization import WarmupCosine
from tfvqgen.training.stages.base import Stage
from tfvqgen.training.steps import (
    all_sum_shapes,
    make_training_steps,
    make_validation_step,
)
from tfvqgen.training.workdir import Workdir

# Steps are run in graph for about so many seconds at a time. In between the loop looks
# at the clock, the progress bar and signals.
CHUNK_SECONDS = 1.0


class Loop:
    """Trains one stage up to its number of steps, from its last checkpoint on.

    Every random number is a function of the seed and the step, and so is the position
    in the data. A checkpoint holds weights, optimizer, step and the running sums of
    metrics, and this is all that is needed to resume exactly: an interrupted run ends
    with the weights and metrics of an uninterrupted one.

    Resuming goes in this order:

    1. The newest checkpoint that is not damaged is restored.
    2. Lines of ``metrics.jsonl`` after its step are removed.
    3. A validation that was due at its step but is not in ``metrics.jsonl`` is made.
    4. Training continues with the next batch.

    Args:
        stage: The stage, created in the scope of the strategy.
        workdir: The workdir, locked by the caller.
        seed: Seed of the order of the data and of random symmetries.
    """

    def __init__(
        self,
        stage: Stage,
        strategy: tf.distribute.Strategy,
        workdir: Workdir,
        seed: int,
    ):
        config = stage.config
        self._stage = stage
        self._strategy = strategy
        self._folder = workdir.stage(stage.name)
        self._seed = seed
        # The chief writes the logs and the checkpoints that are kept.
        self._is_chief = distribution.worker_index(strategy) == 0
        self._step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._sums = RunningSums(all_sum_shapes(stage))
        # A part of the checkpoint, so that a later request for more steps does not
        # change the learning rates of the steps that are already made.
        self._decay_steps = tf.Variable(
            config.decay_steps or config.steps, dtype=tf.int64, trainable=False
        )
        with strategy.scope():
            rate = WarmupCosine(
                config.learning_rate,
                config.warmup_steps,
                self._decay_steps,
                config.final_learning_rate,
            )
            self._optimizer = keras.optimizers.Adam(rate, beta_1=config.beta_1)
            self._optimizer.build(stage.model.trainable_variables)
        optional = {} if stage.averages is None else {"averages": stage.averages}
        if stage.adversary is not None:
            optional["critic"] = Variables(stage.adversary.critic)
            optional["critic_optimizer"] = Variables(stage.adversary.optimizer)
        self._checkpoints = Checkpoints(
            workdir.checkpoints(stage.name),
            keep=config.keep_checkpoints,
            is_chief=self._is_chief,
            model=stage.model,
            optimizer=self._optimizer,
            step=self._step,
            decay_steps=self._decay_steps,
            sums=self._sums,
            **optional,
        )
        self._checkpoints.restore_latest()
        # Steps since the last line of metrics, and the seconds that they took.
        self._steps_timed, self._seconds = 0, 0.0
        self._validation_step = make_validation_step(strategy, stage)

    @property
    def step(self) -> int:
        """Number of steps so far."""
        return int(self._step)

    @property
    def finished(self) -> bool:
        """Whether all steps are done, or the validation loss has stopped falling."""
        averages = self._stage.averages
        stalled = bool(averages) and averages.has_stalled(self._stage.patience)
        return stalled or self.step >= self._stage.config.steps

    def run(self) -> dict[str, float]:
        """Trains until it is :attr:`finished`.

        Returns:
            The metrics of the last validation; empty if there was nothing to do.

        Raises:
            UserError: The loss is not finite; the last checkpoint is kept.
            DataError: A record cannot be read.
            SystemExit: SIGINT (Ctrl-C) or SIGTERM arrived; a checkpoint was saved.
        """
        validation_missing = self._is_due("validate_every") and not any(
            line["step"] == self.step and line["split"] == "validation"
            for line in read_metrics(self._folder / "metrics.jsonl")
        )
        if self.finished and not validation_missing:
            return {}
        log = MetricsLog(self._folder, step=self.step, enabled=self._is_chief)
        metrics: dict[str, float] = {}
        progress = tqdm(
            desc=self._stage.name,
            total=self._stage.config.steps,
            initial=self.step,
            unit="step",
            disable=not self._is_chief,
            dynamic_ncols=True,
        )
        with _signals_noted() as signals, progress as bar:
            if validation_missing:
                metrics = self._validate(log, bar, signals)
                if self._stage.averages and metrics:
                    self._checkpoints.save(self.step)
            # After an interruption no step may follow, or the validation would be lost.
            chunks = () if signals else self._chunks(bar)
            for step in chunks:
                if self._is_due("log_every"):
                    self._log(log, bar)
                if self._is_due("validate_every") and not signals:
                    try:
                        metrics = self._validate(log, bar, signals)
                    except BaseException:
                        self._checkpoints.save(step)
                        raise
                if self._is_due("checkpoint_every") or signals:
                    self._checkpoints.save(step)
                if self.finished or signals:
                    break
        if signals:
            print(
                f"stage {self._stage.name}: saved at step {self.step}; run the same "
                "command again to continue",
                file=sys.stderr,
            )
            sys.exit(128 + signals[0])
        return metrics

    def _is_due(self, key: str) -> bool:
        every = getattr(self._stage.config, key)
        return self.finished or (self.step > 0 and self.step % every == 0)

    def _chunks(self, bar) -> Iterator[int]:
        """Trains in chunks of about a second; yields the step after each.

        A chunk ends where something is due. No result depends on the chunks.
        """
        config = self._stage.config
        # An epoch, but at least the steps of a line of metrics.
        epoch_steps = -(-self._stage.num_training_examples // config.batch_size)
        epoch_steps = max(epoch_steps, config.log_every)
        every = config.log_every, config.validate_every, config.checkpoint_every
        training_steps = make_training_steps(
            self._strategy, self._stage, self._optimizer
        )
        data = self._strategy.distribute_datasets_from_function(
            lambda context: self._stage.training_data(
                seed=self._seed, start_step=self.step, **_share(context)
            )
        )
        iterator = iter(data)
        length, is_first = 1, True
        while self.step < config.steps:
            ends = [number - self.step % number for number in (*every, epoch_steps)]
            length = min(length, config.steps - self.step, *ends)
            start = time.perf_counter()
            with self._read_errors_explained():
                result = training_steps(iterator, tf.constant(length, tf.int32))
                finite = bool(result.finite)
            if not finite:
                raise self._not_finite(self.step + int(result.steps))
            self._step.assign_add(length)
            # A coarse clock may show no difference.
            seconds = max(time.perf_counter() - start, 1e-9)
            self._sums.add(result.sums, length)
            if self.step % epoch_steps == 0:
                self._sums.end_epoch()
            self._steps_timed += length
            self._seconds += seconds
            bar.update(length)
            length = max(1, round(length * min(2.0, CHUNK_SECONDS / seconds)))
            yield self.step
            if is_first:
                # The graph was traced in this chunk.
                self._steps_timed, self._seconds, is_first = 0, 0.0, False

    def _log(self, log: MetricsLog, bar) -> None:
        stage = self._stage
        epoch = self._sums.epoch_values()
        metrics = stage.training_metrics(*self._sums.take(), epoch)
        metrics["learning_rate"] = float(self._optimizer.learning_rate)
        items = self._steps_timed * stage.config.batch_size * stage.items_per_example
        metrics[stage.speed_metric] = speed = items / self._seconds
        self._steps_timed, self._seconds = 0, 0.0
        log.write(self.step, "train", metrics)
        unit = stage.speed_metric.partition("_")[0]
        bar.set_postfix_str(f"loss {metrics['loss']:.4g}, {speed:.1f} {unit}/s")

    def _validate(self, log: MetricsLog, bar, signals: list[int]) -> dict[str, float]:
        averages = self._stage.averages
        with averages.in_place() if averages else contextlib.nullcontext():
            sums = self._validation_sums(signals)
            if signals:
                return {}
            metrics = self._stage.validation_metrics(sums)
            images = self._stage.images() if self._is_chief else {}
        if averages:
            averages.keep_if_best(metrics["loss"])
        log.write(self.step, "validation", metrics)
        if self._is_chief:
            for name, image in images.items():
                log.write_image(self.step, name, image)
                with whole_file(self._folder / f"{name}.png") as file:
                    Image.fromarray(image).save(file, format="png")
            for warning in self._stage.warnings(metrics):
                bar.write(f"warning: step {self.step}: {warning}", file=sys.stderr)
        return metrics

    def _validation_sums(self, signals: list[int]) -> dict[str, np.ndarray]:
        config = self._stage.config

        def batches(context):
            share = _share(context)
            number = -(-config.validation_examples // config.batch_size)
            number *= share["num_replicas_per_worker"]
            return self._stage.validation_data(**share).take(number)

        data = self._strategy.distribute_datasets_from_function(batches)
        sums: dict[str, np.ndarray] = {}
        with self._read_errors_explained():
            for batch in data:
                for name, value in self._validation_step(batch).items():
                    sums[name] = sums.get(name, 0) + value.numpy().astype(np.float64)
                if signals:
                    break
        return sums

    @contextlib.contextmanager
    def _read_errors_explained(self) -> Iterator[None]:
        """Replaces TensorFlow's errors about damaged records and about lost workers."""
        try:
            yield
        except READ_ERRORS as error:
            if lost := distribution.lost_worker(error):
                raise lost from error
            raise self._stage.explain(error) from error

    def _not_finite(self, step: int) -> UserError:
        data = self._stage.training_data(seed=self._seed, start_step=step - 1)
        names = self._stage.example_names(next(iter(data)))
        return UserError(
            f"the loss or its gradient is not finite at step {step} of stage "
            f"{self._stage.name}: expected finite numbers. The last checkpoint is "
            "kept; look at the batch, or lower the learning rate. Received: records "
            + ", ".join(names)
        )


@contextlib.contextmanager
def _signals_noted() -> Iterator[list[int]]:
    """Yields a list that gets the first SIGINT or SIGTERM; a second one kills.

    Outside the main thread, where signals cannot be handled, it stays empty.
    """
    noted: list[int] = []
    previous = {}

    def note(number, frame):
        noted.append(number)
        signal.signal(number, previous[number])

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, note)
    try:
        yield noted
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _share(context: tf.distribute.InputContext) -> dict[str, int]:
    """Returns the part of the data that is this worker's."""
    workers = context.num_input_pipelines
    return {
        "num_workers": workers,
        "worker": context.input_pipeline_id,
        "num_replicas_per_worker": context.num_replicas_in_sync // workers,
    }
