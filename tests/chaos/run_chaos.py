#!/usr/bin/python3
"""Kills, freezes and promotes real PostgreSQL servers under clipd's store and servers.

  run_chaos.py CHAOS_CLIENT

What must hold: no search gives a wrong answer, nothing acknowledged is lost, a database
that is down or silent is told as "unavailable" within a second, and calls are answered
again within two seconds of the database. Needs what tools/postgres_for_tests.sh prepare
makes. Exits 1 when something does not hold. The servers are those of $CLIPD, as in
tests/http."""

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

from databases import must, remove_all, server, tool
from replicas import stop_database_of_replicas

CLIENT = os.path.abspath(sys.argv[1])
UNAVAILABLE_MS = 1000
AGAIN_S = 2.0


class Client:
    """A process of chaos_client; its lines are read as they come."""

    def __init__(self, store, prefix):
        self.calls = []  # (what, id, status, ms, when)
        self.process = subprocess.Popen([CLIENT, store, prefix], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            if line.endswith("\n"):
                what, identifier, status, took, when = line.split()
                self.calls.append((what, identifier, status, float(took), float(when)))

    def stop(self, kill=False):
        if kill:
            self.process.kill()
        else:
            self.process.stdin.close()
        self.process.wait()
        self.thread.join()
        self.process.stdout.close()
        if kill:
            self.process.stdin.close()
        elif self.process.returncode:
            sys.exit(f"chaos_client: exit {self.process.returncode}")

    def acknowledged(self):
        return {call[1] for call in self.calls if call[0] == "write" and call[2] == "ok"}

    def between(self, start, end):
        """Calls that began after `start` and ended before `end`."""
        return [call for call in self.calls if call[4] - call[3] / 1000 >= start and call[4] <= end]


def check(clients, store):
    acknowledged = set().union(*(client.acknowledged() for client in clients))
    done = subprocess.run([CLIENT, store], check=True, capture_output=True, text=True)
    lost = acknowledged - set(done.stdout.split())
    wrong = sum(call[2] == "wrong" for client in clients for call in client.calls)
    must(not lost, f"{len(lost)} acknowledged writes are lost: {sorted(lost)[:5]}")
    must(wrong == 0, f"{wrong} wrong answers")
    return len(acknowledged), sum(len(client.calls) for client in clients)


def wait_until_good(client, since, limit=10.0):
    """How long after `since` a write and a search were answered."""
    while time.monotonic() < since + limit:
        good = [call for call in client.calls if call[4] >= since and call[2] == "ok"]
        if {"write", "search"} <= {call[0] for call in good}:
            return max(next(call[4] for call in good if call[0] == what)
                       for what in ("write", "search")) - since
        time.sleep(0.01)
    sys.exit(f"chaos: no good answer within {limit} s")


def kill_replicas():
    """Two replicas on one database; one after the other is killed in the middle of its work."""
    _, store = server("start", "replicas")
    steady, dead = Client(store, "steady"), []
    for kill in range(8):
        client = Client(store, f"victim{kill}")
        time.sleep(random.uniform(0.3, 0.8))
        client.stop(kill=True)
        dead.append(client)
    steady.stop()
    failed = [call for call in steady.calls if call[2] != "ok"]
    must(not failed, f"the replica that lives on saw {failed[:3]}")
    writes, calls = check([steady, *dead], store)
    print(f"  8 replicas killed: {writes} acknowledged writes, 0 lost; {calls} calls, 0 wrong")


def stop_database():
    """The database is silent, dies, is stopped and comes back."""
    name, store = server("start", "stopped")
    client = Client(store, "only")
    wait_until_good(client, time.monotonic())
    for away, back in (("freeze", "thaw"), ("kill", "again"), ("stop", "again"), ("freeze", "thaw")):
        time.sleep(0.5)
        tool(away, name)
        start = time.monotonic()
        time.sleep(3)
        end = time.monotonic()
        calls = client.between(start, end)
        tool(back, name)
        again = wait_until_good(client, time.monotonic())
        # Those that were on their way when it happened, too.
        slowest = max(call[3] for call in client.calls if call[4] >= start)
        must(calls and {call[2] for call in calls} == {"unavailable"},
             f"{away}: calls gave {set(call[2] for call in calls)}")
        must(slowest <= UNAVAILABLE_MS, f"{away}: a call took {slowest} ms")
        must(again <= AGAIN_S, f"{back}: answered after {again:.2f} s")
        print(f"  {away}: {len(calls)} calls unavailable, slowest {slowest:.0f} ms; "
              f"{back}: answers after {again:.2f} s")
    client.stop()
    check([client], store)


def lose_primary():
    """The primary dies; its synchronous standby takes over."""
    primary, store = server("start", "first")
    clients, outages = [], []
    for round_number in range(3):
        standby, other = server("standby", f"next{round_number}", primary)
        both = f"{store.rsplit('/', 1)[0]},{other.split('@')[1]}?target_session_attrs=read-write"
        client = Client(both, f"round{round_number}")
        clients.append(client)
        wait_until_good(client, time.monotonic())
        time.sleep(1)
        tool("kill", primary)
        time.sleep(0.5)
        # From here on somebody may become the primary.
        start = time.monotonic()
        tool("promote", standby)
        outages.append(wait_until_good(client, start))
        must(outages[-1] <= AGAIN_S, f"answered {outages[-1]:.2f} s after promotion began")
        time.sleep(0.5)
        client.stop()
        slowest = max(call[3] for call in client.calls)
        must(slowest <= UNAVAILABLE_MS, f"a call took {slowest} ms")
        check([client], other)
        primary, store = standby, other
    writes, _ = check(clients, store)
    print(f"  3 primaries killed: {writes} acknowledged writes, 0 lost; answers "
          f"{', '.join(f'{outage:.2f}' for outage in outages)} s after promotion began")


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8") as line, \
             open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return line.read().replace("\0", " "), stat.read().rpartition(")")[2].split()[1]
    except OSError:
        return "", "0"


