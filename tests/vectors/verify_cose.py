"""Verifies the vectors with COSE, CBOR and Ed25519 code that is not ours.

    python3 -m venv venv
    venv/bin/pip install cwt cbor2 cryptography
    venv/bin/python tests/vectors/verify_cose.py [folder]

Every good envelope is verified as a COSE_Sign1 by `cwt`. Countersignatures are verified by the
few lines of RFC 9338 section 3.3 here, because `cwt` 3.3.0 puts the envelope's signature into the
structure by itself instead of in an array, as the section says. Grants and orders are read by the
few lines here, from SPEC.md sections 15 and 16 alone. Ends with status 1 when a vector fails or a
file holds none.
"""

import base64
import hashlib
import json
import pathlib
import re
import sys

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cwt import COSE, COSEKey

ENVELOPE_AAD = b"countersign/envelope/v1"
COUNTERSIGNATURE_AAD = b"countersign/countersignature/v1"
GRANT_LABEL = b"countersign/grant/v1"
ORDER_LABEL = b"countersign/order/v1"
HEADER, HOW, EDDSA = -70001, -70002, -8
NOT_THEIRS = "no countersignature by this approver"
BAD_SIGNATURE = "the signature does not verify"
HUMANS = ("passphrase", "passkey", "session")
GRANTED = {"grant": "unasked", "client": "inline"}
SEVERITIES = ("info", "low", "medium", "high", "critical")
DAYS_30 = 30 * 24 * 60 * 60 * 1000


def unpacked(text):
    """Bytes of a vector: hexadecimal, with `(61*65536)` for a run of equal bytes."""
    spelled = re.sub(r"\(([0-9a-f]{2})\*(\d+)\)", lambda m: m[1] * int(m[2]), text)
    return bytes.fromhex(spelled)


def vectors(folder, name):
    found = json.loads((folder / f"{name}.json").read_text())["vectors"]
    assert found, f"{name}.json holds no vectors"
    return found


def verified(key, signature, message):
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
        return True
    except (InvalidSignature, ValueError):
        return False


def deterministic(data):
    """One level of the check: these bytes are what encoding again gives."""
    return cbor2.dumps(cbor2.loads(data)) == data


def envelope(vector):
    """The envelope verifies for its sender, and its header says what the vector says."""
    data, said = unpacked(vector["bytes"]), vector["decoded"]
    sender = bytes.fromhex(said["sender"])
    key = COSEKey.new({1: 1, 2: sender, 3: EDDSA, -1: 6, -2: sender})
    payload = COSE.new().decode(data, key, external_aad=ENVELOPE_AAD)
    protected, _, carried, signature = cbor2.loads(data).value
    assert payload == carried and deterministic(data) and deterministic(protected)
    parameters = cbor2.loads(protected)
    assert set(parameters) == {1, 4, HEADER} and parameters[4] == sender
    header = parameters[HEADER]
    assert header[1] == 1 and header[2] == said["kind"] and header[3].hex() == said["id"]
    assert header[4].hex() == said["recipient"]
    assert (header[5], header[6]) == (said["created"], said["expires"])
    assert header.get(7, b"").hex() == (said["thread"] or "")
    assert header.get(8, b"").hex() == (said["reply_to"] or "")
    assert header.get(9) == said["author"] and header.get(10) == said["session"]
    assert set(header) <= set(range(1, 11))
    assert 10 not in header or re.fullmatch(r"[a-z0-9_.-]{1,32}", header[10])
    signed = cbor2.dumps([protected, payload])
    digest = hashlib.sha256(b"countersign/envelope-digest/v1\0" + signed + signature)
    assert digest.hexdigest() == said["digest"]


def framed(label, message):
    return bytes([len(label)]) + label + message


def is_bytes(value, length):
    return type(value) is bytes and len(value) == length


def is_uint(value):
    return type(value) is int and 0 <= value < 2**64


def is_text(value, length):
    return type(value) is str and len(value.encode()) <= length


