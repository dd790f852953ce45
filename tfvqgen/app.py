"""A web page to try a model, built with Gradio.

The page generates cells, reconstructs or completes a crop of the user, and offers every
image as a lossless file whose metadata says that it is generated. The server listens on
the loopback address only, and the page loads nothing from other hosts.
"""

import contextlib
import dataclasses
import hashlib
import html
import shutil
import struct
import tempfile
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import gradio as gr
import numpy as np
from PIL import Image

from tfvqgen.data.images import decode_png
from tfvqgen.data.sheets import brightening, shown
from tfvqgen.errors import UserError, require_in_range
from tfvqgen.generation import samples
from tfvqgen.generation.model_info import ModelInfo
from tfvqgen.generation.request import Request, Source, label_set, set_name

# Held while TensorFlow runs, which must not be interrupted by the end of the process.
MODEL_USE = threading.Lock()
MAX_CELLS = 64
MAX_UPLOAD_BYTES = 12 * 2**20
MAX_REDUCTION = 16

_BATCH_SIZE = 8
_SESSION_SECONDS = 3600
_EDITOR_SIDE = 448
_NUMBERS = ("num_per_label", "seed", "temperature", "top_p", "guidance")
# Name, step, (least, most, default), help text.
_SLIDERS = (
    ("Temperature", 0.05, (0.1, 1.5, 1), "Below 1: more typical, less varied cells."),
    ("Top-p", 0.01, (0.05, 1, 1), "Below 1: without the least likely codes."),
    ("Guidance", 0.25, (0, 4, 0), "Above 0: the localizations are clearer."),
)


@dataclasses.dataclass(frozen=True, eq=False)
class PageCell:
    """A cell on the page, uint8 or uint16 [H, W, C].

    `text` is the metadata of its files; it is empty for an uploaded crop. `labels`,
    `group` and `columns` are entries of the table in the zip file.
    """

    name: str
    caption: str
    image: np.ndarray
    text: Mapping[str, str] = dataclasses.field(default_factory=dict)
    labels: tuple[str, ...] = ()
    group: str = ""
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def derived(self, crop: np.ndarray, how: str) -> "PageCell":
        """Returns the cell with the crop that it was made from in its metadata."""
        digest = hashlib.sha256(np.ascontiguousarray(crop).tobytes()).hexdigest()
        return dataclasses.replace(
            self,
            name=f"{self.name}_crop{digest[:8]}",
            group=f"crop{digest[:8]}",
            text={**self.text, "Made": how, "Crop": digest},
            columns={**self.columns, "made": how, "crop_pixels_sha256": digest},
        )

    def picture(self, view: Sequence[int | None], gain) -> Image.Image:
        """Returns channels as red, green and blue, with the metadata of the files."""
        unit = self.image / np.iinfo(self.image.dtype).max
        picture = Image.fromarray(shown(unit, view, gain))
        picture.info |= self.text
        return picture


def generated(
    source: Source,
    request: Request,
    crop: np.ndarray | None = None,
    masked: np.ndarray | None = None,
) -> Iterator[list[PageCell]]:
    """Generates the cells of a request and yields those of each batch.

    If a crop is given, uint8 or uint16 [H, W, C], only its masked region, bool [H, W],
    is sampled.
    """
    info = source.model_info
    wanted = request.samples(info.labels)
    size, most = len(wanted), f"at most {MAX_CELLS}"
    require_in_range("number of cells", size, size <= MAX_CELLS, most)
    for start in range(0, size, _BATCH_SIZE):
        some = wanted[start : start + _BATCH_SIZE]
        rows = samples.sampling_rows(info, request, some)
        with MODEL_USE:
            if crop is None:
                made = source.generate(*rows)
            else:
                kept = np.stack([~masked] * len(some)).astype(np.float32)
                made = source.complete(np.stack([crop] * len(some)), kept, *rows)
        cells = [
            PageCell(
                sample.name,
                f"{set_name(sample.labels)}, seed {sample.seed}",
                image,
                samples.sample_metadata(info, request, sample),
                sample.labels,
                f"seed{sample.seed}",
                samples.table_columns(info, request, sample),
            )
            for sample, image in zip(some, np.asarray(made.image), strict=True)
        ]
        if crop is not None:
            how = f"crop completed: {masked.sum()} of {masked.size} pixels replaced"
            cells = [cell.derived(crop, how) for cell in cells]
        yield cells


