"""The files in deploy/: each is parsed, and what can be run is run."""

import json
import re
import shlex
import subprocess
import urllib.request
from pathlib import Path

import pytest
import yaml
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)

from tests.client.loopback import grpc_server, rest_server
from tests.client.served_model import ServedModel
from tests.export import tiny_model
from tfvqgen.generation.model_info import MAX_ROWS

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
README = (DEPLOY / "README.md").read_text()
FILES = {
    "README.md",
    "batching.pbtxt",
    "compose.yaml",
    "kserve.yaml",
    "kubernetes.yaml",
    "models.config",
    "monitoring.config",
}
# Of TensorFlow Serving's messages that tensorflow-serving-api does not bring; names and
# types as in its sources (text has no field numbers, so they do not matter).
BATCHING = {
    "max_batch_size": "Int64Value",
    "batch_timeout_micros": "Int64Value",
    "max_enqueued_batches": "Int64Value",
    "num_batch_threads": "Int64Value",
    "thread_pool_name": "StringValue",
    "allowed_batch_sizes": "int64*",
    "pad_variable_length_inputs": "bool",
    "enable_large_batch_splitting": "BoolValue",
    "max_execution_batch_size": "Int64Value",
}
MONITORING = {"prometheus_config": {"enable": "bool", "path": "string"}}


def message_class(name, fields):
    """Makes a message of fields: their names and types.

    A type with * has several values; a type that is itself a dict is a message.
    """
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    file = descriptor_pb2.FileDescriptorProto(
        name="deploy.proto", package="deploy", syntax="proto3"
    )
    file.dependency.append("google/protobuf/wrappers.proto")
    _describe(file.message_type.add(name=name), fields, f".deploy.{name}")
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"deploy.{name}"))


def _describe(message, fields, path):
    kinds = descriptor_pb2.FieldDescriptorProto
    for number, (field, kind) in enumerate(fields.items(), 1):
        added = message.field.add(name=field, number=number, label=kinds.LABEL_OPTIONAL)
        if isinstance(kind, dict):
            _describe(message.nested_type.add(name=f"Of{number}"), kind, f"{path}.Of")
            added.type, added.type_name = kinds.TYPE_MESSAGE, f"{path}.Of{number}"
        elif kind.endswith("Value"):
            added.type, added.type_name = kinds.TYPE_MESSAGE, f".google.protobuf.{kind}"
        else:
            added.type = getattr(kinds, f"TYPE_{kind.rstrip('*').upper()}")
            if kind.endswith("*"):
                added.label = kinds.LABEL_REPEATED


def parsed(name, message):
    return text_format.Parse((DEPLOY / name).read_text(), message)


def documents(name):
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


def test_every_file_is_described_in_the_readme():
    assert {path.name for path in DEPLOY.iterdir()} == FILES
    assert FILES - {"README.md"} == set(re.findall(r"^\| `(.*?)`", README, re.M))


def test_the_models_are_served_under_the_name_that_clients_ask_for(tmp_path):
    from tensorflow_serving.config import model_server_config_pb2

    config = parsed("models.config", model_server_config_pb2.ModelServerConfig())
    (model,) = config.model_config_list.config
    assert (model.name, model.base_path) == ("tfvqgen", "/models/tfvqgen")
    assert model.model_platform == "tensorflow"
    policy = model.model_version_policy
    assert policy.WhichOneof("policy_choice") == "specific"
    # A label of a version that is not served would keep the server from starting.
    assert set(model.version_labels.values()) <= set(policy.specific.versions)
    assert set(model.version_labels) == {"stable"}


def test_batches_keep_to_the_rules_of_their_sizes():
    config = parsed("batching.pbtxt", message_class("Batching", BATCHING)())
    sizes = list(config.allowed_batch_sizes)
    assert sizes == sorted(set(sizes))
    assert config.enable_large_batch_splitting.value
    assert sizes[-1] == config.max_execution_batch_size.value
    assert config.max_batch_size.value == MAX_ROWS
    assert config.batch_timeout_micros.value < 100_000
    assert config.num_batch_threads.value >= 1
    assert config.max_enqueued_batches.value >= config.num_batch_threads.value


def test_a_misspelt_field_would_be_noticed():
    message = message_class("Batching", BATCHING)()
    with pytest.raises(text_format.ParseError):
        text_format.Parse("max_batchsize { value: 1 }", message)


