"""What the documents name is there."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from gateway import __version__
from tests.docs.pages import PAGES, ROOT, anchors, links, name, prose

HOMES = ("docs", "examples", "gateway", "infra", "scripts", "tests", "events", "requirements")
NAMED = re.compile(rf"`((?:{'|'.join(HOMES)})/[\w./*-]*\w)`")


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 150


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_that_are_named_exist(page: Path) -> None:
    missing = [path for path in NAMED.findall(prose(page)) if not list(ROOT.glob(path))]
    assert not missing


def test_a_decision_is_headed_by_its_number() -> None:
    decisions = sorted((ROOT / "docs/decisions").iterdir())
    assert not [page.name for page in decisions if not page.read_text().startswith(f"# {page.name[:4]}: ")]


@pytest.mark.parametrize("image", sorted((ROOT / "docs/images").iterdir()), ids=name)
def test_pictures_are_small_and_used(image: Path) -> None:
    assert image.stat().st_size <= 200 * 1024
    assert any(image.name in page.read_text() for page in PAGES)


def test_the_configuration_reference_is_up_to_date() -> None:
    ran = subprocess.run(
        [sys.executable, ROOT / "scripts/configuration", "--check"], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr


def test_every_dependency_is_listed_with_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ]
    wanted = {re.split(r"[\[>=<; ]", text)[0] for group in groups for text in group if isinstance(text, str)}
    page = (ROOT / "docs/dependencies.md").read_text()
    assert not [each for each in sorted(wanted) if f"`{each}`" not in page]


def test_no_listed_dependency_is_gone() -> None:
    listed = re.findall(r"^\| `([\w-]+)` \|", (ROOT / "docs/dependencies.md").read_text(), re.M)
    project = (ROOT / "pyproject.toml").read_text()
    assert not [each for each in listed if f'"{each}' not in project]


def test_the_tests_of_the_security_page_exist() -> None:
    page = (ROOT / "docs/security.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)
    assert len(named) > 44
    missing = [f"{file}::{test}" for file, test in named if f"def {test}(" not in (ROOT / file).read_text()]
    assert not missing


def test_the_security_page_has_every_row() -> None:
    page = (ROOT / "docs/security.md").read_text()
    assert [int(number) for number in re.findall(r"^\| (\d+) \|", page, re.M)] == list(range(1, 45))


def test_the_changelog_has_this_version() -> None:
    assert f"\n## {__version__}" in (ROOT / "CHANGELOG.md").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == __version__


def test_the_readmes_figures_are_those_of_the_pages_that_measure() -> None:
    told = (ROOT / "README.md").read_text().split("## Honest figures")[1].split("\n## ")[0]
    measured = (ROOT / "docs/performance.md").read_text() + (ROOT / "docs/guard.md").read_text()
    figures = re.findall(r"(?<![\w.])\d+(?:\.\d+)?", told)
    assert figures
    assert not [
        figure for figure in figures if not re.search(rf"(?<![\d.]){re.escape(figure)}(?!\.?\d)", measured)
    ]
