"""The socket that a server listens on, so that it can be closed to new callers before it is closed at all.

Whoever has been let in by the kernel and not yet by the server is thrown out when a listening socket is closed: a
caller sees its request fail, and may not know whether to send it again. So newcomers are turned away first. Their
systems try again within a second, and are then refused at once, which every balancer takes for "ask the next".
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
import sys
from pathlib import Path

from granian._granian import ListenerSpec
from granian.server.embed import Server

_SO_ATTACH_FILTER = 26  # of Linux; the module `socket` does not name it
# Of TCP packets to the listening socket, those that would begin a connection are dropped: flags SYN without ACK.
_LOAD_FLAGS, _AND, _IF_EQUAL, _RETURN = 0x30, 0x54, 0x15, 0x06
_SYN, _SYN_AND_ACK, _FLAGS_AT = 0x02, 0x12, 13
_PROGRAM = (
    (_LOAD_FLAGS, 0, 0, _FLAGS_AT),
    (_AND, 0, 0, _SYN_AND_ACK),
    (_IF_EQUAL, 0, 1, _SYN),
    (_RETURN, 0, 0, 0),
    (_RETURN, 0, 0, 0xFFFFFFFF),
)
# Where Linux tells of its TCP sockets, and the states in which a caller may be sending: connected, and nearly so.
_SOCKETS = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_ESTABLISHED, _SYN_RECEIVED = "01", "03"


class DoorServer(Server):
    """granian's server with a hold on its own socket. It binds as granian does where there is no SO_REUSEPORT."""

    def _init_shared_socket(self) -> None:
        self._shd = ListenerSpec(self.bind_addr, self.bind_port, self.backlog).build()
        self._ssp = None

    def turn_away(self) -> None:
        """Let nobody new in; who is in, or waits to be let in, stays. Once stopped, newcomers are refused.

        The server owns the socket and closes it when it stops. Taken away from it before, it would ask for callers on
        and on, and never hear that it should stop.
        """
        if sys.platform != "linux":
            return
        with socket.socket(fileno=os.dup(self._shd.get_fd())) as door:
            program = b"".join(struct.pack("HBBI", *step) for step in _PROGRAM)
            kept = ctypes.create_string_buffer(program)
            described = struct.pack("HP", len(_PROGRAM), ctypes.addressof(kept))
            # Kernels may keep filters for root. Ending matters more: a caller who comes in at the last moment is
            # then told by a reset connection, and a balancer asks the next.
            with contextlib.suppress(PermissionError):
                door.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)

    def connected(self) -> bool:
        """Whether anybody is connected to our port, let in already or waiting for it. True where no kernel tells."""
        tables = [table.read_text().splitlines()[1:] for table in _SOCKETS if table.exists()]
        if not tables:
            return True
        port = f":{self.bind_port:04X}"
        sockets = (line.split(maxsplit=4) for table in tables for line in table)
        return any(
            own.endswith(port) and state in (_ESTABLISHED, _SYN_RECEIVED) for _, own, _, state, _ in sockets
        )
