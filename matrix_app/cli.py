"""The `matrix` command. Each process of the product is one of its commands; heavy imports wait for theirs."""

import argparse
import asyncio
import errno
import json
import sys
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError
from pydantic_settings import SettingsError

from matrix_app.up import garbage
from matrix_app.up.preflight import explain
from services.core.errors import MatrixError
from services.core.postgres import serving
from services.core.refusal import Refused
from services.core.settings import Settings, settings


def main(argv: list[str] | None = None) -> int:
    """Run one command; 1 and one sentence on standard error when it cannot be done."""
    garbage.look_rarely()
    arguments = _parser().parse_args(argv)
    command: Callable[[Settings, argparse.Namespace], None] = arguments.command
    try:
        command(settings(), arguments)
    except ValidationError as error:
        return _fail(explain(error))
    except SettingsError as error:
        return _fail(f"The settings are wrong ({error}): correct the environment.")
    except Refused as error:
        return _fail(str(error))
    except MatrixError as error:
        return _fail(f"{error.message} {error.next_step}".strip())
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = f" ({error.filename})" if error.filename else ""
        return _fail(f"The disk is full{where}: make room, or choose another folder with MATRIX_DATA_DIR.")
    except KeyboardInterrupt:
        return 130
    return 0


def _fail(sentence: str) -> int:
    sys.stderr.write(f"matrix: {sentence}\n")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="matrix", description="Run Matrix or one of its processes.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Callable[..., None], text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(command=command)
        return made

    up = add("up", _up, "start everything and keep it running")
    up.add_argument("--with-parent", action="store_true", help="stop when the process that started this ends")
    add("web", _web, "serve pages, API and gateway")
    add("api", _api, "serve API and gateway without pages")
    add("worker", _worker, "relay events, run jobs and schedules")
    add("model", _model, "serve the built-in model on the port of MATRIX_MODEL_URL")
    migrate = add("migrate", _migrate, "bring the database to the newest shape")
    migrate.add_argument(
        "--forget-lost-keys",
        action="store_true",
        help="go on with new keys: API keys, sessions and stored secrets made with the lost ones end",
    )
    operator = add(
        "operator", _operator, "make an account that runs this installation; asks for its password"
    )
    operator.add_argument("email")
    operator.add_argument("--name", help="as others see it")
    add("build", _build, "compile the pages if their sources changed")
    demo = add("demo", _demo, "show the demo's address, accounts and key")
    demo.add_argument("--json", action="store_true", help="for scripts")
    demo.add_argument("--load", action="store_true", help="load the demo data if it is not there")
    demo.add_argument(
        "--test-provider",
        type=_test_provider,
        action="append",
        default=[],
        metavar="NAME=URL",
        help="with --load: take play money through the test provider there",
    )
    doctor = add("doctor", _doctor, "look for what is wrong; ends with 1 when something is")
    doctor.add_argument("--json", action="store_true", help="for scripts")
    keys = add("keys", _keys, "show the keys that secrets are sealed with, or rotate them")
    keys.add_argument(
        "act",
        nargs="?",
        choices=("show", "rotate", "prepare"),
        default="show",
        help="rotate: make a new one, or go on with a rotation; prepare: only put the next one into the file",
    )
    _declare_backups(add)
    reset = add("reset", _reset, "delete this copy's data")
    reset.add_argument("--yes", action="store_true", help="do not ask")
    held = add("jobs", _jobs, "list the jobs that failed for good, or send them again")
    held.add_argument("--retry", type=_held_job, metavar="ID|all", help="send this one again, or all")
    return parser


def _declare_backups(add: Callable[[str, Callable[..., None], str], argparse.ArgumentParser]) -> None:
    made = add("backup", _backup, "back up the embedded database, the files and, if asked, the keys")
    made.add_argument("--to", type=Path, help="the backup folder, if not MATRIX_BACKUP_DIR")
    made.add_argument("--with-keys", action="store_true", help="put keys/master.json into it, encrypted")
    listed = add("backups", _backups, "show what can be restored")
    listed.add_argument(
        "--from", dest="source", type=Path, help="the backup folder, if not MATRIX_BACKUP_DIR"
    )
    restored = add("restore", _restore, "make a data folder from a backup, as it was at a moment")
    restored.add_argument(
        "--from", dest="source", type=Path, help="the backup folder, if not MATRIX_BACKUP_DIR"
    )
    restored.add_argument("--to", type=Path, required=True, help="the data folder to make")
    restored.add_argument("--at", help="the moment, as in 2026-10-11T09:30:00Z; without it the newest state")


def _up(chosen: Settings, arguments: argparse.Namespace) -> None:
    from matrix_app.up.up import up

    up(chosen, with_parent=arguments.with_parent)


def _web(chosen: Settings, _: argparse.Namespace) -> None:
    from matrix_app.up.serving import web

    web(chosen)


def _api(chosen: Settings, _: argparse.Namespace) -> None:
    from matrix_app.up.serving import api

    api(chosen)


def _worker(chosen: Settings, _: argparse.Namespace) -> None:
    import uvloop

    from matrix_app.worker.main import main as work

    uvloop.run(work(chosen))


def _model(chosen: Settings, _: argparse.Namespace) -> None:
    from matrix_app.model_server import main as serve

    serve(chosen)


