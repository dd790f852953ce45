"""Everything that the page can do with a model."""

# Shapes: N cells of H x W pixels and C channels; L labels.

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfvqgen.app import limits, questions
from tfvqgen.app.cells import Cell, Cells
from tfvqgen.app.limits import OneAtATime
from tfvqgen.app.model import Model
from tfvqgen.app.upload import MOST_REDUCTION, read_crop
from tfvqgen.data.sheets import brightening
from tfvqgen.errors import UserError
from tfvqgen.generation.request import Request, Sample, check_rows
from tfvqgen.generation.samples import (
    multi_hot,
    origin,
    said_within,
    table_columns,
)

Answer = dict[str, Any]


class Studio:
    """Answers the page's questions, one at a time where the model is needed.

    Args:
        model: The model.
        cells: Where cells are kept.

    Attributes:
        about: Describes the model.
        cells: Where cells are kept.
    """

    def __init__(self, model: Model, cells: Cells | None = None):
        self.model_info = model.model_info
        self.cells = cells or Cells()
        self._model = model
        self._model_use = OneAtATime()

    def introduce(self) -> Answer:
        """Returns what the page has to know of the model, and its limits."""
        return {
            **self.model_info.to_json(),
            "most_at_once": min(limits.MOST_CELLS_AT_ONCE, self.model_info.max_rows),
            "most_upload_bytes": limits.MOST_UPLOAD_BYTES,
            "most_reduction": MOST_REDUCTION,
        }

    def close(self) -> None:
        """Waits until the model is at rest: it must not be cut off in its work."""
        self._model_use.close()

    def warm_up(self) -> None:
        """Asks everything once: graphs are made ready when they are first asked.

        Raises:
            Busy: The studio is closed.
        """
        shape = (1, *self.model_info.image_shape)
        image = np.zeros(shape, self.model_info.dtype)
        labels = np.zeros((1, len(self.model_info.labels)), np.float32)
        rows = check_rows(self.model_info, labels, [0], 1.0, 1.0, 0.0)
        self._ask("generate_multilabel", **rows)
        self._ask("reconstruct", image=image)
        del rows["labels"]
        mask, nothing = np.ones(shape[:3], np.float32), np.full(1, -1, np.int32)
        self._ask("complete", image=image, mask=mask, class_id=nothing, **rows)

    def draw(self, body: Mapping[str, Any]) -> Answer:
        """Draws cells for a set of labels and successive seeds."""
        request = questions.request(body, self.model_info)
        samples = request.samples(self.model_info.labels)
        labels = multi_hot([sample.labels for sample in samples], self.model_info)
        rows = self._rows(labels, samples, request)
        images = self._ask("generate_multilabel", **rows)
        cells = [
            self._cell(sample, request, image)
            for sample, image in zip(samples, images, strict=True)
        ]
        return self._keep(cells)

    def upload(self, body: Mapping[str, Any]) -> Answer:
        """Takes a crop, to be reconstructed or completed."""
        reduce = questions.value(body, "reduce", bool)
        image = read_crop(questions.files(body), self.model_info, reduce)
        return self._keep([Cell(f"crop {_digest(image)[:8]}", image)])

    def reconstruct(self, body: Mapping[str, Any]) -> Answer:
        """Encodes and decodes a crop."""
        crop = self._crop(body)
        digest = _digest(crop.image)
        (image,) = self._ask("reconstruct", image=crop.image[None])
        made = "reconstruction of a crop"
        cell = Cell(
            f"reconstruction_{digest[:8]}",
            image,
            group=f"crop{digest[:8]}",
            text={**origin(self.model_info), "Made": made, "Crop": digest},
            columns={
                "generated": "true",
                "model": self.model_info.id,
                "made": made,
                "crop_pixels_sha256": digest,
            },
        )
        return self._keep([cell])

    def complete(self, body: Mapping[str, Any]) -> Answer:
        """Keeps a part of a crop and draws the rest, for successive seeds."""
        crop, mask = self._crop(body), questions.mask(body, self.model_info)
        request = questions.request(body, self.model_info)
        samples = request.samples(self.model_info.labels)
        (names,) = request.label_sets
        if len(names) > 1:
            raise UserError(
                "too many localizations: expected one or none when a crop is "
                f"completed. Received: {', '.join(names)}"
            )
        rows = self._rows(
            multi_hot([names] * len(samples), self.model_info), samples, request
        )
        del rows["labels"]
        class_id = self.model_info.labels.index(names[0]) if names else -1
        images = self._ask(
            "complete",
            image=np.stack([crop.image] * len(samples)),
            mask=np.stack([mask] * len(samples)),
            class_id=np.full(len(samples), class_id, np.int32),
            **rows,
        )
        digest, box = _digest(crop.image), body["redraw"]
        made = "crop completed: x={x} y={y} width={width} height={height} redrawn"
        cells = [
            self._cell(sample, request, image, digest, made.format_map(box))
            for sample, image in zip(samples, images, strict=True)
        ]
        return self._keep(cells)

    def _rows(self, labels, samples, request: Request) -> dict[str, np.ndarray]:
        seeds = [sample.seed for sample in samples]
        how = (request.temperature, request.top_p, request.guidance)
        return check_rows(self.model_info, labels, seeds, *how)

    def _ask(self, signature: str, **inputs) -> np.ndarray:
        with self._model_use.turn():
            return self._model.ask(signature, **inputs)["image"]

    def _crop(self, body: Mapping[str, Any]) -> Cell:
        return self.cells.get(questions.value(body, "crop", str))

    def _cell(
        self,
        sample: Sample,
        request: Request,
        image: np.ndarray,
        digest: str = "",
        made: str = "",
    ) -> Cell:
        text = said_within(self.model_info, request, sample)
        columns = table_columns(self.model_info, request, sample)
        name, group = sample.name, f"seed{sample.seed}"
        if made:
            text |= {"Made": made, "Crop": digest}
            columns |= {"made": made, "crop_pixels_sha256": digest}
            name, group = f"{name}_completed_{digest[:8]}", f"crop{digest[:8]}"
        return Cell(name, image, sample.labels, group, text, columns)

    def _keep(self, cells: list[Cell]) -> Answer:
        """Keeps cells; returns what the page shows of them."""
        images = np.stack([cell.image for cell in cells])
        gain = brightening(images / np.iinfo(images.dtype).max)
        return {
            "gain": [round(float(x), 3) for x in gain],
            "cells": [
                {
                    "id": self.cells.add(cell),
                    "name": cell.name,
                    "labels": cell.labels,
                    "seed": cell.columns.get("seed"),
                    "text": cell.text,
                }
                for cell in cells
            ],
        }


def _digest(image: np.ndarray) -> str:
    """Names the pixels, whatever file they came in."""
    return hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()
