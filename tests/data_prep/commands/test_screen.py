"""The command `screen`, from crops with features to shards without what was dropped."""

import csv
import io
import json
import re
import shutil

import numpy as np
import pytest

from data_prep.commands import shard
from data_prep.embedding.crop_features import read_features
from data_prep.embedding.umap_table import make_embedding, read_embedding
from data_prep.screening import decisions, screening
from data_prep.tables import read_table
from tests.data_prep.screened_crops import (
    INSTALLED,
    make_screened,
    quick_map,
    run_screen,
    write_some_features,
)
from tests.support import digest_of_folder, run_command
from tfvqgen.data import schema
from tfvqgen.errors import DataError, UserError
from tfvqgen.files import sha256_of_file

pytestmark = pytest.mark.skipif(not INSTALLED, reason="the extra screen is missing")


@pytest.fixture(autouse=True, scope="module")
def no_umap():
    with quick_map():
        yield


@pytest.fixture(scope="module")
def screened(tmp_path_factory, no_umap):
    made = make_screened(tmp_path_factory.mktemp("screened") / "crops")
    run_screen("--crops", made, "--clusters", 4)
    return made


@pytest.fixture
def crops(screened, tmp_path):
    return shutil.copytree(screened, tmp_path / "crops")


def edit(path, wanted):
    """Fills in the decision column of clusters.csv."""
    rows = list(csv.reader(io.StringIO(path.read_text())))
    for row in rows[1:]:
        row[1] = wanted.get(int(row[0]), "")
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def test_clusters_edited_by_hand_become_shards_without_what_was_dropped(
    crops, tmp_path, capsys
):
    opened = screening.open_screening(crops)
    gone = {x.crop_id for x in opened.screened if x.cluster == 2}
    path = edit(crops / "review" / "clusters.csv", {0: "keep", 1: "Keep", 2: "drop"})
    capsys.readouterr()
    run_screen("--crops", crops, "--apply", path)
    told = capsys.readouterr().out
    assert f"drop {len(gone)}," in told
    assert re.search(r"\n(Cytosol|Nucleoli|Golgi apparatus) .*more than usual", told)
    made = crops / "review" / decisions.FILE_NAME
    flags = ("--crops", crops, "--output", tmp_path / "s", "--decisions", made)
    run_command(shard, *flags)
    told = capsys.readouterr().out
    assert f"left out: {len(gone)} crops: dropped in screening" in told
    info = schema.open_dataset(tmp_path / "s").info
    assert sum(split.num_examples for split in info.splits.values()) == 60 - len(gone)


def test_what_is_dropped_is_told_by_label_and_group(crops):
    path = edit(crops / "review" / "clusters.csv", {0: "drop"})
    run_screen("--crops", crops, "--apply", path)
    rows = list(read_table(crops / "review" / screening.DROPPED))
    opened = screening.open_screening(crops)
    dropped = {x.crop_id for x in opened.screened if x.cluster == 0}
    for of, name_of in (("label", lambda c: c.labels[0]), ("group", lambda c: c.group)):
        told = {r.get("name"): r for r in rows if r.get("of") == of}
        assert set(told) == set(map(name_of, opened.crops))
        for name, row in told.items():
            mine = [c.crop_id for c in opened.crops if name_of(c) == name]
            hits = len(dropped & set(mine))
            counts = [int(row.get(n)) for n in ("crops", "dropped", "left")]
            assert counts == [len(mine), hits, len(mine) - hits]
            assert float(row.get("lost")) == pytest.approx(hits / len(mine), abs=1e-4)


def test_the_machines_suggestions_can_be_applied_as_they_are(crops):
    run_screen("--crops", crops, "--apply", crops / "review" / "suggestions.csv")
    rows = read_table(crops / "review" / decisions.FILE_NAME)
    dropped = {r.get("crop_id") for r in rows if r.get("decision") == "drop"}
    assert {"crop4", "crop9"} <= dropped and len(dropped) < 8