def _migrate(chosen: Settings, arguments: argparse.Namespace) -> None:
    from matrix_app.up import schema

    with serving(chosen):
        if not schema.is_newest(chosen):
            from services.core import migrations, runtime

            migrations.migrate(runtime.urls(chosen)[0])
        if arguments.forget_lost_keys:
            schema.forget_keys(chosen)
        from matrix_app.furnishing import furnish

        asyncio.run(furnish(chosen))


def _operator(chosen: Settings, arguments: argparse.Namespace) -> None:
    from matrix_app.furnishing import add_operator

    with serving(chosen):
        asyncio.run(add_operator(chosen, email=arguments.email, name=arguments.name or arguments.email))
    sys.stdout.write(f"{arguments.email} may sign in at {chosen.public_url} and do everything there.\n")


def _backup(chosen: Settings, arguments: argparse.Namespace) -> None:
    from matrix_app.backup_commands import back_up

    back_up(chosen, arguments)


def _backups(chosen: Settings, arguments: argparse.Namespace) -> None:
    from matrix_app.backup_commands import list_backups

    list_backups(chosen, arguments)


def _restore(chosen: Settings, arguments: argparse.Namespace) -> None:
    from matrix_app.backup_commands import restore

    restore(chosen, arguments)


def _build(_: Settings, __: argparse.Namespace) -> None:
    from matrix_app.up import frontend
    from matrix_app.up.progress import Progress

    with Progress().step("pages built", takes="about a minute the first time"):
        frontend.build()


def _demo(chosen: Settings, arguments: argparse.Namespace) -> None:
    from matrix_app.up.announcement import Demo, announcement, as_json

    if arguments.load:
        if chosen.mode != "demo":
            raise Refused(
                "Demo accounts have published passwords: they are loaded with MATRIX_MODE=demo only."
            )
        with serving(chosen):
            asyncio.run(_load_demo(chosen, dict(arguments.test_provider)))
        return
    demo = Demo.read(chosen.data_dir)
    if demo is None:
        raise Refused(f"There is no demo data in {chosen.data_dir}: start once with MATRIX_MODE=demo.")
    shown = json.dumps(as_json(chosen, demo), indent=2) if arguments.json else announcement(chosen)
    sys.stdout.write(f"{shown}\n")


async def _load_demo(chosen: Settings, providers: dict[str, str]) -> None:
    from services.core import runtime
    from services.demo import test_providers
    from services.demo.service import ensure_demo

    database = await runtime.start(chosen, "demo")
    try:
        await ensure_demo(database, chosen)
        await test_providers.connect(database, chosen, providers)
    finally:
        await runtime.stop()


def _doctor(chosen: Settings, arguments: argparse.Namespace) -> None:
    from matrix_app import doctor

    findings = asyncio.run(doctor.diagnose(chosen))
    shown = doctor.as_json(findings) if arguments.json else doctor.as_text(findings)
    sys.stdout.write(f"{shown}\n")
    if failed := doctor.failures(findings):
        raise Refused(f"{failed} of {len(findings)} checks failed.")


def _reset(chosen: Settings, arguments: argparse.Namespace) -> None:
    from matrix_app.up import reset

    if not chosen.data_dir.exists():
        return
    reset.require_ours(chosen.data_dir)
    if not arguments.yes:
        sys.stdout.write(f"Delete the database, keys and logs in {chosen.data_dir}? Type yes: ")
        sys.stdout.flush()
        if sys.stdin.readline().strip() != "yes":
            raise Refused("Nothing was deleted.")
    left = reset.delete(chosen.data_dir)
    if left:
        sys.stdout.write(f"Not made by Matrix, and left in {chosen.data_dir}: {', '.join(left)}\n")


def _keys(chosen: Settings, arguments: argparse.Namespace) -> None:
    from matrix_app import key_commands

    with serving(chosen):
        asyncio.run(key_commands.do(chosen, arguments.act))


def _jobs(chosen: Settings, arguments: argparse.Namespace) -> None:
    with serving(chosen):
        said = asyncio.run(_held_jobs(chosen, again=arguments.retry))
    sys.stdout.write(f"{said}\n")


async def _held_jobs(chosen: Settings, *, again: str | None) -> str:
    from matrix_app import held_jobs
    from services.core import runtime

    database = await runtime.start(chosen, "jobs")
    try:
        return await (held_jobs.sent_again(database, again) if again else held_jobs.listed(database))
    finally:
        await runtime.stop()


def _held_job(text: str) -> str:
    """A job's number, or "all". Raises ArgumentTypeError."""
    if text != "all" and not (text.isascii() and text.isdigit() and int(text) < 2**63):
        raise argparse.ArgumentTypeError("give the number of a job, or all")
    return text


def _test_provider(text: str) -> tuple[str, str]:
    """A name of one and its address. Raises ArgumentTypeError."""
    name, _, base = text.partition("=")
    if name not in ("stripe", "paypal", "crypto") or not base.startswith("http://127.0.0.1:"):
        raise argparse.ArgumentTypeError("say stripe, paypal or crypto, and where it runs on this machine")
    return name, base


if __name__ == "__main__":
    sys.exit(main())
