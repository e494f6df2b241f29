"""A kernel that waited in Voilà's pool lives until its page has connected, and ends without one."""

import asyncio
import datetime
from types import SimpleNamespace

import pytest

from sdkit.booth import kernels, server


@pytest.fixture
def asked(monkeypatch):
    """A function: is a kernel ended that has been idle for an hour, so many seconds from now?"""
    manager = kernels.Kernels(cull_idle_timeout=60)
    ended = []
    long_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    manager._kernels["x"] = SimpleNamespace(
        kernel_spec=SimpleNamespace(metadata={}),
        kernel_name="python3",
        execution_state="idle",
        last_activity=long_ago,
    )

    async def shutdown_kernel(kernel_id):
        ended.append(kernel_id)

    monkeypatch.setattr(manager, "shutdown_kernel", shutdown_kernel)

    def ask(seconds, connections=0):
        monkeypatch.setattr(kernels.time, "monotonic", lambda: 1000.0 + seconds)
        manager._kernel_connections["x"] = connections
        asyncio.run(manager.cull_kernel_if_idle("x"))
        return ended == ["x"]

    yield ask
    manager._kernels.clear()


def test_a_kernel_from_the_pool_has_time_until_its_page_connects(asked):
    assert not asked(0) and not asked(59) and asked(60)


def test_a_kernel_with_a_page_lives(asked):
    assert not asked(0, 1) and not asked(3600, 1) and asked(3600, 0)


def test_a_kernel_that_has_ended_is_forgotten():
    manager = kernels.Kernels()
    manager._kernels["x"], manager._since["x"] = SimpleNamespace(), 1.0
    manager.remove_kernel("x")
    assert manager._since == {}


def test_voila_uses_these_kernels():
    from traitlets.config import Config
    from voila.configuration import VoilaConfiguration

    settings = server.voila_settings(server.Options(), 1, None, "x")
    used = VoilaConfiguration(config=Config(settings)).multi_kernel_manager_class
    assert used is kernels.Kernels
