"""What the documentation says, where a test can tell: links, flags, presets."""

import importlib
import re

import pytest

from tests import support
from tfvqgen import Config, command_line
from tfvqgen.presets import PRESETS

ROOT = support.ROOT
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("deploy/*.md")])
COMMAND = re.compile(
    r"(?:python -m (tfvqgen|data_prep) (\w+)|python (train|export)\.py)([^`#|\n]*)"
)


def anchors(page):
    """Returns the names that a page's headings have as targets of links."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", x.lower()).replace(" ", "-") for x in headings}


def flags_of(package, command, script):
    """Returns the flags of a command, with their dashes."""
    if script:
        source = (ROOT / "tfvqgen" / "cli" / f"{script}.py").read_text()
        return {f"--{x}" for x in re.findall(r'DEFINE_\w+\(\s*"(\w+)"', source)}
    folder = {"tfvqgen": "cli", "data_prep": "commands"}[package]
    module = importlib.import_module(f"{package}.{folder}.{command}")
    parser = command_line.subcommand_parser("prog", "", {command: module})
    (subparsers,) = (x for x in parser._actions if x.choices)
    return set(subparsers.choices[command]._option_string_actions)


def sizes(config):
    """Returns the rows of the table of presets, by the start of their titles."""

    def by(shape):
        return f"{shape[0]} x {shape[1]}"

    vqvae, prior = config.vqvae, config.top
    residual = f"{vqvae.residual_layers} x {vqvae.residual_width}"
    rows = {
        "images": f"{vqvae.image_shape[0]}",
        "top codes": f"{by(vqvae.top_shape)}, {by(vqvae.bottom_shape)}",
        "codes of a": f"{vqvae.num_embeddings}, {vqvae.embedding_dim}",
        "autoencoder": f"{vqvae.hidden}, {residual}",
        "`vqvae.protein_weight`": f"{vqvae.protein_weight:g}",
        "`codes.symmetries`": f"{config.codes.symmetries}",
        "priors": f"{prior.width}, {prior.blocks} x {prior.layers}, {prior.heads}",
    }
    for name in ("vqvae", "top", "bottom"):
        stage = getattr(config, name)
        rows[f"steps x batch: `{name}`"] = f"{stage.steps:,} x {stage.batch_size}"
    return rows


@pytest.mark.parametrize("page", PAGES, ids=lambda x: str(x.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_are_there(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not link.startswith(("http://", "https://")):
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda x: str(x.relative_to(ROOT)))
def test_commands_have_the_flags_that_pages_give_them(page):
    text = page.read_text().replace("\\\n", " ")
    for *command, words in COMMAND.findall(text):
        given = set(re.findall(r"(?<!\S)--[a-z_0-9]+", words))
        assert given <= flags_of(*command), (command, words)


def test_the_page_about_training_gives_the_presets_as_they_are():
    page = (ROOT / "docs" / "training.md").read_text()
    table = page.partition("## Presets")[2].partition("\n## ")[0]
    lines = [line.strip("|").split("|") for line in table.splitlines() if "|" in line]
    rows = {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines}
    for column, preset in enumerate(PRESETS):
        for title, expected in sizes(Config.from_preset(preset)).items():
            (cells,) = (rows[name] for name in rows if name.startswith(title))
            assert cells[column] == expected, (preset, title)
