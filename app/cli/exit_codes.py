"""The exit codes of every command when not all is fine; 0 says that it is."""

REFUSED, USAGE, UNREACHABLE, INTERRUPTED = 1, 2, 3, 130
