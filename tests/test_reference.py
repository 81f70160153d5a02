"""The reference in `docs/reference` says what the code does."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "tools" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_the_committed_reference_is_what_the_code_says(reference):
    stale = reference.stale()
    assert not stale, f"docs/reference is out of date ({', '.join(stale)}): run `.venv/bin/{reference.COMMAND}`"


def test_every_job_says_what_it_does(reference):
    for row in re.findall(r"^\| `.*$", reference.pages()["jobs.md"], re.MULTILINE):
        assert row.split(" | ")[-1].strip(" |"), f"{row}: say what it does, in its docstring"


def test_every_route_is_guarded_or_public(reference):
    assert "| ? |" not in reference.pages()["api.md"]


def test_links_between_the_pages_lead_somewhere():
    pages = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "deploy/README.md")]
    pages += sorted((ROOT / "docs").rglob("*.md"))
    missing = [
        f"{page.relative_to(ROOT)} → {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / link).exists()
    ]
    assert not missing
