"""The verb that serves a page: booth opens the photo booth."""

from argparse import Namespace

from sdkit import models
from sdkit.booth import server
from sdkit.errors import COMMAND, SdkitError


def booth(arguments: Namespace) -> int:
    """Open the photo booth and keep it open until Ctrl-C."""
    model = models.resolve(arguments.model)
    if model.found is None:
        raise SdkitError(
            f"{model.label} is not on this computer, and the booth downloads nothing. Fetch it "
            f'first: {COMMAND} style astronaut --prompt "van gogh" --model {arguments.model}'
        )
    options = server.Options(
        ip=arguments.ip,
        port=arguments.port,
        token=arguments.token,
        time_out=arguments.time_out,
        kiosk=arguments.kiosk,
        browser=not arguments.no_browser,
        model=arguments.model,
    )
    try:
        server.open_booth(options)
    except KeyboardInterrupt:
        print("\nThe photo booth is closed. It has kept nothing of its visitors.")
    return 0