def test_metrics_are_where_the_manifests_look_for_them():
    message = parsed("monitoring.config", message_class("Monitoring", MONITORING)())
    config = message.prometheus_config
    assert config.enable
    annotations = deployment()["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/path"] == config.path


def test_batching_is_off_unless_it_is_turned_on():
    for name in ("compose.yaml", "kubernetes.yaml"):
        text = (DEPLOY / name).read_text()
        lines = [line for line in text.splitlines() if "--enable_batching" in line]
        assert len(lines) == 1 and lines[0].strip().startswith("#")
    assert "fails the requests" in (DEPLOY / "batching.pbtxt").read_text()


def deployment():
    return documents("kubernetes.yaml")[0]


def container():
    (found,) = deployment()["spec"]["template"]["spec"]["containers"]
    return found


def compose_service():
    (found,) = documents("compose.yaml")
    assert set(found) == {"services"}
    assert set(found["services"]) == {"tfvqgen"}
    return found["services"]["tfvqgen"]


def test_compose_says_what_the_server_needs():
    service = compose_service()
    assert set(service) == {
        "command",
        "healthcheck",
        "image",
        "mem_limit",
        "ports",
        "restart",
        "volumes",
    }
    assert service["image"].startswith("tensorflow/serving:${TF_SERVING_VERSION:-")
    assert service["ports"] == ["127.0.0.1:8500:8500", "127.0.0.1:8501:8501"]
    assert [volume.rsplit(":", 2)[1:] for volume in service["volumes"]] == [
        ["/models/tfvqgen", "ro"],
        ["/config", "ro"],
    ]


def test_both_ways_to_start_the_server_give_it_the_same_flags():
    assert compose_service()["command"] == container()["args"]
    flags = dict(flag.split("=", 1) for flag in container()["args"])
    assert set(flags) == {
        "--model_config_file",
        "--model_config_file_poll_wait_seconds",
        "--allow_version_labels_for_unavailable_models",
        "--monitoring_config_file",
        "--rest_api_timeout_in_ms",
    }
    for value in flags.values():
        if value.startswith("/config/"):
            assert value.removeprefix("/config/") in FILES


def test_all_ways_to_start_the_server_take_the_same_image():
    version = re.search(r":-(.*)}", compose_service()["image"])[1]
    (kserve,) = documents("kserve.yaml")
    assert container()["image"] == f"tensorflow/serving:{version}"
    assert kserve["spec"]["predictor"]["model"]["runtimeVersion"] == version
    assert set(re.findall(r"tensorflow/serving:(\S+)", README)) == {version}


def test_the_image_is_not_older_than_the_tensorflow_of_the_constraints():
    constraints = (DEPLOY.parent / "constraints.txt").read_text()
    exporter = re.search(r"^tensorflow==(\d+)\.(\d+)", constraints, re.M)
    server = re.search(r"serving:(\d+)\.(\d+)", container()["image"])
    assert tuple(map(int, server.groups())) >= tuple(map(int, exporter.groups()))


def test_the_deployment_mounts_what_its_flags_name():
    found = deployment()
    assert (found["apiVersion"], found["kind"]) == ("apps/v1", "Deployment")
    spec = found["spec"]
    assert set(spec) == {"replicas", "selector", "template"}
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"] == labels
    pod = spec["template"]["spec"]
    assert set(pod) == {
        "automountServiceAccountToken",
        "containers",
        "terminationGracePeriodSeconds",
        "volumes",
    }
    mounts = {x["name"]: x["mountPath"] for x in container()["volumeMounts"]}
    assert mounts == {"models": "/models", "config": "/config"}
    assert {x["name"] for x in pod["volumes"]} == set(mounts)
    limit = int(re.search(r"in_ms=(\d+)", " ".join(container()["args"]))[1])
    assert pod["terminationGracePeriodSeconds"] > limit / 1000
    config_map = pod["volumes"][1]["configMap"]["name"]
    assert f"create configmap {config_map} " in README


