"""The parts of the system tests: real programs, each behind a small class.

No part knows a test. Each listens on a free port of 127.0.0.1, keeps its files in the
directory that it is given, and ends when its stop() is called.
"""