def reconstructed(source: Source, crop: np.ndarray) -> PageCell:
    """Encodes and decodes a crop, uint8 or uint16 [H, W, C]."""
    info, name = source.model_info, "reconstruction"
    with MODEL_USE:
        image = np.asarray(source.reconstruct(crop[None]))[0]
    columns = {"generated": "true", "model": info.id}
    cell = PageCell(name, name, image, samples.model_metadata(info), columns=columns)
    return cell.derived(crop, "reconstruction of a crop")


def read_crop(
    paths: Sequence[Path], info: ModelInfo, reduce: bool = False
) -> np.ndarray:
    """Reads an uploaded crop as uint8 or uint16 [H, W, C].

    Args:
        paths: One PNG with all channels, or a grey PNG for each channel with the name
            of the channel in its file name.
        info: Describes the model.
        reduce: Whether a crop of 2 to 16 times the model's size is averaged to it.

    Raises:
        UserError: The crop does not fit the model; sizes are checked before decoding.
    """
    size = sum(path.stat().st_size for path in paths)
    expected = f"at most {MAX_UPLOAD_BYTES:,} bytes"
    require_in_range("size of the upload", size, size <= MAX_UPLOAD_BYTES, expected)
    names = [name.casefold() for name in info.channels]
    if len(paths) > 1:
        found = [[x for x in paths if name in x.name.casefold()] for name in names]
        ordered = [some[0] for some in found if len(some) == 1]
        if len(paths) != len(names) or set(ordered) != set(paths):
            raise UserError(
                "wrong file names: expected the name of one channel in each "
                f"({', '.join(names)}). Received: {', '.join(x.name for x in paths)}"
            )
        paths = ordered
    parts = [_read_png(path, info, reduce) for path in paths]
    counts = [part.shape[-1] for part in parts]
    if counts not in ([len(names)], [1] * len(names)):
        raise UserError(
            f"wrong channels: expected one PNG with {', '.join(names)}, or a grey PNG "
            f"for each. Received: PNG files with {counts} channels"
        )
    return np.concatenate(parts, axis=-1)


def _read_png(path: Path, info: ModelInfo, reduce: bool) -> np.ndarray:
    """Reads a PNG as [H, W, any number of channels]."""
    data = path.read_bytes()
    if data[:8] != b"\x89PNG\r\n\x1a\n" or len(data) < 33:
        raise UserError(f"wrong format: expected a PNG. Received: {path.name}")
    width, height, depth = struct.unpack(">IIB", data[16:25])
    bits = 8 * np.dtype(info.dtype).itemsize
    rows, columns = info.image_shape[:2]
    factor = height // rows
    fits = (height, width) == (factor * rows, factor * columns)
    fits &= 1 <= factor <= (MAX_REDUCTION if reduce else 1)
    if not fits or max(depth, 8) != bits:
        raise UserError(
            f"wrong crop: expected {columns} x {rows} pixels of {bits} bits (2 to "
            f"{MAX_REDUCTION} times as many on each side if larger crops are averaged)."
            f" Received: {path.name} with {width} x {height} pixels of {depth} bits"
        )
    blocks = decode_png(data).reshape(rows, factor, columns, factor, -1)
    return np.round(blocks.mean(axis=(1, 3))).astype(info.dtype)


def read_mask(editor: Mapping | None, info: ModelInfo) -> np.ndarray:
    """Reads the region painted in the image editor, bool [H, W]."""
    height, width = info.image_shape[:2]
    masked = np.zeros((height, width), bool)
    for layer in (editor or {}).get("layers") or ():
        # A pixel of the model is several pixels of the editor.
        alpha = Image.fromarray(np.ascontiguousarray(layer[..., 3]))
        masked |= np.asarray(alpha.resize((width, height), Image.Resampling.BOX)) > 0
    if not masked.any():
        raise UserError("no region is painted: expected one. Received: none")
    return masked


