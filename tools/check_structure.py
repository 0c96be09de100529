"""Check the shape of the package: class names, file lengths, import circles and help texts.

`python tools/check_structure.py` prints one line for each problem and exits with 1 if there is any; with
`--summary` it prints the figures of the import graph.
"""

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"
LONGEST_FILE = 400
SENTENCE = re.compile(r"(?!Of |As |See )[A-Z0-9].*\.( +\[default: .*\])?", re.DOTALL)
"""A help text: what an option is or does, with its default behind it where there is one to tell."""
Graph = Mapping[str, set[str]]


def modules() -> dict[str, ast.Module]:
    """Parse every module of the package, by dotted name."""
    return {
        ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): ast.parse(
            path.read_text(encoding="utf-8")
        )
        for path in sorted(SOURCE.rglob("*.py"))
    }


def classes_defined_twice(trees: Mapping[str, ast.Module]) -> Iterator[str]:
    """Yield a problem for each class name that two modules define."""
    homes: dict[str, list[str]] = defaultdict(list)
    for module, tree in trees.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                homes[node.name].append(module)
    for name, places in homes.items():
        if len(places) > 1:
            yield f"class {name} is defined {len(places)} times: {', '.join(places)}"


def long_files() -> Iterator[str]:
    """Yield a problem for each source file above the longest length allowed."""
    for path in sorted(SOURCE.rglob("*.py")):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > LONGEST_FILE:
            yield f"{path.relative_to(SOURCE)} has {lines} lines; at most {LONGEST_FILE} are allowed"


def import_graph(trees: Mapping[str, ast.Module], typing: bool) -> dict[str, set[str]]:
    """Map each module to those it imports when it is imported; with `typing`, for type checkers too."""
    graph: dict[str, set[str]] = {}
    for module, tree in trees.items():
        imported = {target for node in _imports(tree, typing) for target in _targets(node, trees)}
        graph[module] = imported - {module}
    return graph


def _imports(node: ast.AST, typing: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from _imports(child, typing) if typing else ()
        elif not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _imports(child, typing)


def _targets(node: ast.Import | ast.ImportFrom, known: Mapping[str, object]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    else:
        submodules = [f"{node.module}.{alias.name}" for alias in node.names]
        names = [name if name in known else node.module or "" for name in submodules]
    yield from (name for name in names if name in known)


def circles(graph: Graph) -> list[list[str]]:
    """Return the groups of modules that import each other (Tarjan's strongly connected components)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(module: str) -> None:
        order[module] = lowest[module] = len(order)
        stack.append(module)
        for target in sorted(graph[module]):
            if target not in order:
                visit(target)
            if target in stack:
                lowest[module] = min(lowest[module], lowest[target])
        if lowest[module] == order[module]:
            start = stack.index(module)
            groups.append(sorted(stack[start:]))
            del stack[start:]

    for module in sorted(graph):
        if module not in order:
            visit(module)
    return [group for group in groups if len(group) > 1]


def rooms(graph: Graph) -> dict[str, set[str]]:
    """Merge the modules of each subpackage of glocal into one node."""
    merged: dict[str, set[str]] = defaultdict(set)
    for module, targets in graph.items():
        merged[_room(module)] |= {_room(target) for target in targets} - {_room(module)}
    return dict(merged)


def _room(module: str) -> str:
    return ".".join(module.split(".")[:2])


def unclear_help_texts(trees: Mapping[str, ast.Module]) -> Iterator[str]:
    """Yield a problem for each help text that is not a sentence: a capital, a subject, a full stop."""
    helps = (
        (module, node.value)
        for module, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "help" and isinstance(node.value, ast.Constant)
    )
    for module, text in helps:
        if not SENTENCE.fullmatch(str(text.value)):
            yield f"{module}:{text.lineno}: help text {text.value!r} is not a sentence"


def problems() -> Iterator[str]:
    """Yield every problem of the package, one line each."""
    trees = modules()
    yield from classes_defined_twice(trees)
    yield from long_files()
    graph = import_graph(trees, typing=True)
    for group in circles(graph) + circles(rooms(graph)):
        yield f"import circle: {', '.join(group)}"
    yield from unclear_help_texts(trees)


def summary() -> None:
    """Print the figures of the import graph."""
    trees = modules()
    for title, typing in (("at import time", False), ("for type checkers too", True)):
        graph = import_graph(trees, typing)
        between = rooms(graph)
        print(
            f"imports {title}: {len(graph)} modules, {sum(map(len, graph.values()))} arrows, "
            f"{len(circles(graph))} circles; {len(between)} rooms, {sum(map(len, between.values()))} arrows, "
            f"circles of rooms: {circles(between) or 'none'}"
        )


def main() -> int:
    """Print the problems, or the summary, and return the exit status."""
    if "--summary" in sys.argv[1:]:
        summary()
        return 0
    lines = list(problems())
    print("\n".join(lines) or "no problems of structure")
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main())
