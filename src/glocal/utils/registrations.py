"""Read from their source, without importing them, what the modules of a package register by name.

Modules that define networks and methods import PyTorch, which takes seconds. A command that only lists names,
or has them in its `--help`, reads the calls that register them.
"""

import ast
import contextlib
from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple

ROOT: Path = Path(__file__).parents[1]
"""Folder of the package `glocal`."""


class Registration(NamedTuple):
    """One call that registers something by name.

    Attributes:
        function: that is called.
        name: of the entry.
        facts: the other arguments of the call that are constants, by keyword.
        options: parameter → default of the function that is decorated.
    """

    function: str
    name: str
    facts: dict[str, Any]
    options: dict[str, Any]


def registrations(path: str, *functions: str) -> list[Registration]:
    """Return what the modules register, in the order of their registry: by module, then by line.

    Args:
        path: of a folder of modules or of one module, relative to `glocal`, such as `"attribution/methods"`.
        functions: that register, as they are written there: `"input_method"` or `"EXPORTS.register"`. The
            name is their first argument, or the argument `name=` of the entry that is their first argument.

    Raises:
        ValueError: a name, or the default of an option, is no constant.
    """
    source = ROOT / path
    files = sorted(source.glob("*.py"), key=lambda file: file.stem) if source.is_dir() else [source]
    return [entry for file in files for entry in _registrations_in(file, functions)]


def registered_names(path: str, *functions: str, group: str) -> list[str] | None:
    """Return the names of `registrations`; None if another package adds some by an entry point of `group`.

    It is None too if a name is no constant, so that only an import tells it.
    """
    if entry_points(group=group):
        return None
    try:
        return [registration.name for registration in registrations(path, *functions)]
    except ValueError:
        return None


def defaults_of(path: str, function: str) -> dict[str, Any]:
    """Return parameter → default of a function at the top level of a module.

    Args:
        path: of the module, relative to `glocal`.
        function: its name.

    Raises:
        ValueError: a default is no constant.
    """
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    definitions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    return _defaults(definitions[function], {})


def constants_of(path: str, *names: str) -> tuple[Any, ...]:
    """Return the values of constants of a module.

    Args:
        path: of the module, relative to `glocal`.
        names: of the constants, which it assigns at its top level.

    Raises:
        KeyError: the module assigns no constant of that name.
    """
    constants = _constants_in(ast.parse((ROOT / path).read_text(encoding="utf-8")).body)
    return tuple(constants[name] for name in names)


def _registrations_in(file: Path, functions: tuple[str, ...]) -> Iterator[Registration]:
    body = ast.parse(file.read_text(encoding="utf-8")).body
    constants = _constants_in(body)
    for statement in body:
        calls: list[ast.expr] = [statement.value] if isinstance(statement, ast.Expr) else []
        options: dict[str, Any] = {}
        if isinstance(statement, ast.FunctionDef):
            calls = [call for call in statement.decorator_list if _is_call(call, functions)]
            options = _defaults(statement, constants) if calls else {}
        for call in calls:
            if isinstance(call, ast.Call) and _is_call(call, functions):
                yield _registration(call, options, constants)


def _constants_in(body: Sequence[ast.stmt]) -> dict[str, Any]:
    """Name → value of the constants that a module assigns, or imports from another module of the package."""
    constants: dict[str, Any] = {}
    for statement in body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
            constants |= _constants({ast.unparse(target): statement.value}, constants)
        elif isinstance(statement, ast.ImportFrom):
            names = {
                alias.name: alias.asname or alias.name for alias in statement.names if alias.name.isupper()
            }
            file = ROOT.parent.joinpath(*(statement.module or "").split(".")).with_suffix(".py")
            if names and file.is_file():
                there = _constants_in(ast.parse(file.read_text(encoding="utf-8")).body)
                constants |= {names[name]: value for name, value in there.items() if name in names}
    return constants


def _is_call(expression: ast.expr, functions: tuple[str, ...]) -> bool:
    return isinstance(expression, ast.Call) and ast.unparse(expression.func) in functions


def _registration(call: ast.Call, options: dict[str, Any], constants: dict[str, Any]) -> Registration:
    first, keywords = call.args[0], call.keywords
    arguments = {"name": first}
    if isinstance(first, ast.Call):
        arguments, keywords = {}, first.keywords
    arguments |= {keyword.arg: keyword.value for keyword in keywords if keyword.arg}
    facts = _constants(arguments, constants)
    if "name" not in facts:
        raise ValueError(f"{ast.unparse(call)} registers a name that is no constant")
    return Registration(ast.unparse(call.func), facts.pop("name"), facts, options)


def _defaults(function: ast.FunctionDef, constants: dict[str, Any]) -> dict[str, Any]:
    arguments = function.args
    positional = arguments.args[len(arguments.args) - len(arguments.defaults) :]
    pairs = [
        *zip(positional, arguments.defaults, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    expressions = {argument.arg: default for argument, default in pairs if default is not None}
    values = _constants(expressions, constants)
    if len(values) < len(expressions):
        raise ValueError(f"a default of {function.name} is no constant")
    return values


def _constants(expressions: dict[str, ast.expr], constants: dict[str, Any]) -> dict[str, Any]:
    """Evaluate the expressions that are constants, or names of constants above them."""
    values: dict[str, Any] = {}
    for name, expression in expressions.items():
        if isinstance(expression, ast.Name) and expression.id in constants:
            values[name] = constants[expression.id]
            continue
        with contextlib.suppress(ValueError):
            values[name] = ast.literal_eval(expression)
    return values
