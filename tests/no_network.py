"""This program takes the network away from the process that runs it.

Python itself refuses every attempt, and `sys.attempts` lists them. If NO_SOCKETS is set in the
environment, the process cannot even create a socket, except for sockets between processes of one
machine. Otherwise the process may connect to its own machine, as Jupyter must.
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
