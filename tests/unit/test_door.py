"""A process that was asked to end ends, also where the kernel lets nobody but root turn newcomers away."""

from __future__ import annotations

import socket

import pytest
from granian._granian import ListenerSpec

from matrix_app.up import door
from matrix_app.up.door import DoorServer


class Strict(socket.socket):
    def setsockopt(self, *_: object) -> None:
        raise PermissionError(1, "Operation not permitted")


def test_a_kernel_that_refuses_the_filter_does_not_keep_the_server_from_ending(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = DoorServer.__new__(DoorServer)
    server._shd = ListenerSpec("127.0.0.1", 0, 8).build()
    monkeypatch.setattr(door.socket, "socket", Strict)

    server.turn_away()
    monkeypatch.undo()

    with pytest.raises(OSError, match=r"not a socket|non-socket"):  # the kept copy is gone all the same
        socket.socket(fileno=server._shd.get_fd())
