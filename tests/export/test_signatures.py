"""An export compared with the models that it contains."""

# Shapes: B rows.

import io

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.generators import CODES, LABELS, make_generator
from tests.support import random_image
from tfvqgen.data.images import composite, decode_png
from tfvqgen.errors import UserError
from tfvqgen.export.examples import example_rows
from tfvqgen.export.signatures import checked, in_parts, signature_inputs
from tfvqgen.generation.request import RANGES, check_rows
from tfvqgen.generation.saved_model import INPUTS
from tfvqgen.models import Codes


@pytest.fixture(scope="module")
def generator():
    return make_generator(4, "uint16")


def rows(info, signature, number=5, seed=0):
    return example_rows(info.to_json(), INPUTS[signature], number, seed)


def multi_hot(class_id):
    return np.eye(len(LABELS) + 1, dtype=np.float32)[class_id][:, :-1]


def sampling_of(inputs):
    return [inputs[x] for x in ("seed", "temperature", "top_p", "guidance")]


def test_generate_samples_the_cells_of_the_generator(saved_model, generator):
    inputs = rows(saved_model.model_info, "generate")
    request = multi_hot(inputs["class_id"]), *sampling_of(inputs)
    # The second one is a request to generate_multilabel.
    made = saved_model.ask("generate", **inputs), saved_model.generate(*request)
    for name, value in generator.generate(*request)._asdict().items():
        np.testing.assert_array_equal(made[0][name], value)
        np.testing.assert_array_equal(getattr(made[1], name), value)
    assert made[0]["image"].dtype == np.uint16
    assert len(np.unique(made[0]["bottom_codes"])) > 3
    assert saved_model.model_info == generator.model_info


def test_a_row_is_the_same_alone_and_at_any_position_in_a_batch(saved_model):
    # More than are sampled or decoded at a time; generate uses the same graph.
    inputs = rows(saved_model.model_info, "complete", 19)

    def ask(chosen):
        return saved_model.ask("complete", **{x: inputs[x][chosen] for x in inputs})

    together = ask(np.arange(19))
    order = np.random.default_rng(0).permutation(19)
    moved = ask(order)
    for name in ("top_codes", "bottom_codes"):
        np.testing.assert_array_equal(moved[name], together[name][order])
    # Another position in the batch may change the rounding of a sum.
    units = np.int64(moved["image"]) - together["image"][order]
    assert np.abs(units).max() <= 1
    for row in (1, 18):
        alone = ask([row])
        for name in ("top_codes", "bottom_codes"):
            np.testing.assert_array_equal(alone[name][0], together[name][row])


def test_pngs_show_the_display_colors_and_contain_a_disclaimer(saved_model):
    inputs = rows(saved_model.model_info, "generate", 2)
    image = saved_model.ask("generate", **inputs)["image"]
    pngs = saved_model.ask("generate_png", **inputs)["png_bytes"]
    expected = composite(image, saved_model.model_info.display_channels)
    for png, composite_image in zip(pngs, expected, strict=True):
        np.testing.assert_array_equal(decode_png(png), composite_image)
        text = Image.open(io.BytesIO(png)).text
        assert text["Model"] == saved_model.model_info.id
        assert "not an image of a real cell" in text["Description"]


def test_encode_decode_and_reconstruct_are_those_of_the_autoencoder(
    saved_model, generator
):
    image = np.stack([random_image((16, 16, 4), "uint16", x) for x in range(3)])
    codes = saved_model.ask("encode", image=image)
    top, bottom = generator.encode(tf.constant(image))
    np.testing.assert_array_equal(codes["top_codes"], top)
    np.testing.assert_array_equal(codes["bottom_codes"], bottom)
    decoded = saved_model.ask("decode", **codes)["image"]
    expected = generator.decode(Codes(top, bottom)).numpy()
    # The last digits of sums may round to another level of 65,536.
    np.testing.assert_allclose(decoded.astype(int), expected.astype(int), atol=1)
    reconstructed = saved_model.ask("reconstruct", image=image)["image"]
    np.testing.assert_array_equal(reconstructed, decoded)


