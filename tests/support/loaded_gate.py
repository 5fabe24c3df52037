"""Loads `tidegate serve` as a start of it would, and calls none of it: the fork server imports this once."""

import gc

from app.process.lean_start import start_lean

start_lean()

import app.cli.serve  # noqa: E402  after the lean start, and only to have it loaded
import app.main  # noqa: E402, F401

gc.freeze()
