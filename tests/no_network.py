"""From here on, in this process: no network. Every attempt is refused, by Python itself, and noted in `sys.attempts`.

With NO_SOCKETS in the environment not even a socket may be made, but for those between processes of one machine;
without, loopback stays open, for Jupyter's own talk.
"""

import os
import sys

sys.attempts = []


def refuse(event, arguments, strict=bool(os.environ.get("NO_SOCKETS"))):  # noqa: B008
    if event == "socket.__new__" and strict:
        caller = sys._getframe(1).f_back
        # urllib3, when imported, sees what the system can do
        probe = caller and caller.f_code.co_name == "_has_ipv6"
        target = None if arguments[1] == 1 or probe else arguments[1]  # 1: AF_UNIX
    elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        target = arguments[1][0] if isinstance(arguments[1], tuple) else None
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        target = arguments[0]
    else:
        return
    if target is not None and (strict or not str(target).startswith(("127.", "::1", "localhost"))):
        sys.attempts.append((event, str(target)))
        raise OSError(f"no network here: {event} {target}")


sys.addaudithook(refuse)
