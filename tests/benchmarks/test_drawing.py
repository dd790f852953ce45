import importlib.util
import json
import shutil
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmarks import drawing, drawing_grid, drawing_measures, drawing_plot
from benchmarks.drawing_grid import DEFAULT, KNOBS, lines, read_settings
from tests import support
from tests.generators import LABELS, make_generator
from tfvqgen.data import schema
from tfvqgen.errors import DataError, UserError
from tfvqgen.evaluation.extractors.random_network import RandomNetwork
from tfvqgen.evaluation.features import find_features
from tfvqgen.evaluation.material import gather
from tfvqgen.evaluation.metrics.neighbours import neighbour_rows
from tfvqgen.evaluation.settings import Settings

PLOTS = importlib.util.find_spec("matplotlib") is not None
SHARES = st.floats(0.01, 1)
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(1e-3, 1e3),
        "top_p": SHARES,
        "guidance": st.floats(0, 100),
        "keep_best": SHARES,
    },
)


def text_of(values):
    return ",".join(f"{knob}={value!r}" for knob, value in values.items()) or "plain"


def figure(value):
    return {"value": value, "interval": [value - 0.1, value + 0.1]}


def made_up(setting, agreement, coverage, frechet=1.0):
    measures = {"coverage": coverage, "frechet": frechet, "precision": 0.7}
    measures["recall"] = coverage - 0.1
    return {
        "name": setting.name,
        **setting.values,
        "num_samples": 40,
        "n": 30,
        "split": "test",
        "seed": 0,
        "label_agreement": figure(agreement),
        "features": {"random": {k: figure(v) for k, v in measures.items()}},
    }


def cases_of(**figures):
    """Returns cases of temperatures t1, t2, ... with such figures."""
    settings = read_settings([f"temperature={name[1:]}" for name in figures])
    return [made_up(x, *y) for x, y in zip(settings, figures.values(), strict=True)]


@given(VALUES)
def test_a_settings_name_is_read_as_the_same_setting(values):
    (setting,) = read_settings([text_of(values)])
    assert read_settings([setting.name]) == [setting]
    assert setting.values == {**drawing_grid.OFF, **values}


def test_what_is_the_same_drawing_is_one_setting():
    found = read_settings(["plain", "guidance=0", "top_p=.9", "top_p=0.90,guidance=0"])
    assert [setting.name for setting in found] == ["plain", "top_p=0.9"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "guidance",
        "guidance=",
        "guidance=a",
        "heat=1",
        "top_p=.5,top_p=.5",
        "top_p=0",
    ]
    + ["temperature=0", "guidance=-1", "temperature=nan", "plain,guidance=1"],
)
def test_a_setting_that_cannot_be_drawn_is_refused(text):
    with pytest.raises(UserError, match="expected"):
        read_settings([text])


def test_the_usual_grid_is_a_line_for_each_knob_and_two_at_another_knobs_value():
    found = {line.name: line for line in lines(read_settings(DEFAULT))}
    assert set(found) == {
        *KNOBS,
        "guidance at top_p=0.95",
        "keep_best at guidance=0.5",
    }
    temperatures = [x.values["temperature"] for x in found["temperature"].settings]
    assert temperatures == [0.7, 0.85, 1, 1.15]
    at = [x.values["guidance"] for x in found["guidance at top_p=0.95"].settings]
    assert at == [0, 0.25, 0.5, 1, 2]
    assert found["keep_best at guidance=0.5"].settings[-1].name == "guidance=0.5"


def test_a_setting_alone_is_named_by_a_knob_that_is_not_off():
    found = lines(read_settings(["guidance=0.5,keep_best=0.5", "temperature=0.8"]))
    assert [line.name for line in found] == ["temperature", "guidance at keep_best=0.5"]


@given(st.lists(VALUES, min_size=1, max_size=8))
def test_lines_show_every_setting_and_change_one_knob_alone(values):
    settings = read_settings([text_of(one) for one in values])
    found = lines(settings)
    assert {x for line in found for x in line.settings} == set(settings)
    for line in found:
        others = {tuple((x.values | {line.knob: 0}).items()) for x in line.settings}
        assert len(others) == 1
        along = [x.values[line.knob] for x in line.settings]
        assert along == sorted(set(along))
    assert len(found) <= len(settings)


def test_a_point_is_named_by_the_knob_that_is_not_off_there():
    names = drawing_plot.point_names(lines(read_settings(DEFAULT)))
    assert len(names) == len(DEFAULT)
    assert names["plain"] == ("plain", None)
    assert names["top_p=0.95"] == ("0.95", "top_p")
    assert names["guidance=0.5"] == ("0.5", "guidance")
    assert names["top_p=0.95,guidance=2"] == ("2", "guidance")


def test_recommended_is_the_best_agreement_of_those_that_cover_enough():
    found = cases_of(t1=(0.5, 1.0), t2=(0.7, 0.9), t3=(0.9, 0.89), t4=(0.6, 0.95))
    assert drawing.recommended(found, "random")["name"] == "temperature=2"


def test_of_equal_agreement_the_smaller_distance_is_recommended():
    found = cases_of(t2=(0.7, 0.9, 3.0), t3=(0.7, 0.9, 2.0), t4=(0.6, 0.9, 1.0))
    assert drawing.recommended(found, "random")["name"] == "temperature=3"


