"""What is listed without importing the modules is what they register."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from glocal.attribution import AGGREGATES, METHODS
from glocal.cli.listing import METHOD_FACTS, method_rows
from glocal.localization import REFINEMENTS
from glocal.localization.exports import EXPORTS
from glocal.models import summary
from glocal.models.listing import LISTING_FILE, listed_models
from glocal.registry import Registry
from glocal.utils.registrations import defaults_of, registered_names, registrations

PLACES: list[tuple[Registry, str, Sequence[str]]] = [
    (METHODS, "attribution/methods", ("method", "input_method")),
    (AGGREGATES, "attribution/aggregation.py", ("AGGREGATES.register",)),
    (REFINEMENTS, "localization/refinements.py", ("REFINEMENTS.register",)),
    (EXPORTS, "localization/exports", ("EXPORTS.register",)),
]


@pytest.mark.parametrize(("registry", "path", "functions"), PLACES)
def test_the_names_and_their_order_are_those_of_the_registry(
    registry: Registry, path: str, functions: Sequence[str]
) -> None:
    assert registered_names(path, *functions, group="glocal.no_such_group") == list(registry)


def test_methods_are_listed_as_the_registry_has_them() -> None:
    expected = [{fact: getattr(method, fact) for fact in METHOD_FACTS} for method in METHODS.values()]
    assert method_rows() == expected


def test_the_listing_of_models_is_up_to_date() -> None:
    computed = json.loads(json.dumps(summary()))
    assert json.loads(LISTING_FILE.read_text("utf-8")) == computed, "run python -m glocal.models.listing"
    assert listed_models() == computed


def test_a_network_that_the_listing_lacks_is_listed_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = json.loads(LISTING_FILE.read_text("utf-8"))
    shorter = tmp_path / "listing.json"
    shorter.write_text(json.dumps(rows[1:]))
    monkeypatch.setattr("glocal.models.listing.LISTING_FILE", shorter)
    monkeypatch.setattr("glocal.models.registry.summary", lambda: ["computed"])
    assert listed_models() == ["computed"]


def test_a_package_that_adds_names_makes_them_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glocal.utils.registrations.entry_points", lambda group: [group])
    assert registered_names("localization/exports", "EXPORTS.register", group="glocal.exports") is None


SOURCE = """
from package.shared import NEEDS as WANTS, compute
COST = "2 forward"
SIZE: int = 3
@register("one", cost=COST, needs=WANTS, paper=f"{COST}")
def one(request, size=SIZE, *, seed: int = 0): ...
@other("two")
def two(request, size=compute()): ...
register(Entry(name="three", build=one, classes=400))
"""


def test_constants_are_read_and_the_rest_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "made.py").write_text(SOURCE)
    (package / "shared.py").write_text("NEEDS = 'layers'")
    monkeypatch.setattr("glocal.utils.registrations.ROOT", package)
    one, three = registrations("made.py", "register")
    assert one == ("register", "one", {"cost": "2 forward", "needs": "layers"}, {"size": 3, "seed": 0})
    assert (three.name, three.facts) == ("three", {"classes": 400})
    with pytest.raises(ValueError, match="default of two"):
        registrations("made.py", "other")
    with pytest.raises(ValueError, match="default of two"):
        defaults_of("made.py", "two")
    (package / "made.py").write_text("register(NAMES[0])")
    with pytest.raises(ValueError, match="no constant"):
        registrations("made.py", "register")
    assert registered_names("made.py", "register", group="glocal.no_such_group") is None


@pytest.mark.parametrize(
    "arguments", [["models"], ["methods", "--json"], ["explain", "--help"], ["localize", "--help"]]
)
def test_listing_names_imports_neither_pytorch_nor_opencv(arguments: list[str]) -> None:
    code = "import sys; from glocal.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stdout
    assert not {"torch", "cv2", "av"} & set(done.stderr.split())
