import base64
import importlib.util
import io
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from tests import support
from tfvqgen.data.dataset_info import read_info
from tfvqgen.data.schema import open_dataset
from tfvqgen.errors import DataError, UserError
from tfvqgen.evaluation import recognition
from tfvqgen.evaluation.classifiers import evaluation_classifier
from tfvqgen.evaluation.evaluate import evaluate
from tfvqgen.evaluation.settings import EvaluationSettings
from tfvqgen.generation.request import SamplingParameters
from tfvqgen.models import LEVELS
from tfvqgen.training.metrics_log import read_metrics
from tfvqgen.training.train import train

pytestmark = pytest.mark.usefixtures("quickly")


def metrics_of(folder):
    return json.loads((folder / "metrics.json").read_text())


@pytest.fixture(scope="module")
def metrics(report):
    return metrics_of(report)


def test_metrics_are_those_that_training_logged_for_the_same_crops(workdir, metrics):
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
    found = metrics["priors"]["validation"]
    # 16 x 16 pixels have 2 x 2 top and 4 x 4 bottom codes.
    bits = 4 * found["top"]["bits_per_code"]["value"]
    bits += 16 * found["bottom"]["bits_per_code"]["value"]
    assert found["bits_per_pixel"]["value"] == pytest.approx(bits / 256)


def test_metrics_have_n_seed_and_an_interval_around_them(metrics):
    assert metrics["priors"]["train"]["n"] == metrics["reconstruction"]["n"] == 6
    assert metrics["generation"]["num_samples"] == 7
    assert metrics["provenance"]["model"]["credit"] == "random noise"

    def intervals(value):
        if isinstance(value, dict):
            if "interval" in value:
                yield value
            for inner in value.values():
                yield from intervals(inner)

    found = list(intervals(metrics))
    assert len(found) > 50
    for metric in found:
        low, high = metric["interval"]
        if low is not None:
            assert low - 1e-9 <= metric["value"] <= high + 1e-9


def test_generated_cells_are_compared_with_as_many_crops_by_each_extractor(metrics):
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
    assert agreement["classifier"]["trained_on"] == "the split test"
    # Cells and crops without labels do not count.
    assert agreement["real"]["n"] == 5
    assert metrics["biology"]["n"] == 6
    assert len(metrics["biology"]["rings"]["generated"]) == 6


def test_the_page_needs_no_other_files(report):
    text = (report / "index.html").read_text()
    assert not re.search("<(script|link|iframe|object)", text)
    # The bytes of images may contain any text.
    words = re.sub(r'"data:image/png;base64,[^"]*"', "", text)
    assert "http" not in words and not re.search(r"url\([^#]", words)
    # 6 crops with four views each, and generated and real cells of four kinds.
    assert text.count('<img src="data:image/png;') == text.count("<img ") > 24 + 2 * 6
    assert text.count('<svg role="img"') >= 10


def test_the_page_names_model_and_data_and_marks_generated_images(report, metrics):
    text = (report / "index.html").read_text()
    model = metrics["provenance"]["model"]["id"]
    assert "Generated, not real." in text and "random noise" in text
    assert f"<code>{model}</code>" in text
    assert "Rods &amp; rings" in text and "Rods & rings" not in text
    images = re.findall(r'<img src="[^,]*,([^"]*)"[^>]* alt="([^"]+)"', text)
    assert len(images) == text.count("<img ")
    for data, alt in images:
        metadata = Image.open(io.BytesIO(base64.b64decode(data))).text
        if alt.startswith("generated"):
            assert "Generated" in metadata["Description"]
            assert metadata["Model"] == model
            assert re.search(r"seed (\d+)", alt)[1] == metadata["Seed"]
        else:
            assert not metadata


def test_each_metric_and_verdict_of_the_page_is_there(report, metrics):
    text = (report / "index.html").read_text()
    for value in (
        f"{metrics['reconstruction']['psnr']['value']:.2f}",
        f"{metrics['priors']['validation']['top']['saved_over_unigram']['value']:.1%}",
        f"{metrics['generation']['label_agreement']['real']['accuracy']['value']:.1%}",
        "FD-classifier",
        "FD-random is measured on 6 cells with 224 features",
        "The top prior has learned",
    ):
        assert value in text, value


def test_the_same_command_writes_the_same_report(settings_of, report):
    for name, number in (("cells", 7), ("reconstructions", 6)):
        info = read_info(report / name)
        assert info.splits["train"].num_examples == number
        assert "not observed" in info.credit
    before = support.digest_of_folder(report)
    evaluate(settings_of(report))
    assert support.digest_of_folder(report) == before