def test_a_second_run_changes_nothing_and_keeps_what_was_written_by_hand(crops):
    path = edit(crops / "review" / "clusters.csv", {1: "keep"})
    # A spreadsheet may write 1 as 1.0.
    path.write_text(path.read_text().replace("\n1,", "\n1.0,"))
    before = digest_of_folder(crops)
    run_screen("--crops", crops)
    after = digest_of_folder(crops)
    for digests in (before, after):
        digests.pop("review/clusters.csv")
    assert after == before
    decided = {r.get("cluster"): r.get("decision") for r in read_table(path)}
    assert decided == {"0": "", "1": "keep", "2": "", "3": ""}


def test_decisions_about_other_clusters_are_not_overwritten_unasked(crops):
    edit(crops / "review" / "clusters.csv", {1: "keep"})
    before = digest_of_folder(crops)
    with pytest.raises(UserError, match=r"would be lost.*keep in .*line 3"):
        run_screen("--crops", crops, "--clusters", 5)
    assert digest_of_folder(crops) == before
    run_screen("--crops", crops, "--clusters", 5, "--overwrite")
    rows = list(read_table(crops / "review" / "clusters.csv"))
    assert len(rows) == 5 and not any(row.get("decision") for row in rows)


@pytest.mark.parametrize("change", ["stamp", "number"])
def test_decisions_that_cannot_be_placed_are_not_lost_silently(crops, change):
    path = edit(crops / "review" / "clusters.csv", {1: "drop"})
    stamp = screening.open_screening(crops).stamp
    old, new = (stamp.config, "1.2E+15") if change == "stamp" else ("\n1,", "\nfirst,")
    path.write_text(path.read_text().replace(old, new))
    before = digest_of_folder(crops)
    with pytest.raises(UserError, match=r"would be lost.*drop in .*line 3"):
        run_screen("--crops", crops)
    assert digest_of_folder(crops) == before


def test_other_numbers_of_clusters_leave_the_map_and_make_decisions_stale(crops):
    made = edit(crops / "review" / "clusters.csv", {0: "drop"})
    features = read_features(crops)
    places = read_embedding(crops, features).positions
    table = make_embedding(crops, features, 6)
    np.testing.assert_array_equal(table.positions, places)
    assert len(set(table.clusters.tolist())) > 4
    with pytest.raises(DataError, match=r"stale decisions.*config"):
        run_screen("--crops", crops, "--apply", made)
    assert not (crops / "review" / decisions.FILE_NAME).exists()


def test_features_of_other_crops_are_refused(crops, tmp_path):
    other = make_screened(tmp_path / "other", num=30)
    for name in ("features.npy", "features.json"):
        (crops / name).write_bytes((other / name).read_bytes())
    with pytest.raises(DataError, match="do not belong to these crops"):
        run_screen("--crops", crops)


def test_changed_features_make_clusters_anew(crops):
    before = (crops / "umap.csv").read_bytes()
    write_some_features(crops, seed=1)
    with pytest.raises(DataError, match="stale decisions"):
        run_screen("--crops", crops, "--apply", crops / "review" / "suggestions.csv")
    run_screen("--crops", crops)
    assert (crops / "umap.csv").read_bytes() != before


def test_a_damaged_map_is_named(crops):
    table = list(csv.reader((crops / "umap.csv").read_text().splitlines()))
    values = [("x", "nan"), ("y", "1e999"), ("cluster", "-1"), ("cluster", "1.5")]
    for column, value in values:
        rows = [list(row) for row in table]
        rows[1][rows[0].index(column)] = value
        with open(crops / "umap.csv", "w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
        # The description fits the table as it is.
        description = json.loads((crops / "umap.json").read_text())
        description["sha256"] = sha256_of_file(crops / "umap.csv")
        (crops / "umap.json").write_text(json.dumps(description))
        with pytest.raises(DataError, match=r"damaged clusters: expected .*umap\.csv"):
            screening.open_decided(crops)
    (crops / "umap.json").write_text(json.dumps({**description, "config": {}}))
    with pytest.raises(DataError, match="damaged clusters: expected"):
        screening.open_decided(crops)