def read_grant(data):
    """A grant as a map (SPEC.md section 15), or None where a rule of the section is broken."""
    if len(data) > 1024:
        return None
    try:
        grant = cbor2.loads(data)
        if cbor2.dumps(grant, canonical=True) != data:
            return None
    except (cbor2.CBORError, ValueError, TypeError):
        return None
    if type(grant) is not dict or {*grant, 5, 13, 14} != set(range(1, 15)):
        return None
    rules, kinds = grant[7], grant.get(13, ["text"])
    fields = (
        type(grant[1]) is int and grant[1] == 1,
        is_bytes(grant[2], 5),
        is_bytes(grant[3], 32),
        grant[4] in ("unasked", "inline"),
        5 not in grant or is_bytes(grant[5], 32),
        grant[6] in ("out", "in"),
        type(rules) is list and len(rules) <= 16 and all(is_text(rule, 64) for rule in rules),
        grant[8] in SEVERITIES,
        all(is_uint(grant[key]) for key in (9, 10, 11, 12)),
        type(kinds) is list and kinds and all(is_text(kind, 32) for kind in kinds),
        is_uint(grant.get(14, 1)),
    )
    if not all(fields):
        return None
    named = (5 in grant and rules) if grant[4] == "unasked" else grant[6] == "out"
    wide = not named or not 0 < grant[12] - grant[11] <= DAYS_30 or not 1 <= grant[10] <= 1000
    fast = not 1 <= grant.get(14, 1) <= 1000
    unread = not set(kinds) <= {"text", "request", "reply"} or len(set(kinds)) != len(kinds)
    return None if wide or fast or unread else grant


def grant(vector):
    """Good grants say what the vector says. Bad ones are badly signed, or signed and no grants."""
    data, given = unpacked(vector["bytes"]), vector["given"]
    approver, signed = bytes.fromhex(given["approver"]), bytes.fromhex(given["signature"])
    well_signed = verified(approver, signed, framed(GRANT_LABEL, data))
    assert well_signed == (vector["ok"] or vector["error"] != BAD_SIGNATURE)
    read = read_grant(data)
    assert (well_signed and read is not None) == vector["ok"]
    if vector["ok"]:
        said = vector["decoded"]
        typed = base64.b32encode(read[2]).decode().lower()
        assert (typed, read[3].hex()) == (said["id"], said["node"])
        assert (read[4], read[6]) == (said["kind"], said["direction"])
        assert read.get(5, b"").hex() == (said["peer"] or "")
        assert (read[7], read[8]) == (said["rules"], said["severity_max"])
        assert (read[9], read[10]) == (said["size_bytes_max"], said["messages_max"])
        assert (read[11], read[12]) == (said["from"], said["until"])
        assert (read.get(13), read.get(14)) == (said.get("kinds"), said.get("per_hour_max"))


def read_order(data):
    """An order as a map (SPEC.md section 16), or None where a rule of the section is broken."""
    if len(data) > 65792:
        return None
    try:
        order = cbor2.loads(data)
        if cbor2.dumps(order, canonical=True) != data:
            return None
    except (cbor2.CBORError, ValueError, TypeError):
        return None
    of_kind = {"policy": {5, 6}, "taint_clear": set(), "known_forget": {7}}
    if type(order) is not dict or type(order.get(3)) is not str or order[3] not in of_kind:
        return None
    fields = (
        set(order) == {1, 2, 3, 4} | of_kind[order[3]],
        type(order.get(1)) is int and order[1] == 1,
        is_bytes(order.get(2), 32),
        is_uint(order.get(4)),
        5 not in order or (is_uint(order[5]) and order[5] > 0),
        6 not in order or is_text(order[6], 65536),
        7 not in order or is_bytes(order[7], 5),
    )
    return order if all(fields) else None


def order(vector):
    """Good orders say what the vector says. Bad ones are badly signed, or signed and no orders."""
    data, given = unpacked(vector["bytes"]), vector["given"]
    approver, signed = bytes.fromhex(given["approver"]), bytes.fromhex(given["signature"])
    well_signed = verified(approver, signed, framed(ORDER_LABEL, data))
    assert well_signed == (vector["ok"] or vector["error"] != BAD_SIGNATURE)
    read = read_order(data)
    assert (well_signed and read is not None) == vector["ok"]
    if vector["ok"]:
        said, command = vector["decoded"], vector["decoded"]["command"]
        assert (read[2].hex(), read[4], read[3]) == (said["node"], said["at"], command["kind"])
        assert read.get(5) == command.get("serial")
        assert read.get(6, "").encode() == unpacked(command.get("text", ""))
        typed = base64.b32encode(read.get(7, b"")).decode().lower()
        assert typed == command.get("id", "")


