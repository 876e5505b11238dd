import os

import pytest

from config import broker, ports
from config.supervisor import Supervisor
from tests.rig import missing


@pytest.fixture
def running(tmp_path):
    running = Supervisor(logs=tmp_path / "logs", cwd=tmp_path, say=print)
    yield running
    running.stop()


def a_program(path, name):
    path.mkdir(exist_ok=True)
    (path / name).touch(mode=0o755)
    return str(path / name)


def test_a_server_on_path_comes_before_the_one_in_the_wheel_and_valkey_before_redis(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    in_wheel = broker.find_server()
    redis = a_program(tmp_path, "redis-server")
    with_redis = broker.find_server()
    valkey = a_program(tmp_path, "valkey-server")
    with_both = broker.find_server()

    assert in_wheel.endswith("valkey-server") and os.access(in_wheel, os.X_OK)
    assert (with_redis, with_both) == (redis, valkey)


def test_a_broker_whose_files_cannot_be_read_says_so_and_starts_on_an_empty_folder(running, tmp_path):
    server = broker.find_server() or missing("no broker to run")
    [port] = ports.free_ports(1)
    folder = tmp_path / "broker"
    files = folder / "appendonlydir"
    files.mkdir(parents=True)
    (files / "appendonly.aof.1.base.rdb").write_text("from another world")
    (files / "appendonly.aof.manifest").write_text("file appendonly.aof.1.base.rdb seq 1 type b\n")
    program = broker.program(server=server, port=port, folder=folder)

    first = broker.answers(running.start(program), port=port)
    running.forget("broker")
    broker.set_aside(folder)
    second = broker.answers(running.start(program), port=port)

    assert (first, second) == (False, True)
    assert (tmp_path / "broker.unreadable" / "appendonlydir").is_dir()
