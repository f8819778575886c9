"""Verifies the vectors with COSE, CBOR and Ed25519 code that is not ours.

    python3 -m venv venv
    venv/bin/pip install cwt cbor2 cryptography
    venv/bin/python tests/vectors/verify_cose.py [folder]

Every good envelope is verified as a COSE_Sign1 by `cwt`. Countersignatures are verified by the
few lines of RFC 9338 section 3.3 here, because `cwt` 3.3.0 puts the envelope's signature into the
structure by itself instead of in an array, as the section says. Ends with status 1 when a vector
fails or a file holds none.
"""

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
HEADER, HOW, EDDSA = -70001, -70002, -8
NOT_THEIRS = "no countersignature by this approver"


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
    signed = cbor2.dumps([protected, payload])
    digest = hashlib.sha256(b"countersign/envelope-digest/v1\0" + signed + signature)
    assert digest.hexdigest() == said["digest"]


def countersigned(data, approver):
    """Whether this approver countersigned (RFC 9338 section 3.3)."""
    body_protected, unprotected, payload, signature = cbor2.loads(data).value
    if 11 not in unprotected:
        return False
    protected, _, countersignature = unprotected[11]
    structure = [
        "CounterSignatureV2",
        body_protected,
        protected,
        COUNTERSIGNATURE_AAD,
        payload,
        [signature],
    ]
    theirs = cbor2.loads(protected)[4] == approver
    return theirs and verified(approver, countersignature, cbor2.dumps(structure))


def countersignature(vector):
    """Good ones verify; ones that are well formed but not the approver's do not.

    What is refused for its form, and weak keys, which this library does not refuse, are not ours.
    """
    approver = bytes.fromhex(vector["given"]["approver"])
    found = countersigned(unpacked(vector["bytes"]), approver)
    assert found == vector["ok"]


def signature(vector):
    """A signature outside of COSE: the label's length, the label, the message."""
    given = vector["given"]
    label = given["domain"].encode()
    framed = bytes([len(label)]) + label + unpacked(vector["bytes"])
    assert verified(unpacked(given["key"]), bytes.fromhex(given["signature"]), framed)


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
