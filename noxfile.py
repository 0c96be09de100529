"""`nox` runs the quick tests on each Python, and with the lowest versions that are allowed.

Interpreters that are not installed are skipped. `nox` itself is installed by `pip install nox uv`.

uv installs the packages, and reads `UV_CONSTRAINT`, a file of versions, and `UV_FIND_LINKS`, a folder with a
CPU build of PyTorch. `nox -db virtualenv` takes pip, with `PIP_CONSTRAINT` and `PIP_FIND_LINKS`.
"""

import nox

nox.options.default_venv_backend = "uv"
nox.options.sessions = ["tests", "lowest"]

EXTRAS = ".[figures,flow,serve,train]"
TEST_TOOLS = ("httpx>=0.27", "hypothesis>=6.100", "psutil>=5.9", "pytest>=8", "pytest-timeout>=2.3")
QUICK = (
    "tests/test_portability.py",
    "tests/test_without_opencv.py",
    "tests/attribution/test_networks.py",
    "tests/explanation/test_runner.py",
    "tests/localization",
    "tests/models/test_loading.py",
    "tests/regions",
    "tests/report/test_drawing.py",
    "tests/report/test_report.py",
    "tests/utils",
    "tests/video/test_geometry.py",
    "tests/video/test_reading.py",
    "tests/video/test_resizing.py",
)
"""What differs between versions: imports, files, arrays, drawing; the rest is tested by `make test`."""


@nox.session(python=["3.10", "3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """The newest versions that pip chooses."""
    session.install("--editable", EXTRAS, *TEST_TOOLS)
    session.run("pytest", "-m", "not heavy", *(session.posargs or QUICK))


@nox.session(python="3.10", venv_backend="uv")
def lowest(session: nox.Session) -> None:
    """The lowest versions of what glocal asks for, which only uv chooses."""
    session.install("--resolution", "lowest-direct", "--editable", EXTRAS, *TEST_TOOLS)
    session.run("pytest", "-m", "not heavy", *(session.posargs or QUICK))
