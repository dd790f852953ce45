"""A server of an export gets requests of every wrong kind."""

import argparse

from benchmarks import serving_fuzz
from benchmarks.faults.fuzzed_requests import fuzzed_requests
from tests.generators import make_generator
from tfvqgen.export.signatures import INPUTS


def test_wrong_requests_are_refused_in_words_and_change_nothing(real_export):
    args = argparse.Namespace(requests=20, rounds=1, rows=5, seed=0, threads=2)
    line = serving_fuzz.fuzz(real_export, args)
    assert line["faults"] == []
    assert line["same_process"] and line["same_picture"]
    assert line["answered"] + sum(line["refused"].values()) == 20
    assert set(line["refused"]) <= serving_fuzz.REFUSALS
    assert len(line["megabytes"]) == 20 and min(line["megabytes"]) > 0
    # One request of 4096 rows is 50 MB here.
    assert line["last_mb"] - line["first_mb"] < 200
    assert line["request_rows"] == 5
    assert line["request_peak_mb"] >= line["loaded_mb"] / 2


def test_requests_of_every_kind_meet_every_signature():
    about = make_generator(4, "uint16").model_info.to_json()
    requests = list(fuzzed_requests(about, 200, 0))
    again = list(fuzzed_requests(about, 200, 0))
    assert [x.request for x in requests] == [x.request for x in again]
    kinds = {x.kind for x in requests}
    assert len(kinds) == 14 and sum(not x.wrong for x in requests) >= 20
    for name in INPUTS:
        met = {x.kind for x in requests if x.request.model_spec.signature_name == name}
        assert len(met) > 5, name