@dataclasses.dataclass(frozen=True, eq=False)
class Results:
    """The cells that a session shows, and the folder with their files."""

    folder: Path
    info: ModelInfo
    cells: tuple[PageCell, ...] = ()

    def gallery(self, brighten: bool) -> list[tuple[Image.Image, str]]:
        """Returns the cells in the display colours, with their captions."""
        gain, view = self._gain(brighten), self.info.display_channels
        return [(cell.picture(view, gain), cell.caption) for cell in self.cells]

    def channels(self, index: int, brighten: bool) -> list[tuple[Image.Image, str]]:
        """Returns a cell in the display colours, and each of its channels in grey."""
        cell, gain = self.cells[index], self._gain(brighten)
        views = [(cell.caption, self.info.display_channels)]
        views += [(name, (i,) * 3) for i, name in enumerate(self.info.channels)]
        return [(cell.picture(view, gain), name) for name, view in views]

    def write(self) -> Path:
        """Writes the generated cells as ``sample`` does, and returns a zip of them."""
        folder, info = self.folder, self.info
        cells = [cell for cell in self.cells if cell.text]
        for x in cells:
            samples.write_cell(folder, x.name, x.image, info, x.text)
        rows = [(x.name, x.labels, x.group, x.columns) for x in cells]
        samples.write_table(folder, rows, info)
        target = folder / f"generated_cells_{info.id}.zip"
        files = [x for x in folder.rglob("*") if x.is_file() and x != target]
        with zipfile.ZipFile(target, "w") as file:
            for path in sorted(files):
                file.write(path, path.relative_to(folder))
        return target

    def _gain(self, brighten: bool) -> np.ndarray:
        images = np.stack([cell.image for cell in self.cells])
        gain = brightening(images / np.iinfo(images.dtype).max)
        return gain if brighten else np.ones_like(gain)


