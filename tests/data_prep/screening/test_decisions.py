"""Decisions: what counts for a crop, and what is refused in words."""

import csv
import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.screening import decisions
from data_prep.screening.decisions import COLUMNS, DECISIONS, Decision, Screened, Stamp
from tests.support import make_crops
from tfvqgen.data.crops import read_crops
from tfvqgen.errors import DataError

STAMP = Stamp("f" * 16, "intensity", "0123456789abcdef")
CROPS = [Screened(f"crop{i}", f"{i:064x}", i // 2) for i in range(6)]
TAIL = dataclasses.astuple(STAMP)


def table(path, *rows, columns=COLUMNS):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def of_cluster(number, decision, tail=TAIL):
    return (number, "", "", decision, *tail)


def of_crop(crop, decision, tail=TAIL):
    return (crop.cluster, crop.crop_id, crop.sha256, decision, *tail)


def resolved(*paths, stamp=STAMP):
    return [made.decision for made in decisions.resolve(paths, CROPS, stamp)]


def test_keeping_a_cluster_takes_in_no_crop_that_was_not_accepted(tmp_path):
    crops = [dataclasses.replace(crop, accepted=False) for crop in CROPS]
    path = table(
        tmp_path / "d.csv",
        of_cluster(0, "keep"),
        of_crop(crops[1], "keep"),
        of_cluster(1, "drop"),
    )
    made = [x.decision for x in decisions.resolve([path], crops, STAMP)]
    assert made[:4] == ["undecided", "keep", "drop", "drop"]


def test_a_table_edited_in_a_spreadsheet_is_understood(tmp_path):
    path = tmp_path / "clusters.csv"
    header = "Cluster,Decision,notes,features,model,config"
    lines = [f"{c},{d},x,{','.join(TAIL)}" for c, d in (("0.0", " Drop"), (1, ""))]
    path.write_bytes("\r\n".join(["\ufeff" + header, *lines, ",,,,,"]).encode())
    assert resolved(path)[:4] == ["drop", "drop", "undecided", "undecided"]


def test_several_files_are_one_set_of_decisions(tmp_path):
    one = table(tmp_path / "a.csv", of_cluster(0, "drop"), of_cluster(1, ""))
    two = table(tmp_path / "b.csv", of_crop(CROPS[0], "keep"), of_cluster(1, "keep"))
    assert resolved(one, two)[:4] == ["keep", "drop", "keep", "keep"]


@pytest.mark.parametrize("name", ["features", "model", "config"])
def test_decisions_about_something_else_are_stale(tmp_path, name):
    path = table(tmp_path / "d.csv", of_cluster(0, "drop"))
    other = dataclasses.replace(STAMP, **{name: "another"})
    with pytest.raises(DataError, match=rf"stale .* {name} another.*d\.csv line 2"):
        resolved(path, stamp=other)


def test_a_changed_or_unknown_crop_is_stale(tmp_path):
    changed = dataclasses.replace(CROPS[3], sha256="e" * 64)
    gone = dataclasses.replace(CROPS[3], crop_id="gone")
    for crop, word in ((changed, "e{64}"), (gone, "gone")):
        path = table(tmp_path / "d.csv", of_crop(crop, "drop"))
        with pytest.raises(DataError, match=f"stale .*{word}.*line 2"):
            resolved(path)


def test_two_decisions_about_one_thing_contradict_each_other(tmp_path):
    path = table(tmp_path / "d.csv", of_cluster(2, "drop"), of_cluster(2, "keep"))
    with pytest.raises(DataError, match=r"contradictory.*drop in .*2, keep in .*3"):
        resolved(path)
    table(path, of_cluster(2, "drop"), of_cluster(2, "drop"))
    assert resolved(path)[4:] == ["drop", "drop"]


def test_words_and_clusters_that_do_not_exist_are_named(tmp_path):
    path = table(tmp_path / "d.csv", of_cluster(0, "dorp"))
    with pytest.raises(DataError, match=r"keep, drop, undecided.*'dorp'.*line 2"):
        resolved(path)
    for number in (3, -1, "", "x"):
        table(path, of_cluster(number, "drop"))
        with pytest.raises(DataError, match=f"no such cluster.*'{number}'"):
            resolved(path)


words = st.sampled_from(["", *DECISIONS])


@settings(max_examples=20, deadline=None)
@given(
    clusters=st.lists(words, min_size=3, max_size=3),
    own=st.lists(words, min_size=6, max_size=6),
    order=st.randoms(use_true_random=False),
)
def test_what_is_written_reads_back_and_decides_the_same(
    clusters, own, order, tmp_path_factory
):
    folder = tmp_path_factory.mktemp("d")
    rows = [of_cluster(i, word) for i, word in enumerate(clusters)]
    rows += [of_crop(crop, word) for crop, word in zip(CROPS, own, strict=True)]
    order.shuffle(rows)
    made = decisions.resolve([table(folder / "a.csv", *rows)], CROPS, STAMP)
    for crop, word, found in zip(CROPS, own, made, strict=True):
        decided = clusters[crop.cluster]
        assert found.decision == (word or decided or "undecided")
        by_cluster = "cluster" if decided in ("keep", "drop") else ""
        assert found.by == ("crop" if word else by_cluster)
    decisions.write_decisions(folder / "b.csv", made, STAMP)
    assert resolved(folder / "b.csv") == [x.decision for x in made]


@pytest.fixture
def folder(tmp_path):
    made = make_crops(tmp_path / "crops", [["a"]] * 4)
    return read_crops(made)


def decided(folder, words):
    return [
        Decision(Screened(crop.crop_id, crop.sha256, 0), word, "crop")
        for crop, word in zip(folder.rows, words, strict=True)
    ]


def test_kept_crops_are_accepted_and_dropped_ones_are_not(folder, tmp_path):
    rejected = dataclasses.replace(folder.rows[3], accepted=False, reason="blurred")
    rows = [*folder.rows[:3], rejected]
    folder = dataclasses.replace(folder, rows=rows)
    path = tmp_path / "decisions.csv"
    for words, accepted in (
        (("drop", "keep", "undecided", "undecided"), [False, True, True, False]),
        (("keep", "drop", "keep", "keep"), [True, False, True, True]),
    ):
        decisions.write_decisions(path, decided(folder, words), STAMP)
        found = decisions.apply_to_crops(folder, path)
        assert [crop.accepted for crop in found.rows] == accepted


def test_crops_that_came_went_or_changed_make_decisions_stale(folder, tmp_path):
    path = tmp_path / "decisions.csv"
    made = decided(folder, ["drop"] * 4)
    decisions.write_decisions(path, made[:3], STAMP)
    with pytest.raises(DataError, match=r"stale.*1 crops that are not.*'crop3'"):
        decisions.apply_to_crops(folder, path)
    fewer = dataclasses.replace(folder, rows=folder.rows[1:])
    decisions.write_decisions(path, made, STAMP)
    with pytest.raises(DataError, match=r"stale.*'crop0'.*line 2"):
        decisions.apply_to_crops(fewer, path)
    changed = [dataclasses.replace(folder.rows[0], sha256="a" * 64), *folder.rows[1:]]
    with pytest.raises(DataError, match=r"stale.*crop0.*line 2"):
        decisions.apply_to_crops(dataclasses.replace(folder, rows=changed), path)


def test_a_table_without_hashes_is_held_to_its_images(folder, tmp_path):
    path = tmp_path / "decisions.csv"
    decisions.write_decisions(path, decided(folder, ["drop"] * 4), STAMP)
    bare = [dataclasses.replace(crop, sha256="") for crop in folder.rows]
    bare_folder = dataclasses.replace(folder, rows=bare)
    assert not any(x.accepted for x in decisions.apply_to_crops(bare_folder, path).rows)
    one, other = (folder.image_path(crop) for crop in folder.rows[:2])
    one.write_bytes(other.read_bytes())
    with pytest.raises(DataError, match=r"stale.*'crop0'"):
        decisions.apply_to_crops(bare_folder, path)


def test_decisions_about_clusters_are_not_yet_those_of_crops(folder, tmp_path):
    path = table(tmp_path / "d.csv", of_cluster(0, "drop"))
    with pytest.raises(DataError, match="screen --apply"):
        decisions.apply_to_crops(folder, path)
