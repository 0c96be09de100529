"""`glocal serve`: run the web server and its JSON API."""

import ipaddress
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from glocal.cli.app import say
from glocal.cli.options import ModelChoice, common_options, model_choice_options
from glocal.errors import InputError, UsageError
from glocal.models.source import ModelSource
from glocal.server.job import OfferedModel
from glocal.server.limits import Limits
from glocal.utils.files import make_folder, printable
from glocal.utils.optional_import import optional_import

REQUIRED_MODULES = ("fastapi", "uvicorn", "python_multipart")
POSITIVE = click.FloatRange(0, min_open=True)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="Port to listen on; 0 selects a free one.",
)
@click.option(
    "--allow-host",
    "--name",
    "names",
    multiple=True,
    metavar="NAME",
    help="Name by which browsers may address the server, such as that of a proxy; may be repeated.  "
    "[default: the address itself, and the machine's name]",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME[=WEIGHTS]",
    help="Model to offer: a name of 'glocal models', weights of 'glocal train', or a model of your own as "
    "'glocal explain' takes it; may be repeated.  "
    "[default: efficientnet-lite0 if its weights are installed, and the packaged trained models]",
)
@model_choice_options("labels", "outputs", "clip")
@click.option("--device", default="cpu", show_default=True, help="Device of the models: cpu, cuda, cuda:1 ….")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Jobs that run at the same time.",
)
@click.option(
    "--queue", type=click.IntRange(1), default=20, show_default=True, help="Jobs that may wait in the queue."
)
@click.option(
    "--rate", type=click.IntRange(1), default=30, show_default=True, help="Jobs per minute for each client."
)
@click.option("--megabytes", type=POSITIVE, default=100, show_default=True, help="Maximum size of a clip.")
@click.option("--seconds", type=POSITIVE, default=60, show_default=True, help="Maximum length of a clip.")
@click.option("--megapixels", type=POSITIVE, default=9, show_default=True, help="Maximum size of a frame.")
@click.option(
    "--memory", type=POSITIVE, default=8, show_default=True, help="Gigabytes of memory for each job."
)
@click.option("--minutes", type=POSITIVE, default=10, show_default=True, help="Maximum duration of a job.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("out/serve"),
    show_default=True,
    help="Folder of the results; created if it is missing.",
)
@common_options
def serve(
    host: str,
    port: int,
    names: tuple[str, ...],
    models: tuple[str, ...],
    model_choice: ModelChoice,
    device: str,
    workers: int,
    queue: int,
    rate: int,
    megabytes: float,
    seconds: float,
    megapixels: float,
    memory: float,
    minutes: float,
    out: Path,
    quiet: bool,
    debug: bool,
) -> int:
    """Run a web server: a page where clips are uploaded and explained, and a JSON API."""
    for module in REQUIRED_MODULES:
        optional_import(module, extra="serve", purpose="'glocal serve'")
    import uvicorn

    from glocal.server.app import create_app
    from glocal.server.catalog import open_catalog
    from glocal.server.connections import GuardedProtocol, StoppableServer, max_connections
    from glocal.server.records import lock_folder

    limits = Limits(
        bytes=int(megabytes * 2**20),
        seconds=seconds,
        frames=int(seconds * 60) + 1,
        pixels=int(megapixels * 1e6),
        waiting=queue,
        rate=rate,
        memory=int(memory * 2**30),
        wall=minutes * 60,
        cpu=int(minutes * 60) * (os.cpu_count() or 1) + 1,
        threads=max(1, (os.cpu_count() or 1) // workers),
    )
    connections = max_connections(workers)
    listening = listen(host, port)
    lock = None
    try:
        offered = offered_models(models, model_choice)
        lock = lock_folder(out)
        make_folder(out / "samples")
        catalog = open_catalog(offered, device, limits)
        _warn(host, catalog)
        hosts = host_names(host, names)
        app = create_app(
            out.absolute(), catalog, limits, workers=workers, device=device, hosts=hosts, lock=lock
        )
        if not quiet:
            click.echo(
                f"{page_url(listening)} explains clips; results are in {printable(out)}. Ctrl-C stops it."
            )
        config = uvicorn.Config(
            app,
            http=GuardedProtocol,
            ws="none",
            log_level="error",
            access_log=False,  # addresses of results are secrets
            limit_concurrency=connections,
            timeout_graceful_shutdown=5,
            server_header=False,
        )
        StoppableServer(config).run([listening])
    finally:
        listening.close()
        if lock is not None:
            lock.close()
    return 0


def _warn(host: str, catalog: Mapping[str, Any]) -> None:
    """Warn of a server that other machines reach, and of models without trained weights."""
    if not is_loopback(host):
        say(f"{host} is not a loopback address: every machine that reaches this one can submit jobs.")
    for sentence in catalog["warnings"]:
        say(sentence)
    if untrained := [model["name"] for model in catalog["models"] if model["weights"] == "random"]:
        say(f"{', '.join(untrained)} has random weights, so its explanations mean nothing; see --model.")


def offered_models(models: tuple[str, ...], choice: ModelChoice) -> list[OfferedModel]:
    """Return the models of `--model NAME[=WEIGHTS]`, with absolute paths.

    Args:
        models: the values of `--model`.
        choice: labels, outputs and clip of the only one.

    Raises:
        UsageError: two of them have the same name in the page, or options of one model go with others.
    """
    if len(models) != 1 and choice != ModelChoice():
        raise UsageError(
            "--labels, --outputs and --clip are those of one --model; name one, or start a server for each."
        )
    offered = [_offered_model(model, choice) for model in models]
    keys = [model.key for model in offered]
    for key in keys:
        if keys.count(key) > 1:
            raise UsageError(f"two models are called '{key}'; rename the file of one of them.")
    return offered


def _offered_model(model: str, choice: ModelChoice) -> OfferedModel:
    name, _, weights = (model, "", "") if os.path.exists(model) else model.partition("=")
    source = ModelSource(
        name, weights or None, choice.labels, outputs=choice.outputs, clip=choice.clip
    ).absolute()
    return OfferedModel(
        source.name, source.weights, source.labels, source.outputs, source.clip, source.folder
    )


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address; connections wait until the server has started.

    Raises:
        InputError: the address is not one of this machine, or the port is in use.
    """
    try:
        family, kind, protocol, _, socket_address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(socket_address)
        listening.listen()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no such host"
        raise InputError(
            f"{host}:{port} cannot be listened on ({reason}); choose another --host or --port."
        ) from None
    return listening


def page_url(listening: socket.socket) -> str:
    """Return the address of the page."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def host_names(host: str, names: tuple[str, ...]) -> set[str]:
    """Return the host names that a request may use, beside the address at which it arrives.

    Args:
        host: on which the server listens.
        names: further ones, beside that of this machine if others reach it.
    """
    local = {"localhost", "127.0.0.1", "::1", host}
    machine = set() if is_loopback(host) else {socket.gethostname()}
    return {name.casefold() for name in (*local, *machine, *names)}
