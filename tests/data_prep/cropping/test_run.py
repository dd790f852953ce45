"""Folders of fields -> folders of crops: what is cut, what interruptions cost."""

import csv
import dataclasses

import numpy as np
import pytest

from data_prep.cropping import crop_settings, cutting, field_results, pipeline
from data_prep.cropping.crop_quality import Thresholds
from tests import support
from tests.data_prep import drawn_fields
from tfvqgen import files
from tfvqgen.data import crops, images
from tfvqgen.errors import DataError, UserError

SETTINGS = crop_settings.CropSettings(
    channels=drawn_fields.CHANNELS,
    dtype="uint8",
    nucleus_channel="blue",
    protein_channel="green",
    crop_size=64,
)


def one_process(tasks):
    return map(field_results.write_field, tasks)


def cut(folder, output, settings=SETTINGS, **options):
    options = {"runner": one_process, **options}
    return pipeline.crop_fields(folder, output, settings, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    arrays = [drawn_fields.draw_field(seed) for seed in range(5)]
    return drawn_fields.write_fields(tmp_path_factory.mktemp("fields"), arrays)


@pytest.fixture(scope="module")
def reference(folder, tmp_path_factory):
    """Returns the digests of what one uninterrupted run leaves."""
    output = tmp_path_factory.mktemp("reference") / "crops"
    cut(folder, output, overlays=2)
    return support.digest_of_folder(output)


def test_every_nucleus_is_cut_the_last_one_too(folder, tmp_path):
    summary = cut(folder, tmp_path)
    assert (summary.num_fields, summary.num_crops) == (5, 20)
    made = crops.read_crops(tmp_path)
    assert made.channels == drawn_fields.CHANNELS and made.credit == "drawn"
    first = [row for row in made.rows if row.field == "f0"]
    places = sorted((row.y, row.x) for row in first)
    np.testing.assert_allclose(places, np.add(drawn_fields.PLACES, 0.5), atol=0.5)
    assert {row.pixel_size for row in made.rows} == {0.32}
    assert first[0].labels == ("Nucleoplasm", "Cytosol")
    assert first[0].metadata["codec"] == "png"


def test_a_crop_is_a_piece_of_its_field_with_the_channels_in_order(folder, tmp_path):
    cut(folder, tmp_path)
    made = crops.read_crops(tmp_path)
    field = drawn_fields.draw_field(0)
    for row in made.rows[:4]:
        top, left = int(row.y) - 32, int(row.x) - 32
        image = images.read_image(made.image_path(row))
        padded = np.pad(field, ((64, 64), (64, 64), (0, 0)))
        piece = padded[top + 64 : top + 128, left + 64 : left + 128]
        np.testing.assert_array_equal(image, piece)


def test_the_rejected_are_kept_with_the_reason_and_an_image(folder, tmp_path):
    strict = dataclasses.replace(SETTINGS, crop_size=96)
    summary = cut(folder, tmp_path, strict)
    made = crops.read_crops(tmp_path)
    rejected = [row for row in made.rows if not row.accepted]
    assert len(made.rows) == 20 and 0 < len(rejected) < 20
    assert summary.num_accepted == 20 - len(rejected)
    for row in rejected:
        assert "crop leaves the field" in row.reason
        assert images.read_image(made.image_path(row)).shape == (96, 96, 4)
    assert summary.reasons == {"crop leaves the field": len(rejected)}
    assert all(row.reason == "" for row in made.rows if row.accepted)


def test_sixteen_bits_are_kept(tmp_path):
    array = drawn_fields.draw_field(dtype="uint16")
    folder = drawn_fields.write_fields(tmp_path / "fields", [array])
    cut(folder, tmp_path / "crops", dataclasses.replace(SETTINGS, dtype="uint16"))
    made = crops.read_crops(tmp_path / "crops")
    image = images.read_image(made.image_path(made.rows[1]))
    row = made.rows[1]
    top, left = int(row.y) - 32, int(row.x) - 32
    assert made.dtype == "uint16" and len(np.unique(image)) > 1000
    np.testing.assert_array_equal(image, array[top : top + 64, left : left + 64])


def test_crops_at_a_quarter_scale_say_where_they_are_in_the_field(tmp_path):
    small = drawn_fields.draw_field()
    large = np.repeat(np.repeat(small, 4, axis=0), 4, axis=1)
    folder = drawn_fields.write_fields(tmp_path / "f", [large], pixel_size=0.08)
    cut(folder, tmp_path / "crops")
    made = crops.read_crops(tmp_path / "crops")
    row = made.rows[1]
    top, left = int(row.y // 4) - 32, int(row.x // 4) - 32
    image = images.read_image(made.image_path(row))
    np.testing.assert_array_equal(image, small[top : top + 64, left : left + 64])
    assert row.pixel_size == 0.32 and row.x % 4 == row.y % 4 == 0


def test_intensities_are_those_of_the_field_never_of_the_crop(tmp_path):
    """A dim cell stays dimmer than its bright neighbour, by the same factor."""
    array = drawn_fields.draw_field(places=((60, 60), (130, 130)))
    array[90:, 90:] = array[90:, 90:] // 2
    folder = drawn_fields.write_fields(tmp_path / "fields", [array])
    scaled = dataclasses.replace(SETTINGS, intensity=cutting.Intensity("field", 0, 99))
    cut(folder, tmp_path / "crops", scaled)
    made = crops.read_crops(tmp_path / "crops")
    bright, dim = (images.read_image(made.image_path(row)) for row in made.rows)
    low, high = np.percentile(array[..., 2], [0, 99]) / 255
    assert float(made.rows[0].metadata["blue_low"]) == pytest.approx(low, abs=1e-5)
    assert float(made.rows[0].metadata["blue_high"]) == pytest.approx(high, abs=1e-5)
    expected = (array[130, 130, 2] / 255 - low) / (high - low) * 255
    assert dim[32, 32, 2] == pytest.approx(expected, abs=1)
    assert bright[32, 32, 2] > 1.8 * dim[32, 32, 2]


def test_neighbours_can_be_masked(tmp_path):
    array = drawn_fields.draw_field(places=((90, 70), (90, 104)))
    folder = drawn_fields.write_fields(tmp_path / "fields", [array])
    masked = dataclasses.replace(SETTINGS, mask_neighbours=True)
    cut(folder, tmp_path / "crops", masked)
    made = crops.read_crops(tmp_path / "crops")
    left = min(made.rows, key=lambda row: row.x)
    image = images.read_image(made.image_path(left))
    top, begin = int(left.y) - 32, int(left.x) - 32
    # Halfway to the other nucleus is column 87.
    assert not image[:, 88 - begin :].any()
    np.testing.assert_array_equal(
        image[:, : 87 - begin], array[top : top + 64, begin:87]
    )


@pytest.mark.parametrize("text", ['"field"', '"x": ', '"f1'])
def test_a_field_whose_result_has_a_flipped_bit_is_cut_again(
    folder, reference, tmp_path, text
):
    cut(folder, tmp_path, overlays=2)
    path = field_results.result_path(tmp_path, "f1")
    flipped = chr(ord(text[-2]) ^ 1).join((text[:-2], text[-1]))
    path.write_text(path.read_text().replace(text, flipped, 1))
    (tmp_path / "crops.csv").unlink()
    cut(folder, tmp_path, overlays=2)
    assert support.digest_of_folder(tmp_path) == reference


def write_masks(folder, mask):
    folder.mkdir()
    images.write_image(folder / "f0.png", mask[..., None])
    return folder


def test_masks_of_nuclei_stand_for_the_segmentation(tmp_path):
    array = drawn_fields.draw_field()
    folder = drawn_fields.write_fields(tmp_path / "fields", [array])
    mask = np.zeros((192, 192), np.uint16)
    mask[80:110, 80:110], mask[120:150, 60:90] = 700, 9
    masks = write_masks(tmp_path / "masks", mask)
    given = dataclasses.replace(SETTINGS, mask_kind="nuclei")
    cut(folder, tmp_path / "crops", given, masks=masks)
    rows = crops.read_crops(tmp_path / "crops").rows
    assert [(row.y, row.x) for row in rows] == [(135, 75), (95, 95)]


@pytest.mark.parametrize("kind", ["uint16", "int32", "uint32", "int64"])
def test_masks_may_be_tiffs_of_any_whole_numbers(tmp_path, kind):
    tifffile = pytest.importorskip("tifffile")
    folder = drawn_fields.write_fields(tmp_path / "f", [drawn_fields.draw_field()])
    mask = np.zeros((192, 192), kind)
    mask[80:110, 80:110], mask[120:150, 60:90] = 40_000, 9
    (tmp_path / "masks").mkdir()
    tifffile.imwrite(tmp_path / "masks" / "f0.tif", mask, compression="zlib")
    given = dataclasses.replace(SETTINGS, mask_kind="nuclei")
    cut(folder, tmp_path / "crops", given, masks=tmp_path / "masks")
    rows = crops.read_crops(tmp_path / "crops").rows
    assert [(row.y, row.x) for row in rows] == [(135, 75), (95, 95)]


def test_a_mask_of_fractions_is_refused_with_its_name(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    folder = drawn_fields.write_fields(tmp_path / "f", [drawn_fields.draw_field()])
    (tmp_path / "masks").mkdir()
    tifffile.imwrite(tmp_path / "masks" / "f0.tif", np.zeros((192, 192), np.float32))
    given = dataclasses.replace(SETTINGS, mask_kind="nuclei")
    with pytest.raises(DataError, match=r"not float32\. Received: .*f0\.tif"):
        cut(folder, tmp_path / "crops", given, masks=tmp_path / "masks")


def test_masks_of_cells_say_which_nucleus_is_whose(tmp_path):
    array = drawn_fields.draw_field()
    folder = drawn_fields.write_fields(tmp_path / "fields", [array])
    mask = np.zeros((192, 192), np.uint8)
    mask[:90, :90], mask[:90, 90:], mask[100:120, 100:120] = 5, 6, 7
    masks = write_masks(tmp_path / "masks", mask)
    given = dataclasses.replace(SETTINGS, mask_kind="cells")
    cut(folder, tmp_path / "crops", given, masks=masks)
    rows = crops.read_crops(tmp_path / "crops").rows
    np.testing.assert_allclose([rows[0].y, rows[0].x], (40.5, 50.5), atol=0.5)
    np.testing.assert_allclose([rows[1].y, rows[1].x], (60.5, 130.5), atol=0.5)
    assert "no nucleus" in rows[2].reason and len(rows) == 3


def test_a_mask_that_is_missing_names_the_field(folder, tmp_path):
    (tmp_path / "masks").mkdir()
    given = dataclasses.replace(SETTINGS, mask_kind="cells")
    with pytest.raises(DataError, match=r"no mask for a field: expected f0\.png"):
        cut(folder, tmp_path / "crops", given, masks=tmp_path / "masks")


def test_the_bytes_do_not_depend_on_the_number_of_workers(folder, tmp_path, reference):
    cut(folder, tmp_path, runner=pipeline.local_runner(2), overlays=2, workers=2)
    assert support.digest_of_folder(tmp_path) == reference


@pytest.mark.parametrize("fields_done", [0, 2, 4])
def test_an_interrupted_run_goes_on_and_leaves_the_same_bytes(
    folder, tmp_path, reference, fields_done
):
    def interrupted(tasks):
        for number, task in enumerate(tasks):
            if number == fields_done:
                raise KeyboardInterrupt
            yield field_results.write_field(task)

    with pytest.raises(KeyboardInterrupt):
        cut(folder, tmp_path, runner=interrupted, overlays=2)
    assert not (tmp_path / "crops.csv").exists()
    # What a process leaves that is killed within a field.
    (tmp_path / "images" / "f4-001.png").write_bytes(b"half")
    (tmp_path / "images" / ".f4-002.png.partial").write_bytes(b"half")
    (tmp_path / "fields" / ".f4.json.x1y2").write_bytes(b"{")
    started = []

    def remaining(tasks):
        started.extend(task.field.field_id for task in tasks)
        return one_process(tasks)

    cut(folder, tmp_path, runner=remaining, overlays=2)
    assert started == [f"f{number}" for number in range(fields_done, 5)]
    assert support.digest_of_folder(tmp_path) == reference


def test_an_image_that_was_lost_is_cut_again(folder, tmp_path, reference):
    cut(folder, tmp_path, overlays=2)
    (tmp_path / "images" / "f3-002.png").write_bytes(b"")
    cut(folder, tmp_path, overlays=2)
    assert support.digest_of_folder(tmp_path) == reference


def test_a_finished_folder_is_left_as_it_is_edited_tables_too(folder, tmp_path):
    cut(folder, tmp_path)
    table = tmp_path / "crops.csv"
    table.write_text(table.read_text().replace("Cytosol", "Actin filaments"))
    before = support.digest_of_folder(tmp_path)
    cut(folder, tmp_path)
    assert support.digest_of_folder(tmp_path) == before


def test_a_field_that_changed_is_cut_again_and_its_old_images_go(tmp_path):
    arrays = [drawn_fields.draw_field(seed) for seed in range(2)]
    folder = drawn_fields.write_fields(tmp_path / "fields", arrays)
    cut(folder, tmp_path / "crops")
    arrays[1] = drawn_fields.draw_field(1, drawn_fields.PLACES[:2])
    folder = drawn_fields.write_fields(tmp_path / "fields", arrays)
    summary = cut(folder, tmp_path / "crops")
    assert summary.num_crops == 6
    cut(folder, tmp_path / "new")
    again, new = (support.digest_of_folder(tmp_path / x) for x in ("crops", "new"))
    assert again == new


def test_other_settings_are_refused_with_the_difference(folder, tmp_path):
    cut(folder, tmp_path)
    before = support.digest_of_folder(tmp_path)
    scaled = cutting.Intensity("field", 1, 99)
    other = dataclasses.replace(SETTINGS, crop_size=32, intensity=scaled)
    with pytest.raises(UserError, match="crop_size 64 there, 32 now") as raised:
        cut(folder, tmp_path, other)
    assert "intensity.mode 'fixed' there, 'field' now" in str(raised.value)
    assert support.digest_of_folder(tmp_path) == before


def test_other_limits_judge_again_without_cutting(folder, tmp_path):
    strict = dataclasses.replace(SETTINGS, crop_size=96)
    first = cut(folder, tmp_path / "crops", strict, overlays=1)
    limits = Thresholds(least_inside_field=0.5, most_crowding=None)
    loose = dataclasses.replace(strict, thresholds=limits)

    def nothing(tasks):
        assert not tasks
        return ()

    again = cut(folder, tmp_path / "crops", loose, runner=nothing, overlays=1)
    assert first.num_accepted < again.num_accepted == 20
    cut(folder, tmp_path / "new", loose, overlays=1)
    again, new = (support.digest_of_folder(tmp_path / x) for x in ("crops", "new"))
    assert again == new


def test_settings_may_change_while_nothing_is_cut(folder, tmp_path):
    with pytest.raises(DataError, match="too many bad fields"):
        cut(folder, tmp_path, dataclasses.replace(SETTINGS, dtype="uint16"))
    assert cut(folder, tmp_path).num_crops == 20


def test_crops_of_other_fields_are_refused(folder, tmp_path):
    cut(folder, tmp_path)
    fewer = dataclasses.replace(folder, fields=folder.fields[1:])
    with pytest.raises(UserError, match=r"crops of other fields.*f0 for one"):
        cut(fewer, tmp_path)


def test_other_peoples_crops_are_not_touched(folder, tmp_path):
    support.make_crops(tmp_path / "crops", [["a"]])
    before = support.digest_of_folder(tmp_path)
    with pytest.raises(UserError, match="holds something else"):
        cut(folder, tmp_path / "crops")
    assert support.digest_of_folder(tmp_path) == before


def test_a_home_folder_is_not_touched(folder, tmp_path):
    (tmp_path / ".profile").write_text("mine")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / ".hidden").write_text("mine")
    before = support.digest_of_folder(tmp_path)
    with pytest.raises(UserError, match="holds something else"):
        cut(folder, tmp_path)
    assert support.digest_of_folder(tmp_path) == before


def damage(folder, tmp_path, number):
    """Returns the fields with one that is cut short, in a folder of their own."""
    arrays = [drawn_fields.draw_field(seed) for seed in range(3)]
    made = drawn_fields.write_fields(tmp_path / "fields", arrays)
    path = made.fields[number].planes["green"].path
    path.write_bytes(path.read_bytes()[:2000])
    return made


def test_a_field_that_cannot_be_read_is_named_and_stops_the_run(
    folder, tmp_path, capsys
):
    damaged = damage(folder, tmp_path, 1)
    with pytest.raises(
        DataError, match=r"expected at most 0 .* the last is f1: a trunc"
    ):
        cut(damaged, tmp_path / "crops")
    # The error says it.
    assert "bad field f1" not in capsys.readouterr().err
    assert not (tmp_path / "crops" / "crops.csv").exists()


def test_bad_fields_are_counted_and_left_out_within_the_limit(folder, tmp_path):
    damaged = damage(folder, tmp_path, 1)
    summary = cut(damaged, tmp_path / "crops", max_bad_fields=1, overlays=3)
    assert summary.num_fields == 2 and list(summary.bad_fields) == ["f1"]
    rows = crops.read_crops(tmp_path / "crops").rows
    assert {row.field for row in rows} == {"f0", "f2"}
    with open(tmp_path / "crops" / "bad_fields.csv", newline="") as file:
        (bad,) = csv.DictReader(file)
    assert bad["field"] == "f1" and "f1_green.png" in bad["reason"]
    drawn = sorted(path.name for path in (tmp_path / "crops" / "overlays").iterdir())
    assert drawn == ["f0.png", "f2.png"]


def test_hidden_folders_of_other_programs_do_not_stop_a_run(folder, tmp_path):
    cut(folder, tmp_path)
    (tmp_path / "images" / ".ipynb_checkpoints").mkdir()
    assert cut(folder, tmp_path).num_crops == 20
    assert (tmp_path / "images" / ".ipynb_checkpoints").is_dir()


def test_a_bad_field_within_the_limit_is_named_at_once(folder, tmp_path, capsys):
    cut(damage(folder, tmp_path, 1), tmp_path / "crops", max_bad_fields=1)
    assert "bad field f1: a truncated image" in capsys.readouterr().err


def test_a_folder_of_which_nothing_can_be_read_is_an_error(folder, tmp_path):
    # As a scale for which every field is too small.
    settings = dataclasses.replace(SETTINGS, scale=1000.0)
    with pytest.raises(DataError, match=r"no field could be read.* first is f0"):
        cut(folder, tmp_path / "crops", settings, max_bad_fields=9)
    assert not (tmp_path / "crops" / "crops.csv").exists()


def test_a_bad_field_that_was_mended_is_cut_by_the_next_run(folder, tmp_path):
    damaged = damage(folder, tmp_path, 1)
    cut(damaged, tmp_path / "crops", max_bad_fields=1)
    arrays = [drawn_fields.draw_field(seed) for seed in range(3)]
    mended = drawn_fields.write_fields(tmp_path / "fields", arrays)
    assert cut(mended, tmp_path / "crops").num_fields == 3
    assert not (tmp_path / "crops" / "bad_fields.csv").exists()
    cut(mended, tmp_path / "new")
    again, new = (support.digest_of_folder(tmp_path / x) for x in ("crops", "new"))
    assert again == new


def test_a_fault_of_the_program_names_the_field(folder, tmp_path, monkeypatch):
    def faulty(*_args):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(field_results, "crop_field", faulty)
    with pytest.raises(ZeroDivisionError) as raised:
        cut(folder, tmp_path, max_bad_fields=9)
    assert raised.value.__notes__ == ["while cropping field f0"]


def test_a_full_disk_is_not_a_bad_field(folder, tmp_path, monkeypatch):
    def full(*_args, **_options):
        raise OSError(28, "No space left on device", "f0-001.png")

    monkeypatch.setattr(field_results, "write_image", full)
    with pytest.raises(OSError, match="No space left"):
        cut(folder, tmp_path, max_bad_fields=9)


def test_fields_of_another_depth_do_not_mix(tmp_path):
    arrays = [drawn_fields.draw_field(0), drawn_fields.draw_field(1, dtype="uint16")]
    folder = drawn_fields.write_fields(tmp_path / "fields", arrays)
    with pytest.raises(DataError, match=r"another depth: expected uint8 .* field f1"):
        cut(folder, tmp_path / "crops")


def test_fields_without_nuclei_leave_a_table_without_rows(tmp_path):
    folder = drawn_fields.write_fields(
        tmp_path / "fields", [drawn_fields.draw_field(places=())]
    )
    summary = cut(folder, tmp_path / "crops", overlays=1)
    assert (summary.num_fields, summary.num_crops) == (1, 0)
    assert crops.read_crops(tmp_path / "crops").rows == []


def test_a_field_whose_pixels_have_no_size_says_which_flag_helps(tmp_path):
    arrays = [drawn_fields.draw_field()]
    folder = drawn_fields.write_fields(tmp_path / "fields", arrays, pixel_size=None)
    with pytest.raises(DataError, match="expected --pixel_size"):
        cut(folder, tmp_path / "crops")
    given = dataclasses.replace(SETTINGS, pixel_size=0.32)
    assert cut(folder, tmp_path / "crops", given).num_crops == 4


def test_more_than_four_channels_are_one_file_each(tmp_path):
    array = np.concatenate([drawn_fields.draw_field(seed) for seed in (0, 1)], axis=-1)
    names = support.CHANNELS
    folder = drawn_fields.write_fields(tmp_path / "fields", [array], channels=names)
    many = dataclasses.replace(SETTINGS, channels=names, nucleus_channel=names[2])
    cut(folder, tmp_path / "crops", many, overlays=1)
    made = crops.read_crops(tmp_path / "crops")
    image = images.read_image(made.image_path(made.rows[1]), made.channels)
    row = made.rows[1]
    top, left = int(row.y) - 32, int(row.x) - 32
    np.testing.assert_array_equal(image, array[top : top + 64, left : left + 64])


def test_metadata_does_not_hide_what_was_measured(tmp_path):
    folder = drawn_fields.write_fields(
        tmp_path / "f",
        [drawn_fields.draw_field()],
        metadata={"focus": "z3", "gene": "A"},
    )
    cut(folder, tmp_path / "crops")
    row = crops.read_crops(tmp_path / "crops").rows[0]
    assert row.metadata["field_focus"] == "z3" and row.metadata["gene"] == "A"
    assert float(row.metadata["focus"]) > 0


def test_two_runs_do_not_write_into_one_folder(folder, tmp_path):
    with (
        files.exclusive(tmp_path, "it"),
        pytest.raises(UserError, match="in use by another run"),
    ):
        cut(folder, tmp_path)
