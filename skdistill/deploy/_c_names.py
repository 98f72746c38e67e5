"""Names in C: identifiers, strings and comments, of which none can end early."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

# With "student_level_" before them, C99 tells names of fewer than 64 characters apart.
_LONGEST = 40

# The keywords of C and C++, and macros in lower case of headers and compilers.
_WORDS = """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t
    char32_t char8_t class co_await co_return co_yield compl concept const const_cast
    consteval constexpr constinit continue decltype default delete do double
    dynamic_cast else enum errno explicit export extern false far float for friend goto
    huge i386 if inline int interrupt linux long math_errhandling mips mutable namespace
    near new noexcept not not_eq nullptr operator or or_eq private protected public
    register reinterpret_cast requires restrict return short signed sizeof static
    static_assert static_cast stderr stdin stdout struct switch template this
    thread_local throw true try typedef typeid typename typeof union unix unsigned using
    virtual void volatile wchar_t while xor xor_eq
"""
_RESERVED = frozenset(_WORDS.split())

# What stands for itself in a string and in a comment.
_PLAIN = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 _-.,:;+=()[]{}<>@#&"
)


def identifiers(names: Iterable[str]) -> list[str]:
    """Return a valid identifier for each name, each another one.

    Letters and digits of ASCII stay. A name without small letters gets small ones, as
    it might be that of a macro.
    """
    found: dict[str, None] = {}  # in their order, and quick to look up
    for name in names:
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        base = re.sub(r"\W+", "_", plain, flags=re.ASCII).strip("_")[:_LONGEST]
        base = base.lower() if base.isupper() else base
        if not base or base[0].isdigit():
            base = f"column_{base}".rstrip("_")
        unique, n = base, 1
        while unique in found or unique in _RESERVED:
            n += 1
            unique = f"{base}_{n}"
        found[unique] = None
    return list(found)


def literal(text: str) -> str:
    """Return a string of C in UTF-8, in pieces of at most a line.

    All but plain characters are octal: so are quotes, backslashes, and the question
    marks of trigraphs.
    """
    # JSON may hold half of a surrogate pair, which UTF-8 has no bytes for.
    data = text.encode("utf-8", "backslashreplace")
    escaped = [chr(b) if chr(b) in _PLAIN else f"\\{b:03o}" for b in data]
    lines = [escaped[i : i + 60] for i in range(0, len(escaped), 60)] or [[]]
    return "\n    ".join(f'"{"".join(line)}"' for line in lines)


def comment(text: str) -> str:
    """Return what a comment may hold of a text, which is cut off when it is long."""
    shown = "".join(
        c if c in _PLAIN or (c.isalnum() and not c.isascii()) else f"%{ord(c):x}"
        for c in text[:60].encode("utf-8", "backslashreplace").decode("utf-8")
    )
    return f'"{shown}{"..." if len(text) > 60 else ""}"'