def test_the_container_has_only_fields_that_kubernetes_knows():
    assert set(container()) == {
        "args",
        "image",
        "lifecycle",
        "livenessProbe",
        "name",
        "ports",
        "readinessProbe",
        "resources",
        "securityContext",
        "startupProbe",
        "volumeMounts",
    }
    times = {"periodSeconds", "timeoutSeconds", "failureThreshold"}
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        probe = container()[name]
        assert set(probe) <= {"httpGet", *times}
        assert set(probe["httpGet"]) == {"path", "port"}
        assert probe["timeoutSeconds"] <= probe["periodSeconds"]
        assert all(isinstance(probe[x], int) for x in times & set(probe))


def test_the_service_leads_to_the_deployments_ports():
    _, service = documents("kubernetes.yaml")
    assert (service["apiVersion"], service["kind"]) == ("v1", "Service")
    labels = deployment()["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"] == labels
    ports = {x["name"]: x["containerPort"] for x in container()["ports"]}
    assert ports == {"grpc": 8500, "http": 8501}
    for port in service["spec"]["ports"]:
        assert set(port) == {"appProtocol", "name", "port", "targetPort"}
        assert ports[port["targetPort"]] == port["port"]


def test_the_inference_service_has_only_fields_that_kserve_knows():
    (found,) = documents("kserve.yaml")
    assert found["apiVersion"] == "serving.kserve.io/v1beta1"
    assert found["kind"] == "InferenceService"
    # The runtime gives the server the service's name as the model's.
    assert found["metadata"] == {"name": "tfvqgen"}
    predictor = found["spec"]["predictor"]
    assert set(predictor) == {"minReplicas", "model", "timeout"}
    assert set(predictor["model"]) == {
        "modelFormat",
        "protocolVersion",
        "resources",
        "runtimeVersion",
        "storageUri",
    }
    assert predictor["model"]["modelFormat"] == {"name": "tensorflow", "version": "2"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    base = tmp_path_factory.mktemp("served")
    return ServedModel(tiny_model.export(base, 1, tiny_model.make_about()))


def test_the_probes_tell_a_loaded_model_from_one_that_is_loading(model):
    paths = {
        name: container()[f"{name}Probe"]["httpGet"]["path"]
        for name in ("startup", "readiness", "liveness")
    }
    command = compose_service()["healthcheck"]["test"]
    assert command[0] == "CMD"
    found = {}
    with rest_server(model) as port:
        for state in ("LOADING", "AVAILABLE"):
            model.states[1] = state
            found[state] = {name: _answers(port, path) for name, path in paths.items()}
            run = subprocess.run(
                [word.replace("/8501", f"/{port}") for word in command[1:]], timeout=20
            )
            found[state]["compose"] = run.returncode == 0
    assert found["LOADING"] == {
        "startup": False,
        "readiness": False,
        "liveness": True,
        "compose": False,
    }
    assert set(found["AVAILABLE"].values()) == {True}


def _answers(port, path):
    try:
        url = f"http://127.0.0.1:{port}{path}"
        return urllib.request.urlopen(url, timeout=10).status == 200
    except urllib.error.HTTPError:
        return False


def _blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def test_the_readmes_python_examples_run(model, capsys):
    first, second = _blocks("python")
    with grpc_server(model) as port:
        for block in (first, second):
            names = {}
            exec(block.replace("localhost:8500", f"127.0.0.1:{port}"), names)
    assert "(4, 4, 6, 3) uint8" in capsys.readouterr().out
    assert [x[:8] for x in names["pictures"]] == [b"\x89PNG\r\n\x1a\n"] * 2


def test_the_readmes_rest_examples_are_answered(model):
    text = "\n".join(_blocks("sh")).replace("\\\n", " ")
    commands = [
        shlex.split(line.replace("|", " "))
        for line in text.splitlines()
        if line.startswith("curl ")
    ]
    replies = []
    with rest_server(model) as port:
        for words in commands:
            (url,) = [word for word in words if word.startswith("http://")]
            body = words[words.index("-d") + 1].encode() if "-d" in words else None
            url = url.replace("localhost:8501", f"127.0.0.1:{port}")
            with urllib.request.urlopen(url, body, timeout=20) as reply:
                replies.append(json.load(reply))
    status, metadata, picture, name = replies
    assert status["model_version_status"][0]["state"] == "AVAILABLE"
    assert (
        "generate_multilabel" in metadata["metadata"]["signature_def"]["signature_def"]
    )
    assert set(picture["predictions"][0]) == {"b64"}
    assert name == {"predictions": [tiny_model.LABELS[2]]}
