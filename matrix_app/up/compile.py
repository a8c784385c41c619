"""The two steps of Reflex's production build, each run as `python -m matrix_app.up.compile <step>`."""

import json
import os
import signal
import subprocess
import sys

from matrix_app.up import garbage, reflex_environment


def main(step: str) -> None:
    """Run `compile` (Python to React sources, npm packages) or `bundle` (Vite) in the working folder."""
    garbage.look_rarely()
    # We lead our session: npm and Vite end with us when whoever started us was killed.
    signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGKILL))
    reflex_environment.prepare(reflex_environment.work_dir())
    # A lock file that names a registry would send every later install there.
    os.environ["NPM_CONFIG_OMIT_LOCKFILE_REGISTRY_RESOLVED"] = "true"
    # Reflex would else measure which public registry is nearest, and use that instead of the one set up here.
    os.environ.setdefault("NPM_CONFIG_REGISTRY", _npm_registry())
    {"compile": _compile, "bundle": _bundle}[step]()


def _npm_registry() -> str:
    npm = ["npm", "config", "get", "registry"]
    return subprocess.run(npm, capture_output=True, text=True, check=True).stdout.strip()


def _compile() -> None:
    from reflex.utils import build, prerequisites

    if prerequisites.needs_reinit():
        prerequisites.initialize_reflex_user_directory()
        prerequisites.initialize_frontend_dependencies()
    prerequisites.get_compiled_app(prerender_routes=True, use_rich=False, trigger="export")
    build.setup_frontend(reflex_environment.ROOT)
    _sort_lock()


def _sort_lock() -> None:
    """Write package.json in one order: npm's differs each time, which would change our file."""
    path = reflex_environment.ROOT / "reflex.lock" / "package.json"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=2, sort_keys=True) + "\n")


def _bundle() -> None:
    from reflex.utils import build

    build.build()


if __name__ == "__main__":
    main(sys.argv[1])
