"""What the documentation says, where a test can tell: links, flags, presets."""

import importlib
import re

import pytest

from tests import support
from tfvqgen import command_line

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
