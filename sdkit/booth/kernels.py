"""The kernels of the visitors, as Voilà's server manages them."""

import time
from typing import Any

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager


class Kernels(AsyncMappingKernelManager):
    """Kernels that end if no page is connected to them for long.

    Voilà keeps one kernel ready for the next visitor, and asks for the end of the others only. When
    a visitor comes, the kernel has often been idle for longer than is allowed, and could end before
    the page has connected to it. So here the time begins when the kernel is asked about first.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._since: dict[str, float] = {}  # when each kernel was asked about first

    async def cull_kernel_if_idle(self, kernel_id: str) -> None:
        """End a kernel that has been idle for long, and that has left Voilà's pool for long."""
        now = time.monotonic()
        if now - self._since.setdefault(kernel_id, now) >= self.cull_idle_timeout:
            await super().cull_kernel_if_idle(kernel_id)

    def remove_kernel(self, kernel_id: str) -> Any:
        """Forget a kernel that has ended."""
        self._since.pop(kernel_id, None)
        return super().remove_kernel(kernel_id)
