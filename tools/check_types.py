"""Check that every public symbol of glocal has a known type, as users' type checkers see it.

`python tools/check_types.py` runs `pyright --verifytypes`, prints one line for each problem and exits with 1
if there is any.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def verify() -> dict[str, Any]:
    """Run pyright in the environment of this interpreter and return its report."""
    environment = Path(sys.prefix)
    variables = {
        **os.environ,
        "VIRTUAL_ENV": str(environment),
        "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",
    }
    command = [sys.executable, "-m", "pyright", "--ignoreexternal", "--verifytypes", "glocal", "--outputjson"]
    output = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if not output.stdout.lstrip().startswith("{"):
        sys.exit(f"pyright failed: {output.stdout}{output.stderr}")
    report: dict[str, Any] = json.loads(output.stdout)["typeCompleteness"]
    return report


def problems(report: dict[str, Any]) -> Iterator[str]:
    """Yield one line for each exported symbol whose type is unknown or ambiguous."""
    for symbol in report["symbols"]:
        if not symbol["isExported"] or (symbol["isTypeKnown"] and not symbol["isTypeAmbiguous"]):
            continue
        for diagnostic in symbol["diagnostics"]:
            message = " ".join(diagnostic["message"].split())
            if message.startswith("No docstring"):
                continue
            start = diagnostic.get("range", {}).get("start", {"line": 0})
            yield f"{diagnostic['file']}:{start['line'] + 1}: {symbol['name']}: {message}"


def main() -> int:
    """Print the problems and return the exit status."""
    report = verify()
    lines = sorted(set(problems(report)))
    print(*lines, sep="\n", end="\n" if lines else "")
    print(f"types of the public symbols: {100 * report['completenessScore']:.1f} % complete")
    return int(report["completenessScore"] < 1)


if __name__ == "__main__":
    sys.exit(main())
