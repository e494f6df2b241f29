"""The signed manifest of a picture, in the form of C2PA: make one, and read those of others.

A manifest lies inside the file. It says how the picture was made, and its signature covers all
other bytes of the file. The library c2pa is imported only here, when it is needed. It uses no
network: no time stamps, no manifests from elsewhere.

C2PA specification 2.2, 2025: https://spec.c2pa.org
"""

import enum
import json
from dataclasses import dataclass
from io import BytesIO
from types import ModuleType
from typing import Any

from sdkit import __version__
from sdkit.errors import SdkitError, plain
from sdkit.pictures.certificate import Signer

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"


class Origin(enum.StrEnum):
    """The source of a picture, in the words of the IPTC's list of digital source types."""

    SENTENCE = "trainedAlgorithmicMedia"
    PICTURE = "compositeWithTrainedAlgorithmicMedia"  # a photograph, or another picture


@dataclass(frozen=True)
class Found:
    """What the manifest of a picture says, and whether its signature holds."""

    # None, or what is wrong
    fault: str | None
    # the name in the certificate; empty if there is none
    signer: str
    # whether the key of this computer signed it
    own: bool
    # the program that made the manifest
    program: str
    # digital source types, without the address of the IPTC's list
    sources: tuple[str, ...]
    # the same of the manifests of pictures from which it was made, which lie inside this one
    earlier: tuple[str, ...] = ()


DAMAGED = Found("the manifest is damaged, or of a newer kind", "", False, "", ())
# The codes of C2PA for the faults of a manifest, and the messages for them
FAULTS = {
    "assertion.dataHash.mismatch": "the picture was changed after it was signed",
    "assertion.boxesHash.mismatch": "the picture was changed after it was signed",
    "assertion.bmffHash.mismatch": "the picture was changed after it was signed",
    "assertion.hashedURI.mismatch": "a statement was changed after it was signed",
    "claimSignature.mismatch": "the signature does not belong to this manifest",
    "signingCredential.invalid": "its certificate is not allowed to sign pictures",
    "signingCredential.expired": "its certificate was not valid at that time",
    "signingCredential.revoked": "its certificate was withdrawn",
}
# It only says that this signer is in no list of the kit. The kit has no such list.
UNKNOWN_SIGNER = "signingCredential.untrusted"


def _library() -> ModuleType:
    """The package c2pa, or `SdkitError` if it is missing or does not start on this system."""
    try:
        import c2pa
    except Exception as error:  # it loads a library of the system, and this can fail in many ways
        raise SdkitError(
            "The package c2pa-python, which signs pictures and reads signatures, is missing or "
            "does not start on this computer. Install it with: pip install c2pa-python."
        ) from error
    return c2pa


def check_library() -> None:
    """Raise `SdkitError` if pictures cannot be signed on this computer."""
    _library()


def sign(png: bytes, note: dict[str, object], origin: Origin, signer: Signer) -> bytes:
    """The PNG file with a signed manifest inside. Its pixels and other parts stay as they are.

    note : how the picture was made; it becomes a statement of the manifest.

    No preview, no name of a file and no time is in the manifest. Raises `SdkitError` if it cannot
    be signed.
    """
    c2pa = _library()
    action = {
        "digitalSourceType": IPTC + origin,
        "softwareAgent": {"name": "sdkit", "version": __version__},
        "description": str(note.get("Description", "Made with AI")),
    }
    actions = [{"action": "c2pa.created", **action}]
    if origin == Origin.PICTURE:
        actions.append({"action": "c2pa.edited", **action})
    content = {
        "claim_generator_info": [{"name": "sdkit", "version": __version__}],
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": actions}},
            {
                "label": "sdkit.settings",
                "data": {key: str(value) for key, value in note.items()},
            },
        ],
    }
    automatic = ("auto_created_action", "auto_opened_action", "auto_placed_action")
    settings = {
        "builder": {
            "thumbnail": {"enabled": False},
            "created_assertion_labels": ["c2pa.actions", "sdkit.settings"],
            "actions": {name: {"enabled": False} for name in automatic},
        },
        **_offline(),
    }
    target = BytesIO()
    try:
        context = c2pa.Context.from_dict(settings)
        info = c2pa.C2paSignerInfo(b"es256", signer.chain, signer.key, None)
        with c2pa.Signer.from_info(info) as made, c2pa.Builder(content, context=context) as builder:
            builder.sign(made, "image/png", BytesIO(png), target)
    except c2pa.C2paError as error:
        raise SdkitError(
            f"The picture cannot be signed ({str(error)[:200]}). Leave the signature out with "
            "--unsigned."
        ) from error
    return target.getvalue()


