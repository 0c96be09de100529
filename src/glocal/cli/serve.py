"""`glocal serve`: the web page, and its JSON API."""

import ipaddress
import os
import socket
from pathlib import Path

import click

from glocal.cli.app import say
from glocal.cli.options import common_options
from glocal.errors import UsageError
from glocal.server.job import Offer
from glocal.server.limits import Limits
from glocal.utils.optional_import import optional_import

NEEDED = ("fastapi", "uvicorn", "python_multipart")
CONNECTIONS = 512
"""At the same time; one more is told to come back later."""

POSITIVE = click.FloatRange(0, min_open=True)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: a free one.")
@click.option(
    "--name",
    "names",
    multiple=True,
    help="A host name under which the server is reached, such as that of a proxy; may be given again.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME[=WEIGHTS]",
    help="A model to offer, see 'glocal models', or the weights of 'glocal train'; may be given again. "
    "[default: the trained ones that come with glocal]",
)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1 …")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Jobs at a time.")
@click.option("--queue", type=click.IntRange(1), default=20, show_default=True, help="Jobs that may wait.")
@click.option(
    "--rate", type=click.IntRange(1), default=30, show_default=True, help="Jobs a minute and client."
)
@click.option("--megabytes", type=POSITIVE, default=100, show_default=True, help="Of a clip.")
@click.option("--seconds", type=POSITIVE, default=60, show_default=True, help="Of a clip.")
@click.option("--megapixels", type=POSITIVE, default=9, show_default=True, help="Of a frame.")
@click.option("--memory", type=POSITIVE, default=8, show_default=True, help="Gigabytes for a job.")
@click.option("--minutes", type=POSITIVE, default=10, show_default=True, help="For a job.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("out/serve"),
    show_default=True,
    help="Folder that keeps the results; made if need be.",
)
@common_options
def serve(
    host: str,
    port: int,
    names: tuple[str, ...],
    models: tuple[str, ...],
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
    """Open a web page where clips are uploaded and explained, and a JSON API for the same."""
    for module in NEEDED:
        optional_import(module, extra="serve", purpose="'glocal serve'")
    import uvicorn

    from glocal.server.app import create_app
    from glocal.server.catalog import open_stock

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
    listening = listen(host, port)
    try:
        stock = open_stock(offers(models), device, limits)
        app = create_app(out.absolute(), stock, limits, workers, device, known_as(host, names))
        url = address(listening)
        if not is_loopback(host):
            say(f"{host} is not loopback: whoever can reach this machine can give it work.")
        if untrained := [row["name"] for row in stock["models"] if row["weights"] == "random"]:
            say(f"{', '.join(untrained)} has random weights, so what it sees means nothing; see --model.")
        listening.listen()
        if not quiet:
            click.echo(f"{url} explains clips; results are kept in {out}. Ctrl-C ends it.")
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,  # addresses of results are secrets
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=5,
            server_header=False,
        )
        uvicorn.Server(config).run([listening])
    finally:
        listening.close()
    return 0


def offers(models: tuple[str, ...]) -> list[Offer]:
    """The models of `--model`.

    Raises:
        UsageError: two of them would have the same name in the page.
    """
    found = [Offer(name, weights or None) for name, _, weights in (model.partition("=") for model in models)]
    keys = [offer.key for offer in found]
    for key in keys:
        if keys.count(key) > 1:
            raise UsageError(f"two models are called '{key}'; rename the file of one of them.")
    return found


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound.

    Raises:
        UsageError: the address is not this machine's, or the port is taken.
    """
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(where)
    except OSError as error:
        raise UsageError(
            f"{host}:{port} cannot be listened at ({error.strerror}); choose another --host or --port."
        ) from None
    return listening


def address(listening: socket.socket) -> str:
    """Where a browser finds the page."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def known_as(host: str, names: tuple[str, ...]) -> set[str]:
    """The host names that a request may ask for; empty for any."""
    if is_loopback(host):
        return {"localhost", "127.0.0.1", "::1", host, *names}
    return {"localhost", "127.0.0.1", "::1", host, *names} if names else set()
