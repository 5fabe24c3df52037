"""`tidegate serve`: run the gate in the foreground."""

import sys

import click


@click.command()
@click.option("--host", help="Address to listen on. [env TIDEGATE_HOST; default 127.0.0.1]")
@click.option(
    "--port", type=int, help="Port to listen on, 0 for a free one. [env TIDEGATE_PORT; default 8000]"
)
@click.option(
    "--workers", type=int, help="Processes that take transactions in. [env TIDEGATE_WORKERS; default 1]"
)
@click.option(
    "--log-format", type=click.Choice(["auto", "json", "console"]), help="[env TIDEGATE_LOG_FORMAT]"
)
@click.option(
    "--insecure", is_flag=True, help="Listen beyond loopback although not all access needs a token."
)
def serve(insecure: bool, **given: object) -> None:
    """Run the gate until Ctrl-C or SIGTERM; all else is set by TIDEGATE_… variables."""
    from app.serve import serve as run  # noqa: PLC0415  heavy, and only this command needs it

    sys.exit(run({name: value for name, value in given.items() if value is not None}, insecure))
