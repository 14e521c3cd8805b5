"""The real PostgreSQL and Redis, started, shared, killed and found again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from config import embedded

CONFIG = Path(embedded.__file__).parent
# A process that uses the servers until its stdin ends. By path, as the keeper runs: quicker than with Kwise around it.
USER = f"""
import sys; sys.path.insert(0, {str(CONFIG)!r})
import embedded; from pathlib import Path
embedded.ensure(Path(sys.argv[1])); print("up", flush=True); sys.stdin.read()
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A home of the tests' own with one word in its database."""
    place = tmp_path_factory.mktemp("embedded") / "home"
    embedded.ensure(place)
    write(place, "CREATE TABLE kept (word text)")
    write(place, "INSERT INTO kept VALUES ('kept')")
    embedded.release(place)
    return place


@pytest.fixture
def home(place: Path):
    """Servers of `place` for one test; nothing of them is left after it."""
    yield place
    embedded.release(place)
    wait_until(lambda: not processes_of(place), "the servers should have stopped")


def processes_of(home: Path) -> list[str]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            line = " ".join(process.cmdline())
            if str(home) in line and process.pid != os.getpid():
                found.append(f"{process.pid} {line[:150]}")
    return found


def wait_until(condition, what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def connect(home: Path) -> psycopg.Connection:
    address = embedded.database_settings(home)
    return psycopg.connect(
        host=address["HOST"], port=address["PORT"], user=address["USER"], dbname=address["NAME"], autocommit=True
    )


def write(home: Path, sql: str) -> None:
    with connect(home) as connection:
        connection.execute(sql)


def words(home: Path) -> set[str]:
    with connect(home) as connection:
        return {word for (word,) in connection.execute("SELECT word FROM kept")}


@contextlib.contextmanager
def another_user(home: Path):
    user = subprocess.Popen(
        [sys.executable, "-c", USER, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert user.stdout.readline() == "up\n"
        yield user
    finally:
        user.stdin.close()
        user.wait(30)
        user.stdout.close()


def test_first_start_makes_a_private_database_without_a_port(home):
    embedded.ensure(home)
    embedded.ensure(home)  # again changes nothing

    assert home.stat().st_mode & 0o777 == 0o700
    with connect(home) as connection:
        version, superuser = connection.execute(
            "SELECT current_setting('server_version_num')::int / 10000, rolsuper FROM pg_roles "
            "WHERE rolname = current_user"
        ).fetchone()
    assert (version, superuser) == (18, False)
    assert redis.Redis.from_url(embedded.redis_url(home)).ping()
    for process in (embedded._postmaster(home), embedded._redis_process(home)):
        assert process.net_connections(kind="inet") == []
        assert process.uids().real != 0 or process.name() == "redis-server"


def test_next_start_finds_the_data(home):
    embedded.ensure(home)
    assert "kept" in words(home)


def test_servers_stay_until_the_last_user_leaves(home):
    with another_user(home):
        with another_user(home):
            pass
        assert embedded.in_use(home)
        embedded.require(home)
    wait_until(lambda: not processes_of(home), "the last user has left")
    assert not embedded.in_use(home)
    with another_user(home):  # having asked holds nobody up
        pass
    with pytest.raises(embedded.EmbeddedError, match="make demo"):
        embedded.require(home)


def test_four_processes_at_once_share_one_start(home):
    before = (home / "logs" / "postgres.log").read_text().count("starting PostgreSQL")
    users = [another_user(home) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool, contextlib.ExitStack() as stack:
        list(pool.map(stack.enter_context, users))
        assert (home / "logs" / "postgres.log").read_text().count("starting PostgreSQL") == before + 1
        assert sum("keep" in line.split() for line in processes_of(home)) == 1


def test_keeper_stops_the_servers_of_a_killed_user(home):
    with another_user(home) as user:
        user.kill()
        user.wait()
        wait_until(lambda: not processes_of(home), "the keeper should have stopped them")


def test_killed_servers_start_again_with_what_was_committed(home):
    embedded.ensure(home)
    write(home, "INSERT INTO kept VALUES ('committed before the kill')")
    postmaster = embedded._postmaster(home)
    for process in [*postmaster.children(), postmaster, embedded._redis_process(home)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    wait_until(lambda: embedded._postmaster(home) is None, "killed")

    embedded.ensure(home)

    assert "committed before the kill" in words(home)
    embedded.require(home)


def test_everything_killed_starts_again(home):
    with another_user(home) as user:
        for line in processes_of(home):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(line.split()[0]), signal.SIGKILL)
        user.wait()
    embedded.ensure(home)
    assert "kept" in words(home)


def test_pid_file_of_a_dead_server_with_a_pid_that_lives_again_is_no_obstacle(home):
    # PostgreSQL alone refuses here, since it cannot tell whose the pid is. After a reboot that is common.
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        (home / "postgres" / "postmaster.pid").write_text(
            f"{stranger.pid}\n{home / 'postgres'}\n1\n5432\n{home / 'run'}\n\n        0         0\nready   \n"
        )
        (home / "run" / "redis.pid").write_text(str(stranger.pid))
        embedded.ensure(home)
        embedded.require(home)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_data_of_another_major_version_is_named_and_left_alone(home):
    version = home / "postgres" / "PG_VERSION"
    version.write_text("17\n")
    try:
        with pytest.raises(embedded.EmbeddedError, match=r"made by PostgreSQL 17, this Kwise carries PostgreSQL 18"):
            embedded.ensure(home)
    finally:
        version.write_text("18\n")


def test_half_made_data_folder_is_made_anew(home, tmp_path):
    # Killed while initdb ran: only the folder aside is there.
    fresh = tmp_path / "fresh"
    (fresh / "postgres.new" / "base").mkdir(parents=True)
    fresh.chmod(0o700)
    try:
        embedded.ensure(fresh, redis=False, durable=False)
        with connect(fresh) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        embedded.release(fresh)
    assert not (fresh / "postgres.new").exists()


def test_long_path_with_spaces_and_quotes_works(tmp_path):
    long = tmp_path / ('a "quoted", long $name ' + "x" * 100) / "home"
    sockets = embedded.socket_folder(long)
    assert len(str(sockets / "postgres" / ".s.PGSQL.5432")) <= embedded.SOCKET_PATH_LIMIT
    assert sockets == embedded.socket_folder(long)
    try:
        embedded.ensure(long, durable=False)
        assert sockets.stat().st_mode & 0o777 == 0o700
        with connect(long) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert redis.Redis.from_url(embedded.redis_url(long)).ping()
    finally:
        embedded.release(long)
    assert not sockets.exists()


@pytest.mark.parametrize("trap", ["open to all", "a link"])
def test_socket_folder_that_somebody_laid_ready_is_refused(tmp_path, trap):
    home = tmp_path / ("x" * 100)
    sockets = embedded.socket_folder(home)
    try:
        if trap == "a link":
            sockets.symlink_to(tmp_path)
        else:
            sockets.mkdir()
            sockets.chmod(0o777)
        with pytest.raises(embedded.EmbeddedError, match="not a folder|written by other users"):
            embedded.ensure(home)
        assert sockets.exists()
    finally:
        sockets.unlink() if sockets.is_symlink() else sockets.rmdir()


def test_home_that_others_may_write_is_refused(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home").chmod(0o777)
    with pytest.raises(embedded.EmbeddedError, match="chmod 700"):
        embedded.ensure(tmp_path / "home")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_home_of_another_user_is_refused(tmp_path):
    (tmp_path / "home").mkdir(mode=0o700)
    os.chown(tmp_path / "home", 12345, 12345)
    with pytest.raises(embedded.EmbeddedError, match="belongs to user 12345"):
        embedded.ensure(tmp_path / "home")


def test_secret_key_is_one_for_all_who_ask_at_once(tmp_path):
    home = tmp_path / "home"
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(lambda _: embedded.secret_key(home), range(64)))
    assert len(keys) == 1
    assert len(keys.pop()) >= 50
    assert (home / "secret_key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in home.iterdir()] == ["secret_key"]
