"""The tests of collections with their store in PostgreSQL: those of $CLIPD_POSTGRES, as
tests/support/postgres_database.h says."""

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
