"""The version, which runs note beside their commit. Tests: tests/test_docs.py."""

VERSION = "0.1.0"
