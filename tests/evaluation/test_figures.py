import numpy as np
from PIL import Image

from tfvqgen.evaluation import figures, generated_images
from tfvqgen.evaluation.figures import captioned, write_figures
from tfvqgen.evaluation.settings import FigureSettings


def test_figures_say_what_is_generated_and_are_written_again_from_stored_cells(
    settings_of, tmp_path, monkeypatch, quickly
):
    shared = settings_of(tmp_path / "figures")
    settings = FigureSettings(
        workdir=shared.workdir,
        data_dir=shared.data_dir,
        output=shared.output,
        split=shared.split,
        classifier=shared.classifier,
        num_per_label=1,
    )
    paths = write_figures(settings)
    assert [path.name for path in paths] == [
        "figure1_reconstructions.png",
        "figure2_generated.png",
        "figure3_originals.png",
        "figure4_confusions.png",
    ]
    for path in paths:
        assert path.parent == settings.folder
        image = Image.open(path)
        assert np.asarray(image).std() > 5
        assert image.text["Software"] == "tfvqgen"
        made_by_a_model = "Made by a model" in image.text.get("Description", "")
        assert made_by_a_model == (path.name != "figure3_originals.png")

    def refuse(*args, **kwargs):
        raise AssertionError("cells are generated again")

    captions = []

    def note(image, title, caption):
        captions.append(caption)
        return captioned(image, title, caption)

    before = [path.read_bytes() for path in paths]
    monkeypatch.setattr(generated_images, "write_shard", refuse)
    monkeypatch.setattr(figures, "captioned", note)
    assert [path.read_bytes() for path in write_figures(settings)] == before
    assert "not trained on" in captions[0]
