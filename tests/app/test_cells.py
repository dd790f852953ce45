import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from tests.app.fake_model import FakeModel
from tfvqgen.app.cells import Cell, Cells, NoSuchCell, download, picture, zipped
from tfvqgen.app.studio import Studio
from tfvqgen.data.crops import read_crops
from tfvqgen.data.images import decode_png, read_image
from tfvqgen.errors import UserError
from tfvqgen.generation.request import Cells as Drawn
from tfvqgen.generation.request import Request
from tfvqgen.generation.samples import write_samples

DRAW = {
    "labels": ["Golgi apparatus", "Nucleoli"],
    "count": 2,
    "seed": 5,
    "temperature": 0.9,
    "top_p": 1,
    "guidance": 0.5,
}


class AsSource:
    """What `sample` draws from, made of the page's model."""

    def __init__(self, model):
        self.model_info = model.model_info
        self._model = model

    def generate(self, labels, seeds, *how):
        image = self._model.ask("generate_multilabel", seed=seeds)["image"]
        return Drawn(image, None, None)


def drawn(model, **changes):
    studio = Studio(model)
    answer = studio.draw({**DRAW, **changes})
    return [studio.cells.get(cell["id"]) for cell in answer["cells"]]


def sampled(model, folder):
    request = Request(
        label_sets=(("Nucleoli", "Golgi apparatus"),),
        num_per_label=2,
        seed=5,
        temperature=0.9,
        guidance=0.5,
    )
    write_samples(AsSource(model), request, folder)
    return folder


def unzip(data, folder):
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        file.extractall(folder)
    return folder


@pytest.mark.parametrize(
    ("channels", "dtype"), [(3, "uint8"), (4, "uint16"), (5, "uint16")]
)
def test_the_zip_holds_what_sample_writes_byte_for_byte(tmp_path, channels, dtype):
    model = FakeModel(channels, dtype)
    wanted = sampled(model, tmp_path / "sampled")
    got = unzip(zipped(drawn(model), model.model_info), tmp_path / "zip")
    names = {str(x.relative_to(got)) for x in got.rglob("*") if x.is_file()}
    assert {"samples.csv", "samples.json"} <= names
    assert len(names) == 2 + 2 + 2 * (1 if channels < 5 else channels)
    for name in names:
        assert (got / name).read_bytes() == (wanted / name).read_bytes(), name
    crops = read_crops(got)
    for row, seed in zip(crops.rows, (5, 6), strict=True):
        image = read_image(crops.image_path(row), crops.channels)
        np.testing.assert_array_equal(image, model.noise(seed))


def test_a_downloaded_cell_is_exact_and_says_what_it_is():
    model = FakeModel(4, "uint16")
    name, data = download(drawn(model)[1], model.model_info)
    assert name == "00+01_nucleoli_golgi_apparatus_seed6.png"
    np.testing.assert_array_equal(decode_png(data), model.noise(6))
    text = Image.open(io.BytesIO(data)).text
    assert "not a picture of a real cell" in text["Description"]
    assert text["Model"] == model.model_info.id
    assert (text["Seed"], text["Guidance"]) == ("6", "0.5")


def test_a_cell_of_many_channels_is_downloaded_as_a_zip(tmp_path):
    model = FakeModel(6)
    name, data = download(drawn(model)[0], model.model_info)
    assert name.endswith(".zip")
    (row,) = (crops := read_crops(unzip(data, tmp_path))).rows
    image = read_image(crops.image_path(row), crops.channels)
    np.testing.assert_array_equal(image, model.noise(5))


def test_cells_of_one_name_do_not_replace_each_other(tmp_path):
    model = FakeModel()
    cells = drawn(model, count=1) + drawn(model, count=1, temperature=0.5)
    rows = read_crops(unzip(zipped(cells, model.model_info), tmp_path)).rows
    assert [row.metadata["temperature"] for row in rows] == ["0.9", "0.5"]
    assert rows[1].crop_id == f"{rows[0].crop_id}-2"


def test_an_uploaded_crop_cannot_be_had_as_a_generated_one():
    model = FakeModel()
    crop = Cell("crop", model.noise(0))
    for act in (
        lambda: download(crop, model.model_info),
        lambda: zipped([crop], model.model_info),
    ):
        with pytest.raises(UserError, match="not a generated cell"):
            act()


def test_channels_are_grey_and_brightened_only_for_the_eye():
    model = FakeModel(4, "uint16")
    cell = drawn(model)[0]
    plain = decode_png(picture(cell, model.model_info, "3"))
    np.testing.assert_array_equal(
        plain[..., 0], np.round(cell.image[..., 3] / 257).astype(np.uint8)
    )
    gain = [1.0, 1.0, 1.0, 3.0]
    bright = decode_png(picture(cell, model.model_info, "3", gain)).astype(int)
    assert np.abs(bright - np.minimum(cell.image[..., [3]] / 257 * 3, 255)).max() <= 1
    composite = decode_png(picture(cell, model.model_info, "composite"))
    assert composite.shape == (32, 32, 3)


def test_old_cells_are_forgotten_when_there_is_no_room():
    model = FakeModel()
    cells = Cells(most_bytes=3 * model.noise(0).nbytes)
    keys = [cells.add(Cell(str(seed), model.noise(seed))) for seed in range(5)]
    assert [cells.get(key).name for key in keys[2:]] == ["2", "3", "4"]
    for key in (*keys[:2], "never", None, 3):
        with pytest.raises(NoSuchCell, match="not kept any more"):
            cells.get(key)
