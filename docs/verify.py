"""Is this text the key of this record? docs/elsewhere.md says what else a verifier has to look at.

    python3 docs/verify.py docs/vectors.json

Python 3.9 or newer. Argon2id comes from the package `cryptography`, 44 or newer.
"""
import base64, hmac, json, re, sys, zlib

try:
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
except ImportError:
    Argon2id = None

KEY = re.compile(r"((?:[a-z][a-z0-9]{0,15}_)?(?:user|team))\.([A-Za-z0-9_-]{20})\.[A-Za-z0-9_-]{48}")
COST = r"m=([1-9][0-9]{0,6}),t=([1-9][0-9]?),p=1"
PHC = re.compile(r"\$argon2id\$v=19\$" + COST + r"\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})")
KIB, PASSES = range(64, 19_457), range(1, 6)  # from the least to the most of the named profiles


class Corrupt(Exception):
    """The record cannot be used. That says nothing against the key: answer 503, not 401."""


def key_id(text, prefixes):
    """The id in a well-formed key. None if the text is no key."""
    parts = KEY.fullmatch(text)
    if parts is None or parts[1] not in prefixes:
        return None
    checksum = zlib.crc32(text[:-4].encode("ascii")).to_bytes(4, "big")[1:]
    return parts[2] if base64.urlsafe_b64encode(checksum).decode() == text[-4:] else None


def proof(text, phc, pepper):
    """The stored proof of the text: HKDF (RFC 5869) and HMAC, both with SHA-256."""
    extracted = hmac.digest(bytes(32), pepper, "sha256")
    key = hmac.digest(extracted, b"tower-api-keys v1 stored proof\x01", "sha256")
    return hmac.digest(key, len(text).to_bytes(2, "big") + (text + phc).encode("ascii"), "sha256")


def is_key_of(text, record, peppers):
    """Whether this well-formed text is the key of this record; None if Argon2id is not there."""
    phc, number = PHC.fullmatch(record["hash"]), record["pepper_id"]
    if phc is None or int(phc[1]) not in KIB or int(phc[2]) not in PASSES:
        raise Corrupt("the hash is none that this service writes")  # before any memory is taken
    if number is not None and number not in peppers:
        raise Corrupt("the pepper is not known here")
    pepper = None if number is None else peppers[number]
    stored = record["proof"]
    if pepper and stored and hmac.compare_digest(proof(text, phc[0], pepper), stored):
        return True  # a proof can only accept: without one that fits, the hash decides
    if Argon2id is None:
        return None
    salt, expected = (base64.b64decode(part + "=" * (-len(part) % 4)) for part in phc.group(3, 4))
    cost = {"memory_cost": int(phc[1]), "iterations": int(phc[2]), "lanes": 1, "length": 32}
    made = Argon2id(salt=salt, secret=pepper, **cost).derive(text.encode("ascii"))
    return hmac.compare_digest(made, expected)


def answer(text, record, prefixes, peppers):
    """`accepted`, `wrong`, `malformed` or `corrupt`; None if Argon2id would have to decide."""
    found = key_id(text, prefixes)
    if found is None:
        return "malformed"
    if found != record["id"]:
        return "wrong"
    try:
        return {True: "accepted", False: "wrong", None: None}[is_key_of(text, record, peppers)]
    except Corrupt:
        return "corrupt"


def main(path):
    with open(path, encoding="utf-8") as file:
        published = json.load(file)
    peppers = {int(id): base64.b64decode(text) for id, text in published["peppers"].items()}
    counts = {"right": 0, "wrong": 0, "skipped": 0}
    for vector in published["vectors"]:
        record = dict(vector["record"])
        record["proof"] = record["proof"] and bytes.fromhex(record["proof"])
        said = answer(vector["text"], record, published["prefixes"], peppers)
        verdict = "skipped" if said is None else "right" if said == vector["answer"] else "wrong"
        counts[verdict] += 1
        if verdict == "wrong":
            print(f"{vector['name']}: {said} instead of {vector['answer']}")
    print(f"{counts['right']} right, {counts['wrong']} wrong, {counts['skipped']} skipped")
    if counts["skipped"]:
        print("skipped, for Argon2id is not there: install the package `cryptography`, 44 or newer")
    return 1 if counts["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
