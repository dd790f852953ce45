from benchmarks.sampling_parameters import METRICS, read
from tfvqgen.files import write_json


def distances(value):
    generated = {name: {"value": value} for name in (*METRICS, "kernel")}
    return {"n": 8, "sets": {"generated": generated, "real": {}}}


def test_a_report_gives_the_metrics_of_its_generated_cells(tmp_path):
    agreement = {"generated": {"n": 8, "accuracy": {"value": 0.75}}}
    generation = {"distances": {"random": distances(0.5)}}
    path = tmp_path / "metrics.json"
    write_json(path, {"generation": {**generation, "label_agreement": agreement}})
    expected = {name: {"value": 0.5} for name in METRICS}
    assert read(tmp_path) == {"label_agreement": {"value": 0.75}, "random": expected}
    write_json(path, {"generation": generation})
    assert read(tmp_path) == {"random": expected}
