"""Ports and addresses, for people and for processes that must not collide."""

from __future__ import annotations

import socket
from typing import Final

from app.cli.errors import CommandError

TRIES: Final = 200
# Where to reach what listens everywhere; nothing is bound by it.
EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # nosec B104


def free_port_from(host: str, port: int) -> int:
    """The first port from `port` on that can be listened at; 0 asks for any. Raises `CommandError`."""
    if port == 0:
        with listening_socket(host) as probe:
            probe.bind((host, 0))
            return int(probe.getsockname()[1])
    for candidate in range(port, min(port + TRIES, 65536)):
        if is_free(host, candidate):
            return candidate
    raise CommandError(f"no free port at {host} from {port} on")


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    with listening_socket(host) as probe:
        try:
            probe.bind((host, port))
            probe.listen(1)
        except PermissionError:
            raise CommandError(f"{host}:{port} is not for this user: choose a PORT of 1024 or more") from None
        except socket.gaierror as error:
            raise CommandError(f"HOST {host!r} is no address of this machine: {error.strerror}") from None
        except OSError:
            return False
    return True


def listening_socket(host: str) -> socket.socket:
    """A socket with the options that gunicorn sets, so that both agree on what is free."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return made


def shown_host(host: str) -> str:
    """Where to reach a server that listens at `host` from this machine."""
    return EVERYWHERE.get(host, host)


def url_of(host: str, port: int) -> str:
    """The address of a server, without a slash at its end."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