def wait_for_waiting(name, client, limit=60.0):
    """The process of server `name` that waits for a standby; None when the client ends first."""
    end = time.monotonic() + limit
    while client.poll() is None and time.monotonic() < end:
        for pid in filter(str.isdigit, os.listdir("/proc")):
            title, parent = command_line(pid)
            if re.search(r"^postgres: .* waiting for [0-9A-F]+/[0-9A-F]+", title) and \
               name in command_line(parent)[0]:
                return int(pid)
        time.sleep(0.01)
    return None


def cut_wait():
    """A wait for the synchronous standby is cut short; what it was for is there already, and
    must not be acknowledged before the standby has it, too."""
    primary, store = server("start", "cut")
    standby, _ = server("standby", "late", primary)
    client = Client(store, "item")
    wait_until_good(client, time.monotonic())
    client.stop()
    tool("freeze", standby)
    with subprocess.Popen([CLIENT, store, "delete", "item-0"], stdout=subprocess.PIPE,
                          text=True) as delete:
        first = again = wait_for_waiting(primary, delete)
        must(first, "a delete does not wait for the standby")
        os.kill(first, signal.SIGINT)
        while again == first:
            again = wait_for_waiting(primary, delete)
        tool("thaw", standby)
        answer = delete.stdout.read().strip()
    must(again, f"a delete whose wait was cut short gave \"{answer}\" without the standby")
    must(answer == "ok 1", f"a delete whose wait was cut short gave \"{answer}\", expected \"ok 1\"")
    print("  a wait cut short: acknowledged when the standby was back, 1 deleted")


SCENARIOS = (kill_replicas, stop_database, stop_database_of_replicas, lose_primary, cut_wait)


def main():
    random.seed(7)
    try:
        for scenario in SCENARIOS:
            print(f"{scenario.__name__}:", flush=True)
            scenario()
    finally:
        remove_all()


main()
