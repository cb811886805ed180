"""`python -m sandbox`: the outside world as one process in the foreground."""

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox.events import Events
from sandbox.faults import SpecError, parse_spec
from sandbox.server import PortTakenError, serve
from sandbox.trail import TrailError
from sandbox.world import HomeTakenError, World


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    made = argparse.ArgumentParser(
        prog="sandbox", description="Ticketing, e-mail and billing with audit trails, and faults on demand."
    )
    made.add_argument("--port", type=int, default=8091, help="port (8091); 0 takes a free one, see sandbox.json")
    made.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    made.add_argument(
        "--faults", default="", metavar="SPEC", help="[tool:]kind[=value][@probability][*times],… and seed=N"
    )
    made.add_argument(
        "--event-url", metavar="URL", help="where completion events of accept_202 go ($SANDBOX_EVENT_URL)"
    )
    made.add_argument(
        "--event-secret",
        metavar="SECRET",
        help="whsec_…, which signs them ($SANDBOX_EVENT_SECRET keeps it off the list of processes)",
    )
    made.add_argument("--home", type=Path, help="where the trails are ($COUNTERFOIL_HOME/sandbox)")
    return made


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run; 0 after SIGTERM, 2 with one line on stderr when it cannot start."""
    options = parser().parse_args(arguments)
    home = options.home or Path(environ.get("COUNTERFOIL_HOME") or ".counterfoil") / "sandbox"
    try:
        drain_s = _drain_s(environ)
        world = World(home, parse_spec(options.faults), _events(options, environ))
        try:
            asyncio.run(serve(world, options.host, options.port, drain_s=drain_s))
        finally:
            world.close()
    except (SpecError, TrailError, HomeTakenError, PortTakenError, OSError, ValueError, OverflowError) as error:
        sys.stderr.write(f"sandbox: {error}\n")
        return 2
    return 0


def _events(options: argparse.Namespace, environ: Mapping[str, str]) -> Events | None:
    url = options.event_url or environ.get("SANDBOX_EVENT_URL")
    secret = options.event_secret or environ.get("SANDBOX_EVENT_SECRET")
    if bool(url) != bool(secret):
        raise ValueError("--event-url and --event-secret go together")
    return Events(url, secret) if url and secret else None


def _drain_s(environ: Mapping[str, str]) -> float:
    said = environ.get("DRAIN_S") or "2"
    try:
        drain_s = float(said)
    except ValueError:
        drain_s = -1.0
    if not 0 <= drain_s < 86400:
        raise ValueError(f"DRAIN_S is {said!r}: wanted a number of seconds")
    return drain_s


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
