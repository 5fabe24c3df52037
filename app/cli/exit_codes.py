"""How every command exits when not all is fine."""

REFUSED, USAGE, UNREACHABLE, INTERRUPTED = 1, 2, 3, 130