def signer(parameters, approver, header, sender):
    """Whose key the countersignature must be by, or None where it does not count (section 5)."""
    method, at, *granted = parameters[HOW]
    if parameters[4] != approver:
        return None
    if not granted:
        assert method in HUMANS
        return approver
    data, signed = granted
    held = read_grant(data) if verified(approver, signed, framed(GRANT_LABEL, data)) else None
    counts = (
        held is not None
        and held[4] == GRANTED[method]
        and held[3] == sender
        and held[6] == "out"
        and held.get(5, header[4]) == header[4]
        and held[11] <= at < held[12]
    )
    return sender if counts else None


def countersigned(data, approver):
    """How this approver countersigned (RFC 9338 section 3.3): the method, or None."""
    body_protected, unprotected, payload, signature = cbor2.loads(data).value
    if 11 not in unprotected:
        return None
    protected, _, countersignature = unprotected[11]
    structure = [
        "CounterSignatureV2",
        body_protected,
        protected,
        COUNTERSIGNATURE_AAD,
        payload,
        [signature],
    ]
    theirs, ours = cbor2.loads(protected), cbor2.loads(body_protected)
    key = signer(theirs, approver, ours[HEADER], ours[4])
    if key is None or not verified(key, countersignature, cbor2.dumps(structure)):
        return None
    return theirs[HOW][0]


def countersignature(vector):
    """Good ones verify; ones that are well formed but not the approver's do not.

    What is refused for its form, and weak keys, which this library does not refuse, are not ours.
    """
    data, approver = unpacked(vector["bytes"]), bytes.fromhex(vector["given"]["approver"])
    method = countersigned(data, approver)
    assert (method is not None) == vector["ok"]
    if vector["ok"]:
        said = vector["decoded"]
        assert method == said["countersignature"]["method"]
        header = cbor2.loads(cbor2.loads(data).value[0])[HEADER]
        written = header.get(9) == "human" and method in HUMANS
        assert written == said["written_by_human"]


def signature(vector):
    """A signature outside of COSE: the label's length, the label, the message."""
    given = vector["given"]
    message = framed(given["domain"].encode(), unpacked(vector["bytes"]))
    assert verified(unpacked(given["key"]), bytes.fromhex(given["signature"]), message)


def digest(vector):
    """SHA-256 of the label, a zero byte and the bytes."""
    if "digest" in vector["decoded"]:
        label = vector["given"]["label"].encode()
        made = hashlib.sha256(label + b"\0" + unpacked(vector["bytes"]))
        assert made.hexdigest() == vector["decoded"]["digest"]


def main(folder):
    def of(name, wanted):
        return [vector for vector in vectors(folder, name) if wanted(vector)]

    def theirs_or_not(vector):
        weak = "weak-approver" in vector["id"]
        return vector["ok"] or (vector["error"] == NOT_THEIRS and not weak)

    checks = [
        (envelope, of("envelope", lambda vector: vector["ok"])),
        (countersignature, of("countersignature", theirs_or_not)),
        (grant, of("grant", lambda vector: True)),
        (order, of("order", lambda vector: True)),
        (signature, of("signature", lambda vector: vector["ok"])),
        (digest, of("digest", lambda vector: vector["ok"])),
    ]
    failed = 0
    for check, found in checks:
        assert found, f"no vectors for {check.__name__}"
        for vector in found:
            try:
                check(vector)
            except Exception as error:  # any library's own kind of refusal
                failed += 1
                print(f"FAILED {vector['id']}: {error!r}", file=sys.stderr)
        print(f"{check.__name__}: {len(found)} vectors checked")
    return 1 if failed else 0


if __name__ == "__main__":
    here = pathlib.Path(__file__).parent
    sys.exit(main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here))
