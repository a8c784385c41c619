"""Variables that Reflex reads before it is imported. Anything that imports Reflex calls this first."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def work_dir() -> Path:
    """Where Reflex writes the compiled pages' sources and keeps node_modules."""
    return Path(os.environ.get("REFLEX_WEB_WORKDIR") or ROOT / ".web").absolute()


def prepare(web_dir: Path) -> None:
    """Point Reflex at `web_dir`, at Node from the virtual environment, and away from the network.

    Also enters the project's folder, which Reflex takes for the app's root.
    """
    os.chdir(ROOT)
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    binaries = str(Path(sys.executable).parent)
    if binaries not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([binaries, os.environ.get("PATH", os.defpath)])
    os.environ |= {
        "REFLEX_WEB_WORKDIR": str(web_dir),
        "REFLEX_DIR": str(work_dir() / ".reflex"),
        "REFLEX_ENV_MODE": "prod",
        "REFLEX_USE_NPM": "1",
        "REFLEX_TELEMETRY_ENABLED": "false",
        "REFLEX_CHECK_LATEST_VERSION": "false",
    }
