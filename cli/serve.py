"""`launch.py serve`: the app in a browser."""

import argparse
import os
import socket
from typing import Any, TextIO

from core.errors import BadRequest


def run(args: argparse.Namespace, stdout: TextIO) -> dict[str, Any]:
    """Serve until interrupted.

    Raises: BadRequest where the address cannot be listened on, BadCheckpoint.
    """
    check_address(args.host, args.port)
    from app.ui import serve
    from core.engine import Engine
    from core.pictures.limits import Limits

    limits = Limits(args.max_megapixels * 10**6)
    engine = Engine.load(args.model, args.device)
    try:
        serve(engine, args.host, args.port, args.share, args.auth, limits=limits)
    except OSError as error:  # taken meanwhile
        raise _taken(args.host, args.port, error) from error
    return {}


def check_address(host: str, port: int) -> None:
    """Raises: BadRequest if nothing can listen there, now rather than after a model was loaded."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            if os.name == "posix":  # elsewhere it would take a port from whoever has it
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that no host can have
        raise _taken(host, port, error) from error


def _taken(host: str, port: int, error: Exception) -> BadRequest:
    reason = getattr(error, "strerror", None)
    told = f" ({reason})" if reason else ""
    return BadRequest(f"The app cannot listen on {host}, port {port}{told}; choose another --host or --port.")