def test_rejection_and_the_classification_score_are_measured(
    settings_of, tmp_path, monkeypatch
):
    def evaluation_classifier_instead(training, tested, workdir, **how):
        data = open_dataset(settings.data_dir)
        return evaluation_classifier(
            data, settings.workdir, evaluated="validation", config=settings.classifier
        )

    monkeypatch.setattr(recognition, "train_classifier", evaluation_classifier_instead)
    sampling = SamplingParameters(temperature=0.9, top_p=0.9, guidance=0.5)
    settings = settings_of(
        tmp_path,
        extractors=("random",),
        keep_best=0.5,
        sampling=sampling,
        classification_score=True,
    )
    evaluate(settings)
    metrics = metrics_of(tmp_path)
    generation = metrics["generation"]
    assert list(generation["distances"]) == list(metrics["memorisation"]) == ["random"]
    assert generation["settings"] == {**sampling.to_json(), "keep_best": 0.5}
    # A classifier does not evaluate its own selection.
    assert len(list((settings.workdir / "classifiers").glob("rejection-*"))) == 1
    # For each set of labels twice as many cells are sampled.
    assert read_info(tmp_path / "cells").splits["train"].num_examples == 14
    score = generation["classification_score"]
    assert [score[x]["num_trained_on"] for x in score] == [10, 10, 10]
    sampled, chosen = (
        read_info(tmp_path / f"{x}_to_learn_from") for x in ("cells", "chosen")
    )
    assert sampled.splits["train"].num_examples > chosen.splits["train"].num_examples
    assert chosen.provenance["made_by_a_model"]["kind"] == "chosen"
    command = metrics["provenance"]["command"]
    assert "--guidance 0.5 --keep_best 0.5 --extractor random" in command
    assert "Classification accuracy score" in (tmp_path / "index.html").read_text()


def test_without_labels_and_held_out_crops_the_rest_is_evaluated(tmp_path):
    where = {"workdir": tmp_path / "workdir", "data_dir": tmp_path / "data"}
    support.make_dataset(
        where["data_dir"],
        {"train": 6, "validation": 4},
        shape=(16, 16, 3),
        labels=(),
        example_labels=[[]] * 6,
    )
    train(**where, stage="all", steps=1, overrides=support.TINY, strategy="one_device")
    evaluate(EvaluationSettings(**where, split="train", num_samples=1))
    metrics = metrics_of(tmp_path / "workdir/report")
    assert "with labels" in metrics["generation"]["label_agreement"]["skipped"]
    assert list(metrics["generation"]["distances"]) == ["random"]
    assert list(metrics["priors"]) == ["train"]
    assert "skipped" in metrics["memorisation"]
    text = (tmp_path / "workdir/report/index.html").read_text()
    assert "Not measured: no split of real crops with labels" in text
    assert "Not measured: no extractor, or no crops" in text
    assert "new crops" not in text and "never seen" not in text


def test_mistakes_are_refused_and_write_nothing(
    settings_of, workdir, tmp_path, monkeypatch
):
    output = tmp_path / "report"

    def refused(error, words, **changes):
        with pytest.raises(error, match=words):
            evaluate(settings_of(output, **changes))
        assert not output.exists()

    refused(UserError, r"no workdir: .*nowhere", workdir=tmp_path / "nowhere")
    refused(UserError, r"expected one of train, validation, test", split="holdout")
    other = tmp_path / "other"
    support.make_dataset(other, {"train": 3, "test": 3}, shape=(16, 16, 3))
    refused(DataError, "not those that the models were trained on", data_dir=other)
    no_prior = tmp_path / "workdir"
    shutil.copytree(workdir, no_prior, ignore=shutil.ignore_patterns("bottom"))
    refused(UserError, "is not trained: expected", workdir=no_prior)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    refused(UserError, r"tfvqgen\[evaluate\]")


def test_settings_that_need_missing_crops_are_refused(
    settings_of, tmp_path, monkeypatch
):
    # Without the split test no classifier can be trained to evaluate the validation.
    dataset = support.make_dataset(tmp_path / "data", {"train": 3, "validation": 3})
    monkeypatch.setattr("tfvqgen.evaluation.evaluate.open_data", lambda *_: dataset)
    with pytest.raises(UserError, match=r"expected crops with labels.*keep_best"):
        evaluate(settings_of(tmp_path / "report", keep_best=0.5))
