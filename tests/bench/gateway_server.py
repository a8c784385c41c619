"""API and gateway as a program that dies with its test; settings from MATRIX_* as usual."""

from __future__ import annotations

import signal

from matrix_app.up import garbage, serving
from services.core.settings import settings
from services.core.tether import tie_to_parent


def main() -> None:
    garbage.look_rarely()
    tie_to_parent(signal.SIGKILL)
    serving.api(settings())


if __name__ == "__main__":
    main()