class Page:
    """The page of a model: what its buttons do, and how it is laid out.

    Args:
        source: A generator or an export.
        folder: Folder for the files of the sessions.
    """

    def __init__(self, source: Source, folder: Path):
        self._source, self._info, self._folder = source, source.model_info, folder
        height, width, _ = self._info.image_shape
        zoom = max(1, _EDITOR_SIDE // max(height, width))
        self._editor_size = width * zoom, height * zoom

    def _request(self, labels, together, *numbers) -> Request:
        names = label_set(labels, self._info.labels)
        sets = (names,) if together or not names else tuple((x,) for x in names)
        if None in numbers:
            raise UserError("an empty field: expected a number. Received: nothing")
        return Request(label_sets=sets, **dict(zip(_NUMBERS, numbers, strict=True)))

    def _run(self, batches, old, brighten, *inputs):
        """Shows the cells of every batch as soon as they are made."""
        results = Results(Path(tempfile.mkdtemp(dir=self._folder)), self._info)
        with _user_errors():
            for batch in batches(*inputs):
                _forget(old)
                results = dataclasses.replace(results, cells=(*results.cells, *batch))
                yield results, results.gallery(brighten), results.write(), None, None

    def _generate(self, *settings):
        return generated(self._source, self._request(*settings))

    def _complete(self, crop, editor, *settings):
        masked = read_mask(crop is not None and editor, self._info)
        return generated(self._source, self._request(*settings), crop, masked)

    def _reconstruct(self, crop):
        if crop is None:
            raise UserError("no crop: expected an uploaded crop. Received: none")
        return [
            (PageCell("crop", "your crop", crop), reconstructed(self._source, crop))
        ]

    def _upload(self, paths, reduce):
        """Returns the crop, and the image editor's value with the enlarged crop."""
        with _user_errors():
            if not paths:
                return None, None
            crop = read_crop([Path(path) for path in paths], self._info, reduce)
            cells = (PageCell("crop", "your crop", crop),)
            picture, _ = Results(self._folder, self._info, cells).gallery(True)[0]
            large = picture.resize(self._editor_size, Image.Resampling.NEAREST)
            return crop, {"background": large, "layers": [], "composite": None}
        return None, None

    def build(self) -> gr.Blocks:
        """Returns the page."""
        info = self._info
        kept = (600, _SESSION_SECONDS)
        page = gr.Blocks(
            title="tfvqgen", analytics_enabled=False, fill_width=True, delete_cache=kept
        )
        with page:
            gr.HTML(
                "<h2>tfvqgen: generated cells, not images of real ones</h2>"
                f"Trained on: {html.escape(info.credit or 'unknown')}"
            )
            results = gr.State(time_to_live=_SESSION_SECONDS, delete_callback=_forget)
            crop = gr.State(time_to_live=_SESSION_SECONDS)
            with gr.Row():
                with gr.Column(scale=1, min_width=340):
                    settings = _settings(info)
                with gr.Column(scale=3):
                    with gr.Tab("Generate cells"), gr.Row():
                        generate = gr.Button("Generate", variant="primary")
                        stop = gr.Button("Stop")
                    with gr.Tab("Use a crop"), gr.Row():
                        with gr.Column():
                            files = gr.File(label="PNG", file_count="multiple")
                            reduce = gr.Checkbox(label="Average a larger crop to fit")
                            reconstruct = gr.Button("Reconstruct")
                            complete = gr.Button("Sample the painted region")
                        editor = _editor(self._editor_size)
                    with gr.Tab("About the model"):
                        gr.JSON(info.to_json())
                    with gr.Row():
                        brighten = gr.Checkbox(True, label="Brighten for display")
                        download_all = gr.DownloadButton("Download all (zip)")
                        download = gr.DownloadButton("Download selected cell (PNG)")
                    gallery = _gallery(columns=8, allow_preview=False)
                    views = _gallery(columns=len(info.channels) + 1)
            private = {"api_visibility": "private"}
            outputs = [results, gallery, download_all, views, download]
            runs = [
                button.click(
                    partial(self._run, batches),
                    [results, brighten, *inputs],
                    outputs,
                    concurrency_id="model",
                    **private,
                )
                for button, batches, inputs in (
                    (generate, self._generate, settings),
                    (complete, self._complete, [crop, editor, *settings]),
                    (reconstruct, self._reconstruct, [crop]),
                )
            ]
            stop.click(None, cancels=runs, **private)
            changes = [files.change, reduce.change]
            gr.on(changes, self._upload, [files, reduce], [crop, editor], **private)
            shown_now = [results, brighten]
            gallery.select(_select, shown_now, [views, download], **private)
            brighten.change(_show_again, shown_now, [gallery, views], **private)
        return page.queue(max_size=16, default_concurrency_limit=1)


def _settings(info: ModelInfo) -> list[gr.components.Component]:
    """Lays out what a request is made of."""
    labels = gr.CheckboxGroup(info.labels, label="Localizations", elem_classes="chips")
    choices = ("Cells of each localization", "Cells with all of them")
    together = gr.Radio(choices, value=choices[0], type="index", show_label=False)
    with gr.Row():
        number = gr.Number(8, precision=0, label="Cells", min_width=100)
        seed = gr.Number(0, precision=0, label="First seed", min_width=100)
    sliders = [
        gr.Slider(*values, step=step, label=name, info=text)
        for name, step, values, text in _SLIDERS
    ]
    return [labels, together, number, seed, *sliders]


def _editor(size: tuple[int, int]) -> gr.ImageEditor:
    return gr.ImageEditor(
        label="Paint the region to sample again",
        **dict.fromkeys(("sources", "transforms", "buttons"), ()),
        layers=False,
        brush=gr.Brush(32, ["#ffffff"], color_mode="fixed"),
        canvas_size=size,
        fixed_canvas=True,
        height=560,
    )


def _gallery(**settings) -> gr.Gallery:
    settings |= {"show_label": False, "elem_classes": "cells"}
    return gr.Gallery(format="png", buttons=[], height="auto", **settings)


def _select(results: Results, brighten: bool, event: gr.SelectData):
    """Returns the channels of a cell and its lossless PNG, if it has one."""
    path = results.folder / "images" / f"{results.cells[event.index].name}.png"
    return results.channels(event.index, brighten), path if path.exists() else None


def _show_again(results: Results | None, brighten: bool):
    return results.gallery(brighten) if results else None, None


def _forget(results: Results | None) -> None:
    if results:
        shutil.rmtree(results.folder, ignore_errors=True)


@contextlib.contextmanager
def _user_errors() -> Iterator[None]:
    """Shows a user's mistake on the page."""
    try:
        yield
    except UserError as error:
        gr.Warning(html.escape(str(error)), title="This does not work")
