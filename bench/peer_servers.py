"""The peers, started: what each needs from the machine is said in one line where it is missing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from bench.processes import ROOT, Server, free_port

PEERS = ROOT / "bench" / "peers"
_LUA_MODULE = "ngx_http_lua_module.so"
_MODULE_FOLDERS = ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/usr/share/nginx/modules")


class PeerMissing(Exception):
    """The machine lacks the peer; the text says how to get it."""


def nginx(program: str, keys: Path, folder: Path, core: int) -> Server:
    """nginx with `peers/nginx_<program>.lua` (plain or tuned)."""
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    modules = next((Path(place) for place in _MODULE_FOLDERS if (Path(place) / _LUA_MODULE).exists()), None)
    if binary is None or modules is None:
        raise PeerMissing("nginx with Lua is missing; on Debian: apt install nginx libnginx-mod-http-lua")
    folder.mkdir(parents=True)
    if keys.stat().st_mode & 0o077:
        raise ValueError(f"{keys} may be read by others")
    load = "".join(
        f"load_module {modules / name};\n" for name in ("ndk_http_module.so", _LUA_MODULE) if (modules / name).exists()
    )
    port = free_port()
    text = (PEERS / "nginx.conf.template").read_text()
    for name, value in {
        "MODULES": load,
        "LOG": str(folder),
        "PORT": str(port),
        "PROGRAM": program,
        "PEERS": str(PEERS),
        "KEYS": str(keys),
    }.items():
        text = text.replace(f"@{name}@", value)
    configuration = folder / "nginx.conf"
    configuration.write_text(text)
    return Server(
        f"nginx + Lua, {program}",
        [binary, "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(configuration)],
        port,
        core,
        folder / "output.log",
    )


def fastapi(python: str, keys: Path, folder: Path, core: int) -> Server:
    """FastAPI and slowapi under uvicorn with uvloop and httptools, in an environment of their own."""
    found = shutil.which(python)
    if found is None or subprocess.run([found, "-c", "import slowapi"], capture_output=True).returncode:
        raise PeerMissing("FastAPI with slowapi is missing; `make bench` installs it into .venv-bench")
    folder.mkdir(parents=True)
    port = free_port()
    return Server(
        "FastAPI + slowapi",
        [
            *(found, "-m", "uvicorn", "bench.peers.fastapi_slowapi:app", "--port", str(port), "--loop", "uvloop"),
            *("--http", "httptools", "--no-access-log", "--log-level", "warning", "--timeout-keep-alive", "600"),
        ],
        port,
        core,
        folder / "output.log",
        {"BENCH_KEYS": str(keys)},
    )
