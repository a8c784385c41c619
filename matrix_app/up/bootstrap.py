"""Make .venv and install the locked packages, with any Python and nothing but its standard library.

Run by the Makefile before anything else: `python3 matrix_app/up/bootstrap.py [dev]`. It must parse on old
versions of Python, to say that they are too old. Packages are only touched when the lock files changed. A set
once asked for stays: `make run` after `make test` does not take the tests' packages away.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time

OLDEST = (3, 11)
NEWEST = (3, 13)
DISK_FREE_MB_MIN = 1500

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VENV = os.path.join(ROOT, ".venv")
STAMP = os.path.join(VENV, "matrix.json")
LOCKS = {
    "run": ["requirements.txt"],
    "dev": ["requirements-dev.txt"],
}
MODEL = "requirements-model.txt"

COMMAND = """#!{python}
import sys

from matrix_app.cli import main

sys.exit(main())
"""


def fail(sentence):
    sys.stderr.write("matrix: %s\n" % sentence)
    sys.exit(1)


def main(wanted):
    use_a_fitting_python()
    stamp = read_stamp()
    sets = sorted({"run"} | set(wanted) | set(stamp.get("sets", [])) | sets_found())
    digest = lock_digest(sets)
    if stamp.get("digest") == digest:
        return
    check_room()
    with open(VENV + ".lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two copies started at once: the second finds the work done
        if read_stamp().get("digest") == digest:
            return
        if not has_our_python():
            make_venv()
        install(sets)
        write_command()
        with open(STAMP, "w") as file:
            json.dump({"sets": sets, "digest": digest}, file)


def use_a_fitting_python():
    """Go on with this Python if it fits, else start again with one that does."""
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        other = shutil.which("python3.%d" % minor)
        if other and subprocess.call([other, "-c", ""], stderr=subprocess.DEVNULL) == 0:
            os.execv(other, [other, *sys.argv])
    fail(
        "This is Python %d.%d, and %d.%d to %d.%d is needed: install one, or name it, "
        "as in `make run PYTHON=/path/to/python3.12`." % (sys.version_info[:2] + OLDEST + NEWEST)
    )


def read_stamp():
    try:
        with open(STAMP) as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def sets_found():
    """Sets that somebody installed by hand, as far as their tools show."""
    return {"dev"} if os.path.exists(os.path.join(VENV, "bin", "pytest")) else set()


def lock_digest(sets):
    digest = hashlib.sha256(sys.version.encode())
    for name in [lock for kind in sets for lock in LOCKS[kind]] + [MODEL, "requirements-uv.txt"]:
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def check_room():
    if not os.access(ROOT, os.W_OK):
        fail("%s cannot be written: run as its owner, or copy it to a folder of yours." % ROOT)
    free_mb = shutil.disk_usage(ROOT).free // 1000000
    if free_mb < DISK_FREE_MB_MIN:
        fail(
            "%d MB are free in %s and %d are needed to install: make room."
            % (free_mb, ROOT, DISK_FREE_MB_MIN)
        )


def has_our_python():
    """Whether .venv is complete and made with the Python that runs this."""
    python = os.path.join(VENV, "bin", "python")
    asked = "import sys, pip; print(sys.version)"
    try:
        theirs = subprocess.check_output([python, "-c", asked], stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return False
    return theirs.decode().strip() == sys.version


def make_venv():
    step(
        "making .venv",
        [sys.executable, "-m", "venv", "--clear", VENV],
        "`python3 -m venv` does not work here: install it (Debian, Ubuntu: apt-get install python3-venv).",
    )


def install(sets):
    python = os.path.join(VENV, "bin", "python")
    uv = os.path.join(VENV, "bin", "uv")
    offline = "The packages could not be installed, see above: is the package index reachable, the disk full?"
    if not is_pinned_uv(uv):
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        step("installing uv", [*pip, "-r", os.path.join(ROOT, "requirements-uv.txt")], offline)
    command = [uv, "pip", "sync", "--quiet", "--python", python, "--require-hashes"]
    command += [os.path.join(ROOT, lock) for kind in sets for lock in LOCKS[kind]]
    command += [os.path.join(ROOT, MODEL), os.path.join(ROOT, "requirements-uv.txt")]
    step("installing packages", command, offline)


def is_pinned_uv(uv):
    with open(os.path.join(ROOT, "requirements-uv.in")) as file:
        pinned = file.read().split("uv==")[1].split()[0]
    try:
        return subprocess.check_output([uv, "--version"]).decode().split()[1] == pinned
    except (OSError, subprocess.CalledProcessError, IndexError):
        return False


def write_command():
    """The `matrix` command, and the path to our packages: what an editable install would write."""
    python = os.path.join(VENV, "bin", "python")
    asked = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    packages = subprocess.check_output([python, "-c", asked]).decode().strip()
    with open(os.path.join(packages, "matrix.pth"), "w") as file:
        file.write(ROOT + "\n")
    command = os.path.join(VENV, "bin", "matrix")
    with open(command, "w") as file:
        file.write(COMMAND.format(python=python))
    os.chmod(command, 0o755)  # noqa: S103


def step(name, command, sentence):
    began = time.time()
    sys.stdout.write("  %-34s" % name)
    sys.stdout.flush()
    done = subprocess.run(command, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        sys.stdout.write("failed\n")
        fail(sentence)
    sys.stdout.write("%6.1f s\n" % (time.time() - began))


if __name__ == "__main__":
    main(sys.argv[1:])
