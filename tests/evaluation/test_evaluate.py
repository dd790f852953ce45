import base64
import importlib.util
import io
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from tests import support
from tests.support import TINY
from tfvqgen.data.dataset_info import read_info
from tfvqgen.errors import DataError, UserError
from tfvqgen.evaluation.evaluate import evaluate
from tfvqgen.evaluation.settings import Settings
from tfvqgen.generation.request import SamplingParameters
from tfvqgen.models import LEVELS
from tfvqgen.training.metrics_log import read_metrics
from tfvqgen.training.stages.classifier import ClassifierConfig
from tfvqgen.training.train import train

SPLITS = {"train": 10, "validation": 6, "test": 5}
# A dot would end a class in a style sheet, an ampersand must be escaped.
LABELS = ("Nucleoli", "Rods & rings", "b.c")
EXAMPLE_LABELS = [[0], [1], [0, 1], [], [1], [0], [1], [0], [1], []]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    support.make_dataset(
        folder,
        SPLITS,
        shape=(16, 16, 3),
        labels=LABELS,
        example_labels=EXAMPLE_LABELS,
    )
    return folder


@pytest.fixture(scope="module")
def workdir(data, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("trained") / "workdir"
    train(
        data_dir=data,
        workdir=workdir,
        stage="all",
        steps=6,
        overrides=TINY,
        strategy="one_device",
    )
    return workdir


@pytest.fixture(scope="module")
def reported(workdir, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    path = evaluate(settings(workdir, data, folder))
    assert path == folder / "index.html"
    return folder


def settings(workdir, data, output, **flags):
    classifier = ClassifierConfig(steps=2, batch_size=4, width=4)
    flags = {
        "split": "validation",
        "num_samples": 7,
        "classifier": classifier,
        **flags,
    }
    return Settings(workdir=workdir, data_dir=data, output=output, **flags)


def metrics_of(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_figures_are_those_that_training_wrote_down_of_the_same_crops(
    workdir, reported
):
    metrics = metrics_of(reported)
    last = read_metrics(workdir / "vqvae" / "metrics.jsonl")[-1]
    reconstruction, codes = metrics["reconstruction"], metrics["codes"]
    assert reconstruction["mse"]["value"] == pytest.approx(last["reconstruction_mse"])
    assert reconstruction["psnr"]["value"] == pytest.approx(last["psnr"])
    for channel in ("red", "green", "blue"):
        found = reconstruction["mse"]["channels"][channel]["value"]
        assert found == pytest.approx(last[f"reconstruction_mse/{channel}"])
    for name in ("top_only_mse", "bottom_only_mse", "mean_image_mse"):
        assert codes[name]["value"] == pytest.approx(last[name])
    for level in LEVELS:
        assert codes[level]["usage"] == pytest.approx(last[f"{level}_usage"])
        perplexity = codes[level]["codebook_perplexity"]
        assert perplexity == pytest.approx(last[f"{level}_codebook_perplexity"])
        assert codes[level]["entropy_bits"] == pytest.approx(np.log2(perplexity))
        last_prior = read_metrics(workdir / level / "metrics.jsonl")[-1]
        found = metrics["priors"]["validation"][level]
        for name in ("nats_per_code", "bits_per_code", "unigram_bits_per_code"):
            assert found[name]["value"] == pytest.approx(last_prior[name], rel=1e-4)


def test_bits_per_pixel_are_those_of_both_code_maps(reported):
    found = metrics_of(reported)["priors"]["validation"]
    # 16 x 16 pixels have 2 x 2 top and 4 x 4 bottom codes.
    bits = 4 * found["top"]["bits_per_code"]["value"]
    bits += 16 * found["bottom"]["bits_per_code"]["value"]
    assert found["bits_per_pixel"]["value"] == pytest.approx(bits / 256)


def test_numbers_have_n_seed_and_an_interval_around_them(reported):
    metrics = metrics_of(reported)
    assert metrics["priors"]["train"]["n"] == metrics["reconstruction"]["n"] == 6
    assert metrics["generation"]["num_samples"] == 7
    assert metrics["provenance"]["model"]["credit"] == "random noise"

    def figures(value):
        if isinstance(value, dict):
            if "interval" in value:
                yield value
            for inner in value.values():
                yield from figures(inner)

    found = list(figures(metrics))
    assert len(found) > 50
    for figure in found:
        low, high = figure["interval"]
        if low is not None:
            assert low - 1e-9 <= figure["value"] <= high + 1e-9


def test_means_of_a_label_are_over_its_cells(reported, data):
    means = metrics_of(reported)["generation"]["mean_intensity"]
    assert list(means["real"]) == ["Nucleoli", "Rods & rings", "any"]
    assert [one["n"] for one in means["real"].values()] == [3, 3, 1]
    # Real ones of label 0 are the images 0, 2 and 5.
    images = [support.random_image((16, 16, 3), seed=i) for i in (0, 2, 5)]
    expected = np.mean(images, axis=(0, 1, 2)) / 255
    found = means["real"]["Nucleoli"]["channels"]
    np.testing.assert_allclose([x["value"] for x in found.values()], expected, 1e-6)
    assert sum(one["n"] for one in means["generated"].values()) >= 7


def test_generated_cells_are_compared_with_as_many_crops_by_every_extractor(reported):
    metrics = metrics_of(reported)
    distances = metrics["generation"]["distances"]
    assert list(distances) == ["classifier", "random"]
    for name, one in distances.items():
        assert one["frechet_name"] == f"FD-{name}" and one["n"] == 6
        assert list(one["sets"]) == ["generated", "reconstructions", "real"]
        for found in one["sets"].values():
            assert found["frechet"]["value"] >= 0 and found["coverage"] is not None
    assert list(metrics["memorisation"]) == ["classifier", "random"]
    memory = metrics["memorisation"]["random"]
    assert (memory["n"], memory["n_training"]) == (7, 10)
    assert memory["n_held_out"] + memory["n_unseen"] == 6
    agreement = metrics["generation"]["label_agreement"]
    assert agreement["judge"]["learnt_from"] == "the split test"
    # Cells and crops without labels do not count.
    assert agreement["real"]["n"] == 5
    assert metrics["biology"]["n"] == 6
    assert len(metrics["biology"]["rings"]["generated"]) == 6


def test_what_was_drawn_is_kept_as_shards_that_say_so(reported):
    for name, number in (("cells", 7), ("reconstructions", 6)):
        info = read_info(reported / name)
        assert info.splits["train"].num_examples == number
        assert "not observed" in info.credit


def test_the_same_command_writes_the_same_report(workdir, data, reported):
    before = support.digest_of_folder(reported)
    evaluate(settings(workdir, data, reported))
    assert support.digest_of_folder(reported) == before


class Page(HTMLParser):
    """Collects what a page refers to, and whether its tags are closed."""

    VOID = ("meta", "img", "br")

    def __init__(self, text):
        super().__init__()
        self.tags, self.images, self.open = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        attributes = dict(attributes)
        if tag == "img":
            self.images.append(attributes)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_needs_nothing_but_itself(reported):
    text = (reported / "index.html").read_text()
    page = Page(text)
    assert page.open == []
    assert not page.tags & {"script", "link", "iframe"}
    assert all(image["src"].startswith("data:image/png;") for image in page.images)
    # The pictures' own bytes may spell anything.
    words = re.sub(r'"data:image/png;base64,[^"]*"', "", text)
    assert "http" not in words and "url(" not in words
    assert all(image["alt"] for image in page.images)
    # 6 crops, four views each, and of three kinds 3, 3 and 1 or 2 cells of both sides.
    assert len(page.images) > 24 + 2 * 6


def test_the_page_says_what_is_generated_by_which_model_from_which_data(reported):
    text = (reported / "index.html").read_text()
    model = metrics_of(reported)["provenance"]["model"]["id"]
    assert "Generated, not real." in text and "random noise" in text
    assert f"<code>{model}</code>" in text
    assert "Rods &amp; rings" in text and "Rods & rings" not in text
    for image in Page(text).images:
        data = base64.b64decode(image["src"].partition(",")[2])
        said = Image.open(io.BytesIO(data)).text
        if image["alt"].startswith("generated"):
            assert "Generated" in said["Description"] and said["Model"] == model
            assert re.search(r"seed (\d+)", image["alt"])[1] == said["Seed"]
        else:
            assert not said


def test_a_single_extractor_other_settings_and_a_score_are_what_was_asked_for(
    workdir, data, tmp_path
):
    drawing = SamplingParameters(temperature=0.9, top_p=0.9, guidance=0.5)
    asked = {"extractors": ("random",), "keep_best": 0.5, "drawing": drawing}
    evaluate(settings(workdir, data, tmp_path, classification_score=True, **asked))
    metrics = metrics_of(tmp_path)
    generation = metrics["generation"]
    assert list(generation["distances"]) == list(metrics["memorisation"]) == ["random"]
    assert generation["settings"] == {**drawing.to_json(), "keep_best": 0.5}
    # By a classifier that does not judge its own choice.
    assert len(list((workdir / "classifiers").glob("chooser-*"))) == 1
    # Of each set of labels twice as many are drawn.
    assert read_info(tmp_path / "cells").splits["train"].num_examples == 14
    score = generation["classification_score"]
    assert [score[x]["num_learnt_from"] for x in score] == [10, 10, 10]
    # What is learnt from is chosen like the cells that are compared.
    drawn, chosen = (
        read_info(tmp_path / f"{x}_to_learn_from") for x in ("cells", "chosen")
    )
    assert drawn.splits["train"].num_examples > chosen.splits["train"].num_examples
    assert chosen.provenance["made_by_a_model"]["kind"] == "chosen"
    command = metrics["provenance"]["command"]
    assert "--guidance 0.5 --keep_best 0.5 --extractor random" in command
    assert "--classification_score --classifier_steps 2 --output" in command
    assert "Classification accuracy score" in (tmp_path / "index.html").read_text()


def test_without_crops_for_a_judge_the_rest_is_measured(
    workdir, data, tmp_path, monkeypatch
):
    monkeypatch.setattr("tfvqgen.evaluation.evaluate.judge_split", lambda *_: None)
    evaluate(settings(workdir, data, tmp_path))
    generation = metrics_of(tmp_path)["generation"]
    assert list(generation["distances"]) == ["random"]
    assert "a judge could learn from" in generation["label_agreement"]["skipped"]
    assert "Not measured: no split" in (tmp_path / "index.html").read_text()


def test_on_the_training_split_nothing_is_called_new(workdir, data, tmp_path):
    evaluate(settings(workdir, data, tmp_path, split="train", num_samples=1))
    assert list(metrics_of(tmp_path)["priors"]) == ["train"]
    text = (tmp_path / "index.html").read_text()
    assert "new crops" not in text and "never seen" not in text
    assert "skipped" in metrics_of(tmp_path)["memorisation"]
    assert "Not measured: no extractor, or no crops" in text


def test_mistakes_are_said_in_words_and_leave_nothing(
    workdir, data, tmp_path, monkeypatch
):
    output = tmp_path / "report"

    def refused(error, words, **flags):
        flags = {"workdir": workdir, "data": data, **flags}
        where = flags.pop("workdir"), flags.pop("data"), output
        with pytest.raises(error, match=words):
            evaluate(settings(*where, **flags))
        assert not output.exists()

    refused(UserError, r"no workdir: .*nowhere", workdir=tmp_path / "nowhere")
    refused(UserError, r"expected one of train, validation, test", split="holdout")
    refused(UserError, "no extractor: expected", extractors=("=x",))
    refused(DataError, "without saved_model.pb", extractors=(f"my={tmp_path}",))
    learning = {"split": "train", "classification_score": True}
    refused(UserError, "expected another split", **learning)
    other = support.make_dataset(tmp_path / "other", SPLITS, shape=(16, 16, 3))
    refused(DataError, "not those that the models were trained on", data=other.folder)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    refused(UserError, r"tfvqgen\[evaluate\]")


def test_what_is_not_trained_is_refused(workdir, data, tmp_path):
    no_prior = shutil.ignore_patterns("bottom")
    shutil.copytree(workdir, tmp_path / "workdir", ignore=no_prior)
    with pytest.raises(UserError, match="is not trained: expected"):
        evaluate(settings(tmp_path / "workdir", data, tmp_path / "report"))
    assert not (tmp_path / "report").exists()
