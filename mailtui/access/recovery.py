"""Recovery codes: for once each, instead of a code of the phone. Kept as Argon2id hashes."""

from __future__ import annotations

import re
import secrets

COUNT = 10
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without what looks alike; ten of these are 49 bits."""
_FORM = re.compile(rf"[{_ALPHABET}]{{5}}[- ]?[{_ALPHABET}]{{5}}")


def new_codes() -> tuple[str, ...]:
    """Ten codes like `k4mpx-9wq2d`."""

    def half() -> str:
        return "".join(secrets.choice(_ALPHABET) for _ in range(5))

    return tuple(f"{half()}-{half()}" for _ in range(COUNT))


def normal(text: str) -> str | None:
    """A recovery code as it was hashed, or None if `text` is none."""
    word = text.strip().lower()
    if not _FORM.fullmatch(word):
        return None
    return word[:5] + word[-5:]


def hashed(code: str) -> str:
    """Argon2id in PHC form, by OWASP's least parameters (19 MiB, t=2, p=1): the codes are random.
    Some 30 ms of work."""
    from argon2 import PasswordHasher

    word = normal(code)
    assert word is not None
    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1).hash(word)


def is_hash_of(stored: str, word: str) -> bool:
    """True if `word` (normal form) is what was hashed."""
    from argon2 import PasswordHasher
    from argon2.exceptions import Argon2Error, InvalidHashError

    try:
        return PasswordHasher().verify(stored, word)
    except (Argon2Error, InvalidHashError):
        return False
