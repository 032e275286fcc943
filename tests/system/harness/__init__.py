"""The parts of the system tests: real programs, each behind a small class.

Nothing here knows a test. Everything listens on 127.0.0.1 on free ports, keeps
its files in a directory that it is given, and ends when its stop() is called.
"""
