"""A start that makes no sense is refused in one sentence that says the way out."""

import ast
import io
import json
import os
import socket
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from pydantic import ValidationError
from reflex_base.constants import Templates

from matrix_app.up import preflight
from matrix_app.up.announcement import Demo, DemoAccount, announcement, as_json, curl
from matrix_app.up.preflight import PreflightFailed
from matrix_app.up.progress import Progress
from matrix_app.up.same_origin import ClientChanged, follow_the_page
from services.core.refusal import Refused
from services.core.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
BOOTSTRAP = ROOT / "matrix_app" / "up" / "bootstrap.py"


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_in_use_is_named_with_a_free_one(taken_port: int) -> None:
    with pytest.raises(
        PreflightFailed, match=rf"Port {taken_port} is in use: .*`MATRIX_PORT=(\d+) make run`"
    ) as refused:
        preflight.require_port("127.0.0.1", taken_port)

    offered = int(str(refused.value).split("MATRIX_PORT=")[1].split()[0])
    preflight.require_port("127.0.0.1", offered)


def test_a_free_port_is_accepted_twice() -> None:
    port = preflight.free_loopback_port()

    preflight.require_port("127.0.0.1", port)
    preflight.require_port("127.0.0.1", port)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(
        PreflightFailed, match=r"192\.0\.2\.1 is no address of this machine: correct MATRIX_HOST"
    ):
        preflight.require_port("192.0.2.1", preflight.free_loopback_port())


def test_the_data_folder_is_made(tmp_path: Path) -> None:
    preflight.require_writable(tmp_path / "a" / "b")

    assert (tmp_path / "a" / "b").is_dir()
    assert list((tmp_path / "a" / "b").iterdir()) == []


@pytest.mark.parametrize("below", [(), ("x",), ("x", "y")])
def test_a_file_in_the_data_folders_place_is_refused(tmp_path: Path, below: tuple[str, ...]) -> None:
    (tmp_path / "data").write_text("")

    with pytest.raises(PreflightFailed, match=r"is a file, not a folder: .*MATRIX_DATA_DIR"):
        preflight.require_writable((tmp_path / "data").joinpath(*below))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    with pytest.raises(PreflightFailed, match=r"cannot be written .*MATRIX_DATA_DIR"):
        preflight.require_writable(tmp_path / "data")


def test_a_folder_nobody_may_write_is_refused() -> None:
    with pytest.raises(PreflightFailed, match=r"/proc/matrix cannot be written .*MATRIX_DATA_DIR"):
        preflight.require_writable(Path("/proc/matrix"))


def test_a_demo_is_not_opened_as_production(tmp_path: Path) -> None:
    production = Settings(
        mode="production",
        data_dir=tmp_path,
        public_url="https://ai.example",
        smtp_url="smtp://mail.example",  # type: ignore[arg-type]
    )
    preflight.require_no_demo_in_production(production)
    (tmp_path / "demo.json").touch()

    preflight.require_no_demo_in_production(Settings(mode="demo", data_dir=tmp_path))
    with pytest.raises(PreflightFailed, match="published passwords"):
        preflight.check(production)


def test_a_disk_without_room_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "DATA_FREE_MB_MIN", 10**12)

    with pytest.raises(PreflightFailed, match=r"\d+ MB are free on the disk of .*: make room, or choose"):
        preflight.require_disk(tmp_path)


def test_a_second_copy_on_the_same_data_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    sentence = rf"already runs on {tmp_path} \(process {os.getpid()}\): stop it"
    first = preflight.lock_data(tmp_path)

    with pytest.raises(PreflightFailed, match=sentence):
        preflight.lock_data(tmp_path)

    first.close()
    preflight.lock_data(tmp_path).close()


