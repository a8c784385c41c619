"""The `matrix` command. Each process of the product is one of its commands; heavy imports wait for theirs."""

import argparse
import asyncio
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from matrix_app.up.preflight import explain, lock_data
from matrix_app.up.refusal import Refused
from services.core.errors import KeysAwaited, MatrixError
from services.core.postgres import EmbeddedPostgres, PostgresFailed, serving
from services.core.settings import Settings, settings
from services.operations.refusal import BackupRefused


def main(argv: list[str] | None = None) -> int:
    """Run one command; 1 and one sentence on standard error when it cannot be done."""
    arguments = _parser().parse_args(argv)
    command: Callable[[Settings, argparse.Namespace], None] = arguments.command
    try:
        command(settings(), arguments)
    except ValidationError as error:
        return _fail(explain(error))
    except (Refused, PostgresFailed, BackupRefused, KeysAwaited) as error:
        return _fail(str(error))
    except MatrixError as error:
        return _fail(f"{error.message} {error.next_step}".strip())
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
    add("migrate", _migrate, "bring the database to the newest shape")
    operator = add(
        "operator", _operator, "make an account that runs this installation; asks for its password"
    )
    operator.add_argument("email")
    operator.add_argument("--name", help="as others see it")
    add("build", _build, "compile the pages if their sources changed")
    demo = add("demo", _demo, "show the demo's address, accounts and key")
    demo.add_argument("--json", action="store_true", help="for scripts")
    demo.add_argument("--load", action="store_true", help="load the demo data if it is not there")
    _declare_backups(add)
    reset = add("reset", _reset, "delete this copy's data")
    reset.add_argument("--yes", action="store_true", help="do not ask")
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


def _migrate(chosen: Settings, _: argparse.Namespace) -> None:
    from matrix_app.furnishing import furnish
    from services.core import migrations, runtime

    with serving(chosen):
        migrations.migrate(runtime.urls(chosen)[0])
        asyncio.run(furnish(chosen))


def _operator(chosen: Settings, arguments: argparse.Namespace) -> None:
    from matrix_app.furnishing import add_operator

    with serving(chosen):
        asyncio.run(add_operator(chosen, email=arguments.email, name=arguments.name or arguments.email))


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
            asyncio.run(_load_demo(chosen))
        return
    demo = Demo.read(chosen.data_dir)
    if demo is None:
        raise Refused(f"There is no demo data in {chosen.data_dir}: start once with MATRIX_MODE=demo.")
    shown = json.dumps(as_json(chosen, demo), indent=2) if arguments.json else announcement(chosen)
    sys.stdout.write(f"{shown}\n")


async def _load_demo(chosen: Settings) -> None:
    from services.core import runtime
    from services.demo.service import ensure_demo

    database = await runtime.start(chosen, "demo")
    try:
        await ensure_demo(database, chosen)
    finally:
        await runtime.stop()


def _reset(chosen: Settings, arguments: argparse.Namespace) -> None:
    if not chosen.data_dir.exists():
        return
    if not arguments.yes:
        sys.stdout.write(f"Delete everything in {chosen.data_dir}? Type yes: ")
        sys.stdout.flush()
        if sys.stdin.readline().strip() != "yes":
            raise Refused("Nothing was deleted.")
    with lock_data(chosen.data_dir):
        EmbeddedPostgres(chosen.data_dir).stop_leftover()
        shutil.rmtree(chosen.data_dir)


if __name__ == "__main__":
    sys.exit(main())
