"""What a person has set about the network, and a sentence for whatever the hub, the network and the disk do wrong."""

import contextlib
import errno

from sdkit.errors import SdkitError


class Gone(SdkitError):
    """A repository that is not on the hub (any more): another may hold the same."""


def look_at_settings():
    """Raise `SdkitError` where what a person has set about the network cannot even be read."""
    from huggingface_hub import constants
    from huggingface_hub.utils import build_hf_headers, close_session, get_session

    # a kernel may live long: what was set since holds, and no cookie of an earlier answer
    close_session()
    try:
        get_session().build_request("GET", constants.ENDPOINT, headers=build_hf_headers())
    except Exception as error:
        raise SdkitError(
            f"The settings of the network cannot be used ({str(error)[:150]}). Look at HTTPS_PROXY, "
            "ALL_PROXY, SSL_CERT_FILE, HF_ENDPOINT and HF_TOKEN, and unset what is wrong."
        ) from error


@contextlib.contextmanager
def online():
    """The libraries are switched offline by the kit; within, and only there, they may ask the hub."""
    from huggingface_hub import constants

    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, False
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


@contextlib.contextmanager
def faults(repo, patience):
    """Turn what goes wrong while `repo` is fetched into one sentence each; `patience` : seconds that were waited."""
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        DisabledRepoError,
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        HTTPError,
        RepositoryNotFoundError,
    )

    try:
        yield
    except SdkitError:
        raise
    except HFValidationError as error:
        raise SdkitError(
            f"{repo!r} is no name on the hub. It has the form owner/name; see: sdkit models."
        ) from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        unknown = isinstance(error, (RepositoryNotFoundError, DisabledRepoError))
        if (
            status == 401
            and "invalid credentials" in error.response.headers.get("X-Error-Message", "").lower()
        ):
            raise SdkitError(
                "The hub does not accept your token any more. Run `hf auth login` anew, or "
                "`hf auth logout` (and unset HF_TOKEN): models that are not gated need none."
            ) from error
        if isinstance(error, GatedRepoError) or (status in (401, 403) and not unknown):
            raise SdkitError(
                f"{repo} is gated. Open {constants.ENDPOINT}/{repo} in a browser, log in and accept its "
                "licence; then run `hf auth login` here, once."
            ) from error
        if unknown or status in (404, 410, 451):
            raise Gone(
                f"{repo} is not on the hub: removed, private or misspelt. "
                "Take another: sdkit models lists some."
            ) from error
        what = {429: "asks for fewer requests"}.get(
            status, "has trouble" if status >= 500 else "refuses the request"
        )
        raise SdkitError(
            f"The hub {what} (HTTP {status}). Run this again in a few minutes; "
            "what has arrived is kept."
        ) from error
    except (HTTPError, TimeoutError) as error:
        silent = "Timeout" in type(error).__name__
        what = f"was silent, or far too slow, for {patience} s." if silent else "cannot be reached."
        raise SdkitError(
            f"The hub at {constants.ENDPOINT} {what} Look after network, proxy (HTTPS_PROXY) and "
            "firewall, then run this again; the kit's own model, mini, needs none of them."
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):
            raise SdkitError(
                f"The disk is too full for {repo}. Make room in {constants.HF_HUB_CACHE}, or set HF_HOME "
                "to a folder on another disk; what has arrived is kept."
            ) from error
        raise SdkitError(
            f"The hub's cache {constants.HF_HUB_CACHE} cannot be written ({error.strerror or error}). "
            "Change its permissions, or set HF_HOME to another folder."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SdkitError(
            f"What answers at {constants.ENDPOINT} does not speak as the hub does: perhaps the login page "
            "of a wireless network. Log in there, or unset HF_ENDPOINT, and run this again."
        ) from error
