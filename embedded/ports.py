"""Free ports of 127.0.0.1, remembered in the state folder so that a second start uses the same addresses."""

from __future__ import annotations

import json
import secrets
import socket
from pathlib import Path

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 15_000
_TRIES = 50


def free_port() -> int:
    """A port nobody listens on at this moment.

    Below those that the system gives to outgoing connections, where it tells which they are: one of those may be gone
    again before a server listens on it.
    """
    highest = _lowest_ephemeral() - 1
    for _ in range(_TRIES if highest > _LOWEST else 0):
        port = _LOWEST + secrets.randbelow(highest - _LOWEST)
        if is_free(port):
            return port
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        given: int = probe.getsockname()[1]
        return given


def _lowest_ephemeral() -> int:
    try:
        return int(_EPHEMERAL.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):  # not Linux
        return 0


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """True when a server could listen on `port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a connection in TIME_WAIT is no listener
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def remembered_ports(memory: Path, names: list[str]) -> dict[str, int]:
    """A free port for each name: the one in `memory` (a JSON file) while it is free, else another, written back."""
    known: dict[str, int] = {}
    if memory.exists():
        read = json.loads(memory.read_text(encoding="utf-8"))
        known = {name: port for name, port in read.items() if isinstance(port, int)}
    chosen: dict[str, int] = {}
    for name in names:
        port = known.get(name)
        while port is None or port in chosen.values() or not is_free(port):
            port = free_port()
        chosen[name] = port
    if known != chosen:
        memory.parent.mkdir(parents=True, exist_ok=True)
        memory.write_text(json.dumps(chosen, indent=2) + "\n", encoding="utf-8")
    return chosen
