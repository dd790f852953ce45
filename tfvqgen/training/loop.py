"""Ctrl-C and SIGTERM: finish the step, save, go."""

import contextlib
import signal
import sys
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


class Interruption:
    """Notes a first SIGINT or SIGTERM instead of dying of it; a second one kills.

    A context manager; outside the main thread, where signals cannot be caught, it does
    nothing.

    Attributes:
        requested: Whether a signal came.
    """

    def __init__(self):
        self.requested = False
        self._signal = signal.SIGINT
        self._previous = {}

    def __enter__(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._previous[number] = signal.signal(number, self._note)
            except ValueError:
                break
        return self

    def __exit__(self, *exception):
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def leave(self, message: str) -> None:
        """Exits as a process ended by the signal does, 128 + its number."""
        print(f"{message}; run the same command again to continue", file=sys.stderr)
        sys.exit(128 + self._signal)

    def _note(self, number, frame):
        del frame
        self.requested = True
        self._signal = number
        signal.signal(number, self._previous[number])


# Seconds of steps between looks at the clock, the progress bar and Ctrl-C.
CHUNK_SECONDS = 1.0


class Loop:
    """Trains one stage up to its number of steps, from wherever it stands.

    Everything random is a function of the seed and the step, and the data's position is
    one of the step, so that what a checkpoint holds (weights, optimizer, step, the sums
    of the epoch so far) is all that going on exactly needs.

    Args:
        stage: Made in the strategy's scope.
        strategy: Where it trains.
        workdir: Where it is kept; the caller holds its lock.
        seed: Of the order of the data and its symmetries.

    Raises:
        UserError: The batch does not divide over the replicas, or no checkpoint is
            whole.
    """

    def __init__(
        self,
        stage: Stage,
        strategy: tf.distribute.Strategy,
        workdir: Workdir,
        seed: int,
    ):
        config = stage.config
        require_even_parts(
            config.batch_size, strategy.num_replicas_in_sync * stage.accumulation
        )
        self._stage = stage
        self._strategy = strategy
        self._folder = workdir.stage(stage.name)
        self._seed = seed
        self._is_chief = distribution.is_chief(strategy)
        self._step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._sums = RunningSums(all_sum_shapes(stage))
        # Kept in the checkpoint, so that asking for more steps later does not bend the
        # schedule of those already taken.
        self._decay_steps = tf.Variable(
            config.decay_steps or config.steps, dtype=tf.int64, trainable=False
        )
        with strategy.scope():
            self._optimizer = _make_optimizer(stage, self._decay_steps)
        further = {} if stage.averages is None else {"averages": stage.averages}
        if stage.adversary is not None:
            further["critic"] = Variables(stage.adversary.critic)
            further["critic_optimizer"] = Variables(stage.adversary.optimizer)
        self._checkpoints = Checkpoints(
            workdir.checkpoints(stage.name),
            keep=config.keep_checkpoints,
            is_chief=self._is_chief,
            model=stage.model,
            optimizer=self._optimizer,
            step=self._step,
            decay_steps=self._decay_steps,
            sums=self._sums,
            **further,
        )
        self._checkpoints.restore_latest()
        self._speed = _Speed(config.batch_size)
        self._validation_step = make_validation_step(strategy, stage)

    @property
    def step(self) -> int:
        """Steps taken so far."""
        return int(self._step)

    @property
    def finished(self) -> bool:
        """Whether all steps are taken, or the held-out loss has stopped falling."""
        averages = self._stage.averages
        if averages and averages.has_stalled(self._stage.patience):
            return True
        return self.step >= self._stage.config.steps

    def run(self) -> dict[str, float]:
        """Trains until it is :attr:`finished`.

        A validation that was due at the last checkpoint but is not written down (the
        run was interrupted in it) is made up for first.

        Returns:
            The figures of the last validation; empty if there was nothing left to do.

        Raises:
            UserError: The loss is not finite; the message names the step and the
                batch's records, and the last checkpoint stays.
            DataError: A record cannot be read.
            SystemExit: Ctrl-C or SIGTERM came; a checkpoint was saved first.
        """
        owed = self._owes_validation()
        if self.finished and not owed:
            return {}
        log = MetricsLog(self._folder, step=self.step, enabled=self._is_chief)
        figures: dict[str, float] = {}
        with Interruption() as interruption, self._progress() as bar:
            if owed:
                figures = self._validate(log, bar, interruption)
                if self._stage.averages and figures:
                    self._checkpoints.save(self.step)
            # Where it was interrupted a step more would have it forgotten.
            chunks = () if interruption.requested else self._chunks(bar)
            for step in chunks:
                if self._is_due("log_every"):
                    self._log(log, bar)
                if self._is_due("validate_every") and not interruption.requested:
                    try:
                        figures = self._validate(log, bar, interruption)
                    except BaseException:
                        self._checkpoints.save(step)
                        raise
                if self._is_due("checkpoint_every") or interruption.requested:
                    self._checkpoints.save(step)
                if self.finished or interruption.requested:
                    break
        if interruption.requested:
            interruption.leave(f"stage {self._stage.name}: saved at step {self.step}")
        return figures

    def _owes_validation(self) -> bool:
        return self._is_due("validate_every") and not any(
            line["step"] == self.step and line["split"] == "validation"
            for line in read_metrics(self._folder / "metrics.jsonl")
        )

    def _is_due(self, key: str) -> bool:
        every = getattr(self._stage.config, key)
        return self.finished or (self.step > 0 and self.step % every == 0)

    def _progress(self):
        return tqdm(
            desc=self._stage.name,
            total=self._stage.config.steps,
            initial=self.step,
            unit="step",
            disable=not self._is_chief,
            dynamic_ncols=True,
        )

    def _chunks(self, bar) -> Iterator[int]:
        """Advances in chunks of about a second; yields the step.

        Chunks end where something is due. How steps fall into chunks changes no result.
        """
        config = self._stage.config
        # An epoch, but not less than is worth a line of figures.
        epoch_steps = max(
            -(-self._stage.num_training_examples // config.batch_size),
            config.log_every,
        )
        due = (
            config.log_every,
            config.validate_every,
            config.checkpoint_every,
            epoch_steps,
        )
        training_steps = make_training_steps(
            self._strategy, self._stage, self._optimizer
        )
        iterator = iter(self._training_data())
        length = 1
        while self.step < config.steps:
            ends = [every - self.step % every for every in due]
            length = min(length, config.steps - self.step, *ends)
            begun = time.perf_counter()
            with self._explained():
                result = training_steps(iterator, tf.constant(length, tf.int32))
                finite = bool(result.finite)
            if not finite:
                raise self._not_finite(self.step + int(result.steps))
            self._step.assign_add(length)
            # Coarse clocks may stand still for a step.
            seconds = max(time.perf_counter() - begun, 1e-9)
            self._sums.add(result.sums, length)
            if self.step % epoch_steps == 0:
                self._sums.end_epoch()
            self._speed.add(length, seconds)
            bar.update(length)
            length = max(1, round(length * min(2.0, CHUNK_SECONDS / seconds)))
            yield self.step

    def _log(self, log: MetricsLog, bar) -> None:
        sums, steps = self._sums.take()
        epoch = self._sums.epoch_values()
        figures = self._stage.training_metrics(sums, steps, epoch)
        figures["learning_rate"] = float(self._optimizer.learning_rate)
        speed = self._speed.take() * self._stage.items_per_example
        figures[self._stage.speed_metric] = speed
        log.write(self.step, "train", figures)
        for name, value in epoch.items():
            if name.endswith("_counts"):
                log.write_histogram(self.step, name, value)
        unit = self._stage.speed_metric.partition("_")[0]
        bar.set_postfix_str(f"loss {figures['loss']:.4g}, {speed:.1f} {unit}/s")

    def _validate(
        self, log: MetricsLog, bar, interruption: Interruption
    ) -> dict[str, float]:
        averages = self._stage.averages
        with averages.in_place() if averages else contextlib.nullcontext():
            sums = self._validation_sums(interruption)
            if interruption.requested:
                return {}
            figures = self._stage.validation_metrics(sums)
            pictures = self._stage.pictures() if self._is_chief else {}
        if averages:
            averages.judge(figures["loss"])
        log.write(self.step, "validation", figures)
        if self._is_chief:
            for name, picture in pictures.items():
                log.write_picture(self.step, name, picture)
                with whole_file(self._folder / f"{name}.png") as file:
                    Image.fromarray(picture).save(file, format="png")
            for warning in self._stage.warnings(figures):
                bar.write(f"warning: step {self.step}: {warning}", file=sys.stderr)
        return figures

    def _validation_sums(self, interruption: Interruption) -> dict[str, np.ndarray]:
        sums: dict[str, np.ndarray] = {}
        with self._explained():
            for batch in self._validation_data():
                for name, value in self._validation_step(batch).items():
                    sums[name] = sums.get(name, 0) + value.numpy().astype(np.float64)
                if interruption.requested:
                    break
        return sums

    def _training_data(self):
        def share(context):
            return self._stage.training_data(
                seed=self._seed, start_step=self.step, **_worker(context)
            )

        return self._strategy.distribute_datasets_from_function(share)

    def _validation_data(self):
        config = self._stage.config

        def share(context):
            worker = _worker(context)
            examples = self._stage.validation_data(**worker)
            batches = -(-config.validation_examples // config.batch_size)
            return examples.take(batches * worker["num_replicas_per_worker"])

        return self._strategy.distribute_datasets_from_function(share)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns an error of reading into one that names file and record.

        And the end of another worker into one that says so.
        """
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
            f"{self._stage.name}: expected numbers. What was saved before is kept; "
            "look at the batch, or lower the learning rate. Received: records "
            + ", ".join(names)
        )


def require_even_parts(batch_size: int, parts: int) -> None:
    """Refuses a batch that cannot be taken in as many equal parts.

    Raises:
        UserError: It does not divide.
    """
    if batch_size % parts:
        raise UserError(
            "the batch does not divide over the replicas and the parts that gradients "
            f"are added up over: expected batch_size in multiples of {parts}. "
            f"Received: batch_size={batch_size}"
        )


class _Speed:
    """Examples a second since the last line of figures, without the first chunk.

    In the first chunk the graph is made, which says nothing about what is to come.
    """

    def __init__(self, batch_size: int):
        self._batch_size = batch_size
        self._chunks = 0
        self._steps = 0
        self._seconds = 0.0

    def add(self, steps: int, seconds: float) -> None:
        self._chunks += 1
        if self._chunks == 2:
            self._steps, self._seconds = 0, 0.0
        self._steps += steps
        self._seconds += seconds

    def take(self) -> float:
        speed = self._steps * self._batch_size / self._seconds
        if self._chunks > 1:
            self._steps, self._seconds = 0, 0.0
        return speed


def _make_optimizer(stage: Stage, decay_steps: tf.Variable) -> keras.optimizers.Adam:
    """Returns the optimizer of a stage's model, built."""
    config = stage.config
    rate = WarmupCosine(
        config.learning_rate,
        config.warmup_steps,
        decay_steps,
        config.final_learning_rate,
    )
    optimizer = keras.optimizers.Adam(rate, beta_1=config.beta_1)
    optimizer.build(stage.model.trainable_variables)
    return optimizer


def _worker(context: tf.distribute.InputContext) -> dict[str, int]:
    workers = context.num_input_pipelines
    return {
        "num_workers": workers,
        "worker": context.input_pipeline_id,
        "num_replicas_per_worker": context.num_replicas_in_sync // workers,
    }
