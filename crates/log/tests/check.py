"""Checks one checkpoint and one inclusion proof with hashlib alone: RFC 8032, RFC 6962, C2SP.

Usage: check.py KEY CHECKPOINT ENTRY INDEX PROOF
KEY: the log's public key, hex.  CHECKPOINT, ENTRY, PROOF: files.  Exit 0 only if all holds.
"""

import base64
import hashlib
import sys

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def add(a, b):
    (x1, y1), (x2, y2) = a, b
    t = D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + t, P - 2, P)
    y = (y1 * y2 + x1 * x2) * pow(1 - t, P - 2, P)
    return x % P, y % P


def times(n, point):
    result = (0, 1)
    while n:
        if n & 1:
            result = add(result, point)
        point, n = add(point, point), n >> 1
    return result


def point(encoded):
    number = int.from_bytes(encoded, "little")
    y, sign = number & (2**255 - 1), number >> 255
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert y < P and (x * x - square) % P == 0, "not a point on the curve"
    return (x if x & 1 == sign else P - x), y


def verify_signature(key, message, signature):
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    k = int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % L
    base = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
    assert len(signature) == 64 and s < L, "malformed signature"
    assert times(s, base) == add(point(r), times(k, point(key))), "false signature"


def open_checkpoint(key, note):
    text, signatures = note.rsplit("\n\n", 1)
    origin, size, root = text.split("\n")
    assert origin == "imprimatur/" + sha256(key).hex()[:16], "another log"
    name, encoded = signatures.split("\n")[0].removeprefix("\u2014 ").split(" ")
    line = base64.b64decode(encoded, validate=True)
    assert name == origin and line[:4] == sha256(name.encode(), b"\n\x01", key)[:4], "another key"
    verify_signature(key, (text + "\n").encode(), line[4:])
    return int(size), base64.b64decode(root, validate=True)


def root_of(leaf, index, size, proof):
    """The root that the proof leads to, by the recursive definition of RFC 6962, 2.1.1."""
    if size == 1:
        assert not proof, "the proof is too long"
        return leaf
    assert proof, "the proof is too short"
    left = 1 << (size - 1).bit_length() - 1
    if index < left:
        return sha256(b"\x01", root_of(leaf, index, left, proof[:-1]), proof[-1])
    return sha256(b"\x01", proof[-1], root_of(leaf, index - left, size - left, proof[:-1]))


def main(key, checkpoint, entry, index, proof):
    read = lambda path: open(path, "rb").read()
    size, root = open_checkpoint(bytes.fromhex(key), read(checkpoint).decode())
    hashes = read(proof)
    assert len(hashes) % 32 == 0 and 0 <= int(index) < size, "no such leaf, or no proof"
    hashes = [hashes[at : at + 32] for at in range(0, len(hashes), 32)]
    assert root_of(sha256(b"\x00", read(entry)), int(index), size, hashes) == root, "not in the log"


if __name__ == "__main__":
    main(*sys.argv[1:])