def test_where_rejection_is_recommended_so_is_the_best_without_it():
    settings = read_settings(["guidance=2,keep_best=0.5", "plain", "guidance=1"])
    figures = ((0.9, 0.9), (0.5, 0.9), (0.7, 0.9))
    found = [made_up(x, *y) for x, y in zip(settings, figures, strict=True)]
    said = drawing.recommendation(found, "random")
    assert "guidance=2,keep_best=0.5 (label agreement 0.900" in said
    assert "without rejection" in said and "guidance=1 (" in said
    assert "without rejection" not in drawing.recommendation(found[1:], "random")


def test_a_damaged_line_of_cases_is_named(tmp_path):
    path = tmp_path / "cases.jsonl"
    assert drawing.read_cases(path) == drawing.read_cases(None) == []
    path.write_text('{"case": "other"}\n{"case": "dra')
    with pytest.raises(DataError, match="line 2"):
        drawing.read_cases(path)


@pytest.mark.skipif(not PLOTS, reason="the extra plot is missing")
def test_the_picture_names_all_points_where_they_hide_no_other_name(
    tmp_path, monkeypatch
):
    settings = read_settings(DEFAULT)
    rng = np.random.default_rng(0)
    cases = [made_up(x, *rng.uniform(0.3, 1, 2)) for x in settings]
    cases += [{**cases[0], "name": name} for name in ("real", "reconstructions")]
    boxes = []
    place_names = drawing_plot._place_names

    def placed(panel, scale):
        place_names(panel, scale)
        boxes.append(
            [one.get_window_extent(panel.figure._get_renderer()) for one in panel.texts]
        )

    monkeypatch.setattr(drawing_plot, "_place_names", placed)
    path = tmp_path / "sweep.png"
    drawing_plot.plot(settings, cases, "random", "plain", path)
    assert Image.open(path).size == (1950, 1110)
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.png"]
    for panel in boxes:
        assert len(panel) == len(DEFAULT)
        for index, box in enumerate(panel):
            assert not any(box.overlaps(other) for other in panel[:index])


@pytest.mark.skipif(not PLOTS, reason="the extra plot is missing")
def test_a_picture_of_no_known_format_is_refused_before_anything_is_drawn(tmp_path):
    drawing_plot.require_plot(tmp_path / "sweep.svg")
    for path in (tmp_path / "sweep.bmp", tmp_path / "missing" / "sweep.png"):
        with pytest.raises(UserError, match="plot="):
            drawing_plot.require_plot(path)


@pytest.fixture
def flags(tmp_path, monkeypatch):
    """Stands in for trained models; returns the flags that all runs have."""
    support.make_dataset(
        tmp_path / "data",
        {"train": 10, "validation": 6, "test": 8},
        shape=(16, 16, 3),
        labels=LABELS,
        example_labels=[[0], [1], [0, 1], [], [1], [0], [1], [0], [1], []],
    )
    models = make_generator(), schema.open_dataset(tmp_path / "data")
    monkeypatch.setattr(drawing_measures, "open_models", lambda settings: models)
    return {
        "workdir": tmp_path / "workdir",
        "data_dir": tmp_path / "data",
        "num_samples": 7,
        "classifier_steps": 1,
        "output": tmp_path / "cases.jsonl",
    }


def run(monkeypatch, capsys, flags, *settings):
    import tensorflow as tf

    # The process has its threads already.
    monkeypatch.setattr(drawing.case, "import_tensorflow", lambda threads: tf)
    words = [f"--{name}={value}" for name, value in flags.items()]
    monkeypatch.setattr(sys, "argv", ["drawing", *words, "--settings", *settings])
    drawing.main()
    *written, by_judge, by_random = [
        line for line in capsys.readouterr().out.splitlines() if line
    ]
    assert by_judge.startswith("recommended by classifier features: ")
    assert by_random.startswith("recommended by random features: ")
    return [json.loads(line) for line in written]


def test_settings_are_measured_as_a_report_does_and_once(flags, monkeypatch, capsys):
    found = run(monkeypatch, capsys, flags, "plain")
    assert [x["name"] for x in found] == ["reconstructions", "real", "plain"]
    plain = found[-1]
    assert (plain["num_samples"], plain["n"]) == (7, 7)

    folder = flags["workdir"] / "drawing"
    report = flags["workdir"] / "report"
    shutil.copytree(folder / "reconstructions", report / "reconstructions")
    # A report of this setting finds the cells drawn; and what has its line is not drawn
    # again, even where its cells are gone.
    shutil.move(folder / "cells" / "plain", report / "cells")
    before = {path: path.stat().st_mtime_ns for path in report.rglob("*.tfrecord")}
    paths = {name: flags[name] for name in ("workdir", "data_dir")}
    material = gather(
        make_generator(),
        schema.open_dataset(paths["data_dir"]),
        Settings(num_samples=7, output=report, **paths),
        "train",
    )
    assert {path: path.stat().st_mtime_ns for path in before} == before
    held_out, cells = (
        find_features(RandomNetwork(3), material.first(images), "crops")
        for images in (material.held_out, material.generated.images)
    )
    for name, rows in neighbour_rows(held_out, cells)._asdict().items():
        value = plain["features"]["random"][name]["value"]
        assert value == pytest.approx(rows.mean())

    (new,) = run(monkeypatch, capsys, flags, "plain", "guidance=0.5,keep_best=0.5")
    assert new["name"] == "guidance=0.5,keep_best=0.5"
    assert not (folder / "cells" / "plain").exists()
    assert len(flags["output"].read_text().splitlines()) == 4