def read(data: bytes, kind: str, own: Signer | None = None) -> Found | None:
    """What the manifest in a picture file says; None if there is none.

    kind : the MIME type of the file, such as "image/png".
    own : the key of this computer, if it has one.

    Raises `SdkitError` if there is one that cannot be checked: it lies elsewhere, or the library is
    missing.
    """
    # the name of the box that holds it, or of the entry in XMP that says where it is
    if b"c2pa" not in data and b"provenance" not in data:
        return None
    c2pa = _library()
    settings = _offline()
    if own:
        settings["trust"] = {"trust_anchors": own.issuer}
    try:
        with c2pa.Reader(kind, BytesIO(data), context=c2pa.Context.from_dict(settings)) as reader:
            told = json.loads(reader.json())
    except c2pa.C2paError.ManifestNotFound:
        return None
    except c2pa.C2paError as error:
        sentence = str(error)
        if "must fetch remote" in sentence:
            address = plain(sentence.rpartition(" ")[2])[:200]
            raise SdkitError(
                f"The manifest lies at {address}, and this program uses no network. "
                "Check it with a program that does."
            ) from error
        return None if sentence.startswith("NotSupported") else DAMAGED
    try:
        return _found(told, own is not None)
    except (AttributeError, KeyError, TypeError):  # the report lacks a part
        return DAMAGED


def _offline() -> dict[str, Any]:
    """The settings that keep c2pa from using the network."""
    return {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}


def _found(told: dict[str, Any], has_own: bool) -> Found:
    """The parts of c2pa's report that `Found` has.

    has_own : whether the only trusted certificate was that of this computer.
    """
    manifest = told["manifests"][told["active_manifest"]]
    credential = manifest.get("signature_info") or {}
    names = [credential.get("common_name"), credential.get("issuer")]
    program = (manifest.get("claim_generator_info") or [{}])[0]
    others = [other for other in told["manifests"].values() if other is not manifest]
    results = told.get("validation_results") or {}
    failed = _codes(results, "failure")
    # not those of other manifests inside this one, which somebody else may have signed
    passed = {one["code"] for one in (results.get("activeManifest") or {}).get("success", [])}
    fault = None
    if told.get("validation_state") not in ("Valid", "Trusted"):
        known = [FAULTS[code] for code in failed if code in FAULTS]
        unknown = [f"the manifest is damaged, or not as C2PA asks ({code})" for code in failed]
        fault = (known or unknown or ["its signature could not be checked"])[0]
    return Found(
        fault,
        plain(", ".join(name for name in names if name))[:200],
        has_own and {"signingCredential.trusted", "claimSignature.validated"} <= passed,
        plain(f"{program.get('name') or ''} {program.get('version') or ''}")[:100],
        _sources([manifest]),
        _sources(others),
    )


def _sources(manifests: list[dict[str, Any]]) -> tuple[str, ...]:
    """The digital source types in the actions of manifests, each once."""
    actions = [
        action
        for manifest in manifests
        for statement in manifest.get("assertions", [])
        if statement["label"].startswith("c2pa.actions")
        for action in statement["data"].get("actions", [])
    ]
    sources = [str(action.get("digitalSourceType") or "") for action in actions]
    return tuple(dict.fromkeys(plain(s.rpartition("/")[2])[:100] for s in sources if s))


def _codes(results: dict[str, Any], kind: str) -> list[str]:
    """The codes of one kind: of the manifest itself, then of those of its ingredients."""
    parts = [results.get("activeManifest") or {}]
    parts += [delta.get("validationDeltas") or {} for delta in results.get("ingredientDeltas", [])]
    codes = [result["code"] for part in parts for result in part.get(kind, [])]
    return [code for code in codes if code != UNKNOWN_SIGNER]