def test_scores_are_the_likelihoods_of_training(saved_model, generator):
    inputs = rows(saved_model.model_info, "score")
    made = saved_model.ask("score", **inputs)
    top, bottom = generator.score(tf.constant(inputs["image"]), inputs["labels"])
    np.testing.assert_allclose(made["top_bits"], top, atol=1e-4)
    np.testing.assert_allclose(made["bottom_bits"], bottom, atol=1e-4)


def test_complete_keeps_the_codes_of_whole_patches_and_samples_the_rest(
    saved_model, generator
):
    inputs = rows(saved_model.model_info, "complete", 4)
    inputs["mask"][0] = 0
    inputs["mask"][1, :, 1] = 0
    made = saved_model.ask("complete", **inputs)
    expected = generator.complete(
        tf.constant(inputs["image"]),
        inputs["mask"],
        multi_hot(inputs["class_id"]),
        *sampling_of(inputs),
    )
    np.testing.assert_array_equal(made["top_codes"], expected.top_codes)
    np.testing.assert_array_equal(made["bottom_codes"], expected.bottom_codes)
    # The fourth mask keeps everything.
    given = saved_model.ask("encode", image=inputs["image"][3:])
    np.testing.assert_array_equal(made["bottom_codes"][3], given["bottom_codes"][0])
    # The first keeps nothing, and is a cell like any other.
    plain = {x: inputs[x][:1] for x in INPUTS["generate"]}
    generated = saved_model.ask("generate", **plain)
    np.testing.assert_array_equal(made["bottom_codes"][:1], generated["bottom_codes"])


def test_names_and_description_travel_with_the_model(saved_model, generator):
    ids = np.arange(-1, len(LABELS), dtype=np.int32)
    names = [x.decode() for x in saved_model.ask("class_names", class_id=ids)["name"]]
    assert names == ["any", *LABELS]
    folder = saved_model.path / "assets"
    assert (folder / "labels.txt").read_text().splitlines() == list(LABELS)
    card = (folder / "model_card.md").read_text()
    assert "Generated images are not evidence" in card
    assert generator.model_info.credit in card and generator.model_info.id in card


def test_a_refusal_names_the_value_and_the_row(saved_model):
    inputs = rows(saved_model.model_info, "decode", 3)
    inputs["bottom_codes"][2, 1, 1] = CODES
    with pytest.raises(UserError) as refused:
        saved_model.ask("decode", **inputs)
    assert str(refused.value) == (
        "bottom_codes is out of range: expected 0 to 10. "
        "Received: bottom_codes=11 in row 2"
    )


VALUES = st.sampled_from([-1.0, 0.0, 0.5, 1.0, 1.5, 3e38, np.nan, np.inf])


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.tuples(st.sampled_from([0, 0.5, 1]), VALUES, VALUES, VALUES))
def test_the_graph_refuses_exactly_the_rows_that_the_check_refuses(values):
    info = make_generator(4, "uint16").model_info
    label, *sampling = values
    labels = np.array([[0, label, 1]], np.float32)
    try:
        check_rows(info, labels, [7], *sampling)
        accepted = True
    except UserError:
        accepted = False
    known = signature_inputs(info)
    arrays = [labels, *(np.array([x], np.float32) for x in sampling)]
    try:
        checked([known[name] for name in RANGES], arrays, 1)
        assert accepted
    except tf.errors.InvalidArgumentError as error:
        assert not accepted and ": expected " in error.message


@pytest.mark.parametrize("number", [3, 4])
def test_parts_of_a_batch_give_the_results_of_the_whole(number):
    outputs = {
        "sum": tf.TensorSpec([None], tf.int32),
        "squares": tf.TensorSpec([None, 1], tf.uint16),
    }

    def function(x, y):
        return {"sum": x + y, "squares": tf.cast(x[:, None] ** 2, tf.uint16)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32)] * 2)
    def whole(x, y):
        return in_parts(function, [x, y], 3, outputs, 100)

    x, y = np.arange(number, dtype=np.int32), np.full(number, 5, np.int32)
    made = whole(x, y)
    np.testing.assert_array_equal(made["sum"], x + 5)
    np.testing.assert_array_equal(made["squares"], x[:, None] ** 2)
    assert made["squares"].dtype == tf.uint16
