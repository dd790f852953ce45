"""Who may import whom, read from the imports themselves."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LEAVES = {"tfvqgen.errors", "tfvqgen.files"}
SHARED = LEAVES | {"tfvqgen.data", "data_prep"}
ALLOWED = {
    "tfvqgen.errors": set(),
    "tfvqgen.files": {"tfvqgen.errors"},
    "tfvqgen.sentences": set(),
    "tfvqgen.command_line": LEAVES | {"tfvqgen.sentences"},
    "tfvqgen.config_keys": LEAVES,
    "tfvqgen.presets": set(),
    "tfvqgen.config": LEAVES | {"tfvqgen.config_keys", "tfvqgen.presets"},
    "tfvqgen.losses": LEAVES | {"tfvqgen.losses"},
    "tfvqgen.layers": LEAVES | {"tfvqgen.layers"},
    "tfvqgen.models": LEAVES
    | {"tfvqgen.models", "tfvqgen.layers", "tfvqgen.losses", "tfvqgen.config"},
    "tfvqgen.sampling": LEAVES | {"tfvqgen.sampling"},
    "tfvqgen.data": LEAVES | {"tfvqgen.data"},
    "tfvqgen.training": LEAVES
    | {
        "tfvqgen.training",
        "tfvqgen.models",
        "tfvqgen.layers",
        "tfvqgen.data",
        "tfvqgen.losses",
        "tfvqgen.config",
        "tfvqgen.config_keys",
        "tfvqgen.sampling",
    },
    "tfvqgen.generation": LEAVES
    | {
        "tfvqgen.generation",
        "tfvqgen.training",
        "tfvqgen.models",
        "tfvqgen.data",
        "tfvqgen.losses",
        "tfvqgen.sampling",
    },
    "tfvqgen.serving": LEAVES
    | {
        "tfvqgen.serving",
        "tfvqgen.serving.verification",
        "tfvqgen.generation",
        "tfvqgen.config",
        "tfvqgen.data",
        "tfvqgen.models",
        "tfvqgen.training",
    },
    # Runs where nothing of this project can be imported.
    "tfvqgen.serving.verification": set(),
    "tfvqgen.evaluation.metrics": LEAVES | {"tfvqgen.evaluation.metrics"},
    # Classifiers are trained as the other stages are.
    "tfvqgen.evaluation.classifier": LEAVES
    | {
        "tfvqgen.evaluation",
        "tfvqgen.evaluation.classifier",
        "tfvqgen.evaluation.metrics",
        "tfvqgen.config",
        "tfvqgen.config_keys",
        "tfvqgen.data",
        "tfvqgen.layers",
        "tfvqgen.models",
        "tfvqgen.training",
    },
    "tfvqgen.evaluation": LEAVES
    | {
        "tfvqgen.evaluation",
        "tfvqgen.evaluation.classifier",
        "tfvqgen.evaluation.metrics",
        "tfvqgen.generation",
        "tfvqgen.training",
        "tfvqgen.models",
        "tfvqgen.data",
        "tfvqgen.losses",
    },
    "tfvqgen.app": LEAVES
    | {"tfvqgen.app", "tfvqgen.serving", "tfvqgen.generation", "tfvqgen.data"},
    "tfvqgen.commands": LEAVES
    | {
        "tfvqgen.commands",
        "tfvqgen.app",
        "tfvqgen.command_line",
        "tfvqgen.evaluation",
        "tfvqgen.generation",
        "tfvqgen.serving",
    },
    "tfvqgen.__main__": {"tfvqgen.command_line", "tfvqgen.commands"},
    "tfvqgen": {"tfvqgen.config"},
    # Words and formats that the rooms share; the rooms come one after another.
    "data_prep": SHARED,
    "data_prep.images": SHARED | {"data_prep.images"},
    "data_prep.layouts": SHARED | {"data_prep.layouts", "data_prep.images"},
    "data_prep.download": SHARED | {"data_prep.download", "data_prep.layouts"},
    "data_prep.segmentation": LEAVES | {"data_prep.segmentation"},
    "data_prep.cropping": SHARED
    | {"data_prep.cropping", "data_prep.segmentation", "data_prep.images"},
    "data_prep.screening": SHARED | {"data_prep.screening", "data_prep.cropping"},
    "data_prep.records": SHARED
    | {"data_prep.records", "data_prep.screening", "data_prep.images"},
    "data_prep.synthetic": SHARED | {"data_prep.synthetic", "data_prep.images"},
    # The network that learns features of crops is trained as the others are.
    "data_prep.inpainting": SHARED
    | {
        "data_prep.inpainting",
        "tfvqgen.config",
        "tfvqgen.config_keys",
        "tfvqgen.models",
        "tfvqgen.training",
    },
    "data_prep.commands": SHARED
    | {
        "data_prep.commands",
        "tfvqgen.command_line",
        "data_prep.cropping",
        "data_prep.download",
        "data_prep.images",
        "data_prep.inpainting",
        "data_prep.layouts",
        "data_prep.records",
        "data_prep.screening",
        "data_prep.synthetic",
    },
    "data_prep.__main__": {"tfvqgen.command_line", "data_prep.commands"},
}


def sources():
    return [
        path
        for folder in ("tfvqgen", "data_prep")
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(name):
    rooms = sorted(ALLOWED, key=len, reverse=True)
    return next((r for r in rooms if name == r or name.startswith(r + ".")), None)


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_import_only_what_their_room_may(path):
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    allowed = ALLOWED[room(module)]
    for name in imported(path):
        if name.startswith(("tfvqgen", "data_prep")):
            assert room(name) in allowed, f"{module} imports {name}"


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_library_defines_no_flags(path):
    assert "flags.DEFINE" not in path.read_text()
