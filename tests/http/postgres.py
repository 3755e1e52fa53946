"""The tests of collections with their store in PostgreSQL: those of $CLIPD_POSTGRES, as
tests/support/postgres_database.h says."""

import contextlib
import os
import subprocess
import unittest

from harness import BINARY

LENDER = os.path.join(os.path.dirname(BINARY), "tests/http/lend_database")


class Database:
    """An empty database, until it is closed. Without a server the test is skipped."""

    def __init__(self):
        self.process = subprocess.Popen([LENDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()
        if "://" not in self.address:
            print(self.address, flush=True)
            self.close()
            raise unittest.SkipTest(self.address)

    def turn_lock(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    @contextlib.contextmanager
    def locked(self):
        """Meanwhile nobody can look up a collection."""
        assert self.turn_lock() == "held"
        try:
            yield
        finally:
            assert self.turn_lock() == "free"

    def close(self):
        self.process.communicate()


class InPostgres:
    """In front of a Store, or of whoever has a location() of one."""

    store = "postgresql"

    @classmethod
    def setUpClass(cls):
        cls.database = Database()
        cls.addClassCleanup(cls.database.close)
        super().setUpClass()

    @classmethod
    def location(cls):
        return cls.database.address