def test_wrong_settings_name_the_variables_and_not_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATRIX_PORT", "99999999")
    monkeypatch.setenv("MATRIX_POOL_SIZE", "many")
    with pytest.raises(ValidationError) as wrong:
        Settings()

    sentence = preflight.explain(wrong.value)

    assert "MATRIX_PORT: Input should be less than or equal to 65535" in sentence
    assert "MATRIX_POOL_SIZE" in sentence
    assert "99999999" not in sentence
    assert "many" not in sentence


def test_the_bootstrap_can_be_read_by_pythons_too_old_to_run_the_rest() -> None:
    ast.parse(BOOTSTRAP.read_text(), feature_version=(3, 6))


def test_reflexs_client_still_has_the_line_that_makes_pages_portable() -> None:
    source = (Path(Templates.Dirs.WEB_TEMPLATE) / "utils" / "state.js").read_text()

    changed = follow_the_page(source)

    assert "endpoint.port = window.location.port" in changed
    assert follow_the_page(changed) == changed


def test_a_client_without_that_line_stops_the_build() -> None:
    with pytest.raises(ClientChanged):
        follow_the_page("export const getBackendURL = () => env.PING;")


def test_steps_are_plain_lines_without_a_terminal() -> None:
    out = io.StringIO()
    progress = Progress(out)

    with progress.step("database started"):
        pass
    with pytest.raises(ZeroDivisionError), progress.step("pages built", takes="a minute"):
        raise ZeroDivisionError

    lines = out.getvalue().splitlines()
    assert lines[0].split() == ["database", "started", "0.0", "s"]
    assert lines[1] == "  pages built (a minute) ..."
    assert lines[2].split() == ["pages", "built", "failed"]


def test_a_closed_terminal_does_not_stop_the_stopping() -> None:
    out = io.StringIO()
    progress = Progress(out)
    out.close()

    with progress.step("stopped"):
        pass


@pytest.mark.parametrize(
    ("key", "folder", "words"),
    [
        (None, {}, "MATRIX_BACKUP_KEY_FILE"),
        ("short", {}, "has 5 characters"),
        ("5a" * 32, {"copy": "another", "salt": "00", "key": ""}, "another copy of Matrix"),
        ("5a" * 32, None, ""),  # a folder that is away for now: for the doctor to tell
        ("5a" * 32, {}, ""),
    ],
)
def test_backups_that_were_asked_for_and_cannot_be_made_are_told_before_anything_starts(
    tmp_path: Path, key: str | None, folder: dict[str, str] | None, words: str
) -> None:
    settings = Settings(
        data_dir=tmp_path / "data", backup_dir=tmp_path / "backups", backup_key_file=tmp_path / "key"
    )
    settings.data_dir.mkdir()
    if key is not None:
        (tmp_path / "key").write_text(key)
    if folder is None:
        (tmp_path / "backups").write_text("")
    elif folder:
        (tmp_path / "backups").mkdir()
        (tmp_path / "backups" / "copy.json").write_text(json.dumps(folder))

    with pytest.raises(Refused, match=words) if words else nullcontext():
        preflight.require_backups(settings)


def test_the_demo_is_shown_with_the_address_this_copy_has_now(tmp_path: Path) -> None:
    settings = Settings(port=4000, data_dir=tmp_path)
    (tmp_path / "demo.json").write_text(
        '{"address": "http://localhost:3000", "organization": "org_1", "api_key": "mx-secret",'
        ' "accounts": [{"console": "portal", "email": "ada@example.com", "password": "pw"}]}'
    )

    demo = Demo.read(tmp_path)

    assert demo == Demo([DemoAccount("portal", "ada@example.com", "pw")], "mx-secret", "org_1")
    assert demo is not None
    assert as_json(settings, demo)["address"] == "http://localhost:4000"
    assert curl(settings, "mx-secret").startswith("  curl http://localhost:4000/v1/chat/completions ")
    assert "ada@example.com" in announcement(settings)


def test_a_copy_without_demo_announces_its_address_only(tmp_path: Path) -> None:
    said = announcement(Settings(port=4000, data_dir=tmp_path))

    assert "http://localhost:4000" in said
    assert "curl" not in said
