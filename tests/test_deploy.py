"""The files in deploy/ can be parsed and agree; the examples of its README run."""

import re
import shlex
import subprocess
from pathlib import Path

import requests
import yaml
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from tests.generators import LABELS
from tfvqgen.generation.model_info import MAX_ROWS

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
README = (DEPLOY / "README.md").read_text()


def documents(name):
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


def container():
    (found,) = documents("kubernetes.yaml")[0]["spec"]["template"]["spec"]["containers"]
    return found


def compose_service():
    return documents("compose.yaml")[0]["services"]["tfvqgen"]


def test_the_models_are_served_under_the_default_name_of_the_client():
    text = (DEPLOY / "models.config").read_text()
    config = model_server_config_pb2.ModelServerConfig()
    (model,) = text_format.Parse(text, config).model_config_list.config
    assert (model.name, model.base_path) == ("tfvqgen", "/models/tfvqgen")
    # The label of a version that is not served would keep the server from starting.
    policy = model.model_version_policy
    assert set(model.version_labels.values()) <= set(policy.specific.versions)


def test_batch_sizes_keep_the_rules_of_tensorflow_serving():
    text = (DEPLOY / "batching.pbtxt").read_text()
    values = dict(re.findall(r"^(\w+) \{ value: (\w+) \}", text, re.M))
    sizes = [int(x) for x in re.findall(r"^allowed_batch_sizes: (\d+)", text, re.M)]
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == int(values["max_execution_batch_size"])
    assert int(values["max_batch_size"]) == MAX_ROWS
    assert values["enable_large_batch_splitting"] == "true"


def test_both_ways_to_start_the_server_use_the_same_image_flags_and_ports():
    assert compose_service()["command"] == container()["args"]
    for flag in container()["args"]:
        value = flag.partition("=")[2]
        if value.startswith("/config/"):
            assert (DEPLOY / value.removeprefix("/config/")).is_file()
    image = container()["image"]
    assert image in README and image.partition(":")[2] in compose_service()["image"]
    (kserve,) = documents("kserve.yaml")
    version = kserve["spec"]["predictor"]["model"]["runtimeVersion"]
    assert image == f"tensorflow/serving:{version}"
    constraints = (DEPLOY.parent / "constraints.txt").read_text()
    exporter = re.search(r"^tensorflow==(\d+)\.(\d+)", constraints, re.M).groups()
    assert [int(x) for x in version.split(".")[:2]] >= [int(x) for x in exporter]
    ports = {x["name"]: x["containerPort"] for x in container()["ports"]}
    assert ports == {"grpc": 8500, "http": 8501}
    assert compose_service()["ports"] == [f"127.0.0.1:{x}:{x}" for x in (8500, 8501)]
    deployment, service = (x["spec"] for x in documents("kubernetes.yaml"))
    labels = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"] == service["selector"] == labels
    assert {x["targetPort"]: x["port"] for x in service["ports"]} == ports
    mounts = {x["name"]: x["mountPath"] for x in container()["volumeMounts"]}
    assert mounts == {"models": "/models", "config": "/config"}


def _status(port, path):
    return requests.get(f"http://127.0.0.1:{port}{path}").status_code


def test_the_probes_tell_a_loaded_model_from_one_that_is_loading(serving):
    port, found = serving.ports["rest"], {}
    command = compose_service()["healthcheck"]["test"][1:]
    command = [word.replace("/8501", f"/{port}") for word in command]
    for state in ("LOADING", "AVAILABLE"):
        serving.states[1] = state
        statuses = [
            _status(port, container()[f"{name}Probe"]["httpGet"]["path"])
            for name in ("startup", "readiness", "liveness")
        ]
        found[state] = [*statuses, subprocess.run(command).returncode]
    assert found == {"LOADING": [404, 404, 200, 1], "AVAILABLE": [200, 200, 200, 0]}


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def test_the_python_examples_of_the_readme_run(serving, capsys):
    for block in blocks("python"):
        names = {}
        port = serving.ports["grpc"]
        exec(block.replace("localhost:8500", f"127.0.0.1:{port}"), names)
    assert "(4, 16, 16, 4) uint16" in capsys.readouterr().out
    assert [x[:8] for x in names["images"]] == [b"\x89PNG\r\n\x1a\n"] * 2


def test_the_curl_examples_of_the_readme_are_answered(serving):
    text = "\n".join(blocks("sh")).replace("\\\n", " ").replace("|", " ")
    replies = []
    for line in text.splitlines():
        if line.startswith("curl "):
            words = shlex.split(line)
            (url,) = [word for word in words if word.startswith("http://")]
            body = words[words.index("-d") + 1].encode() if "-d" in words else None
            url = url.replace("localhost:8501", f"127.0.0.1:{serving.ports['rest']}")
            replies.append(requests.request("POST" if body else "GET", url, data=body))
    status, metadata, image, name = [reply.json() for reply in replies]
    assert status["model_version_status"][0]["state"] == "AVAILABLE"
    assert metadata["model_spec"]["version"] == "1"
    assert set(image["predictions"][0]) == {"b64"}
    assert name == {"predictions": [LABELS[2]]}
