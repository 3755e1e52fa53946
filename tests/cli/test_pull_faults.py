"""`clipd pull` from a hub that is slow, broken or hostile, onto a disk that is full."""

import os
import resource
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
import unittest

from hub_server import COMMIT, Hub, sha256
from program import BINARY, DATA, IO, NO_INPUT, NOT_ALLOWED, ROOT, UNAVAILABLE, clipd, environment
from test_pull import NAME, STARTER, PullTest, megabytes

WEIGHTS = STARTER["model.safetensors"]
BLOB = sha256(WEIGHTS)
STORED = "/stored/" + BLOB
LISTING = f"/api/models/{NAME}/revision/main"


def status(code, **headers):
    return lambda handler: handler.reply(code, b"<html>no</html>", **headers)


class FaultTest(PullTest):
    def ranges(self):
        """What was asked for of the weights."""
        return [headers.get("Range") for kind, _, _, headers in self.hub.requests
                if kind == "storage"]

    def assert_nothing_of_the_weights(self):
        self.assertEqual([name for name in self.blobs() if name.startswith(BLOB)], [])
        self.assertFalse(os.path.lexists(os.path.join(self.snapshot, "model.safetensors")))
        self.assertFalse(os.path.exists(os.path.join(self.model, "refs", "main")))


class Resume(FaultTest):
    def test_from_where_it_was(self):
        self.write_blob(BLOB + ".incomplete", WEIGHTS[:1000000])
        code, _, err = self.pull()
        self.assertEqual(code, 0, err)
        self.assert_whole()
        self.assertEqual(self.ranges(), ["bytes=1000000-"])
        left = megabytes(sum(map(len, STARTER.values())) - 1000000)
        self.assertIn(f"{len(STARTER)} files, {left} to fetch", err)

    def test_a_range_that_is_ignored(self):
        self.hub.ignore_range = True
        self.write_blob(BLOB + ".incomplete", WEIGHTS[:1000000])
        self.assertEqual(self.pull()[0], 0)
        self.assert_whole()

    def test_a_range_that_is_refused(self):
        self.write_blob(BLOB + ".incomplete", WEIGHTS[:1000000])
        self.hub.fault("GET", STORED, status(416))
        self.assertEqual(self.pull()[0], 0)
        self.assert_whole()
        self.assertEqual(self.ranges(), ["bytes=1000000-", None])

    def test_another_range_than_asked_for(self):
        self.write_blob(BLOB + ".incomplete", WEIGHTS[:1000000])
        self.hub.fault("GET", STORED, lambda handler: handler.reply(
            206, WEIGHTS[5:], Content_Range=f"bytes 5-{len(WEIGHTS) - 1}/{len(WEIGHTS)}"))
        code, _, err = self.pull()
        self.assertEqual(code, UNAVAILABLE)
        self.assertIn("expected one from byte 1000000 on", err)
        self.assertEqual(self.read("blobs", BLOB + ".incomplete"), WEIGHTS[:1000000])

    def test_damaged_remains(self):
        for remains in (b"\0" * 1000000, b"\0" * len(WEIGHTS), WEIGHTS + b"\0"):
            with self.subTest(size=len(remains)):
                self.write_blob(BLOB + ".incomplete", remains)
                code, _, err = self.pull()
                self.assertEqual(code, 0, err)
                self.assert_whole()
                subprocess.run(["rm", "-r", self.model], check=True)

    def test_remains_that_are_whole(self):
        self.write_blob(BLOB + ".incomplete", WEIGHTS)
        self.assertEqual(self.pull()[0], 0)
        self.assert_whole()
        self.assertEqual(self.ranges(), [])

    def test_a_connection_that_is_cut(self):
        self.hub.fault("GET", STORED, lambda handler: handler.cut(WEIGHTS, 1500000))
        code, _, err = self.pull()
        self.assertEqual(code, 0, err)
        self.assert_whole()
        self.assertEqual(self.ranges()[0], None)
        self.assertRegex(self.ranges()[1], r"^bytes=\d{4,7}-$")
        self.assertRegex(err, r"clipd: model\.safetensors: .*; trying again in 1 s")

    def test_connections_that_are_cut_again_and_again(self):
        def next_part(handler):
            first = int((handler.headers.get("Range") or "bytes=0-")[len("bytes="):-1])
            handler.cut(WEIGHTS[first:], 1100000, 206 if first else 200,
                        Content_Range=f"bytes {first}-{len(WEIGHTS) - 1}/{len(WEIGHTS)}")
        self.hub.fault("GET", STORED, *[next_part] * 6)
        code, _, err = self.pull()
        self.assertEqual(code, 0, err)
        self.assert_whole()
        self.assertEqual(len(self.ranges()), 7)
        self.assertEqual(err.count("trying again in 1 s"), 6)

    def test_the_same_bytes_again_and_again(self):
        self.hub.fault("GET", STORED, *[lambda handler: handler.cut(WEIGHTS, 2000000)] * 9)
        code, _, err = self.pull()
        self.assertEqual(code, UNAVAILABLE, err)
        self.assertIn("5 times in a row", err)
        self.assertEqual(len(self.ranges()), 5)

    def test_a_body_that_is_short_without_a_length(self):
        def chunked(handler):
            handler.send_response(200)
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            handler.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (1000000, WEIGHTS[:1000000]))
        self.hub.fault("GET", STORED, chunked)
        code, _, err = self.pull()
        self.assertEqual(code, 0, err)
        self.assertIn("the connection was cut; trying again in 1 s", err)
        self.assertEqual(self.ranges(), [None, "bytes=1000000-"])
        self.assert_whole()

    def test_killed_meanwhile(self):
        def stall(handler):
            handler.cut(WEIGHTS, 2000000)
            time.sleep(30)
        self.hub.fault("GET", STORED, stall)
        with subprocess.Popen([BINARY, "pull", NAME], cwd=ROOT, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL,
                              env=environment(**self.hub.environment(self.home))) as process:
            part = os.path.join(self.model, "blobs", BLOB + ".incomplete")
            while not os.path.exists(part) or os.path.getsize(part) < 2000000:
                self.assertIsNone(process.poll())
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
        self.assertFalse(os.path.exists(os.path.join(self.model, "refs")))
        self.assertEqual(self.run_clipd("info", "--model", NAME)[0], NO_INPUT)
        self.hub.requests.clear()
        self.assertEqual(self.pull()[0], 0)
        self.assert_whole()
        self.assertEqual(self.ranges(), ["bytes=2000000-"])


class Busy(FaultTest):
    def test_later_it_answers(self):
        self.hub.fault("GET", LISTING, status(429, Retry_After="2"))
        self.hub.fault("HEAD", self.path("config.json"), status(503))
        self.hub.fault("GET", STORED, status(500))
        code, _, err = self.pull()
        self.assertEqual(code, 0, err)
        self.assert_whole()
        self.assertRegex(err, r"org/starter: 127\.0\.0\.1:\d+ answers with status 429; "
                              r"trying again in 2 s")
        self.assertRegex(err, r"config\.json: .* answers with status 503; trying again in 1 s")
        self.assertRegex(err, r"model\.safetensors: .* answers with status 500; trying again")

    def test_much_later_is_too_late(self):
        self.hub.fault("GET", LISTING, status(429, Retry_After="3600"))
        code, _, err = self.pull()
        self.assertEqual(code, UNAVAILABLE)
        self.assertIn("status 429, and asks to come back in 3600 seconds", err)

    def test_it_never_answers(self):
        self.hub.fault("GET", LISTING, *[status(503)] * 9)
        code, _, err = self.pull()
        self.assertEqual(code, UNAVAILABLE)
        self.assertIn("answers with status 503, 5 times in a row", err)
        self.assertEqual(self.hub.asked(), [LISTING] * 5)

    def test_nobody_listens(self):
        with Hub({}) as gone:
            endpoint = gone.endpoint
        code, _, err = self.pull(HF_ENDPOINT=endpoint)
        self.assertEqual(code, UNAVAILABLE)
        self.assertIn("5 times in a row", err)

    def test_a_signed_address_that_has_expired(self):
        self.hub.fault("GET", STORED, status(403))
        self.assertEqual(self.pull()[0], 0)
        self.assert_whole()
        self.assertEqual(self.hub.asked("hub", "GET").count(self.path("model.safetensors")), 2)


class Refused(FaultTest):
    def test_who_asks(self):
        for code, token, said in ((401, "", "it takes a token: set HF_TOKEN"),
                                  (401, "hf_x", "the token is not valid"),
                                  (403, "hf_x", "access must be asked for")):
            self.hub.fault("GET", LISTING, status(code))
            found, _, err = self.pull(HF_TOKEN=token)
            self.assertEqual(found, NOT_ALLOWED)
            self.assertIn(said, err)
        self.hub.fault("HEAD", self.path("model.safetensors"), status(403))
        self.assertEqual(self.pull()[0], NOT_ALLOWED)
        self.assertFalse(os.path.exists(os.path.join(self.model, "refs")))

    def test_what_is_not_there(self):
        for name in ("org/none", NAME + "@none"):
            code, _, err = self.pull(name=name)
            self.assertEqual(code, NO_INPUT)
            self.assertIn("there is no such model, revision or file", err)
        code, _, err = self.pull(HF_ENDPOINT=self.hub.endpoint + "/below")
        self.assertEqual(code, NO_INPUT, err)

    def test_another_status(self):
        self.hub.fault("GET", LISTING, status(418))
        code, _, err = self.pull()
        self.assertEqual(code, UNAVAILABLE)
        self.assertIn("answers with status 418", err)


class Token(FaultTest):
    """It is told to the hub, and to nobody else."""

    def authorizations(self, kind):
        return {headers.get("Authorization") for k, _, _, headers in self.hub.requests if k == kind}

    def test_of_the_environment(self):
        self.assertEqual(self.pull(HF_TOKEN="hf_secret")[0], 0)
        self.assertEqual(self.authorizations("hub"), {"Bearer hf_secret"})
        self.assertEqual(self.authorizations("storage"), {None})

    def test_of_a_login(self):
        with open(os.path.join(self.home, "token"), "w", encoding="ascii") as file:
            file.write("hf_file\n")
        self.assertEqual(self.pull()[0], 0)
        self.assertEqual(self.authorizations("hub"), {"Bearer hf_file"})
        self.assertEqual(self.authorizations("storage"), {None})

    def test_of_nobody(self):
        self.pull()
        self.assertEqual(self.authorizations("hub"), {None})

    def test_through_redirects(self):
        """A model that was renamed: on the hub it is sent along, away from it and back."""
        there = self.hub.storage + "/away"
        self.hub.fault("GET", LISTING, status(307, Location="/api/other"))
        self.hub.fault("GET", "/api/other", status(302, Location=there))
        self.hub.fault("GET", "/away", status(302, Location=self.hub.endpoint + "/back"))
        self.hub.fault("GET", "/back", status(301, Location=LISTING))
        code, _, err = self.pull(HF_TOKEN="hf_secret")
        self.assertEqual(code, 0, err)
        self.assertEqual(self.authorizations("hub"), {"Bearer hf_secret"})
        self.assertEqual(self.authorizations("storage"), {None})
        code, _, err = self.pull("--quiet", HF_TOKEN="hf_secret", HF_ENDPOINT="http://127.0.0.1:1")
        self.assertNotIn("hf_secret", err)


class Certificate(FaultTest):
    def test_that_nobody_has_signed(self):
        if not shutil.which("openssl"):
            print("skipped: no openssl to make a certificate with")
            return
        with tempfile.TemporaryDirectory() as folder:
            key, certificate = os.path.join(folder, "key"), os.path.join(folder, "certificate")
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj",
                            "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
                            key, "-out", certificate], check=True, capture_output=True)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
        server = self.hub.servers[0]
        server.socket = context.wrap_socket(server.socket, server_side=True)
        code, _, err = self.pull(HF_ENDPOINT=self.hub.endpoint.replace("http", "https"),
                                 HF_TOKEN="hf_secret")
        self.assertEqual(code, UNAVAILABLE)
        self.assertIn("certificate", err)
        self.assertNotIn("trying again", err)
        self.assertEqual(self.hub.requests, [])


class Hostile(FaultTest):
    def pull_listing(self, body):
        self.hub.fault("GET", LISTING, lambda handler: handler.reply(200, body))
        return self.pull()

    def test_names_of_files(self):
        for name in ("../../x", "/etc/x", "a/../../x", "a//x", "./x", "a\\x", "x\\u0000y", "x\\n",
                     "", "x" * 300):
            body = ('{"sha": "%s", "siblings": [{"rfilename": "model.safetensors"}, '
                    '{"rfilename": "%s"}]}' % (COMMIT, name)).encode()
            code, _, err = self.pull_listing(body)
            self.assertEqual(code, DATA, (name, err))
        self.assertEqual(os.listdir(self.home), [])

    def test_shards(self):
        for name in ("../../../x", "/etc/passwd"):
            self.hub.repositories[NAME] = {
                "config.json": b"{}",
                "model.safetensors.index.json": b'{"weight_map": {"a": "%s"}}' % name.encode()}
            code, _, err = self.pull()
            self.assertEqual(code, DATA)
            self.assertIn("which is no path within a repository", err)

    def test_listings(self):
        for body in (b"", b"<html>", b"[]", b"{}", b'{"sha": "../../x", "siblings": []}',
                     b'{"sha": "%s"}' % COMMIT.encode(),
                     b'{"sha": "%s", "siblings": [7]}' % COMMIT.encode(),
                     b"[" * 100000):
            code, _, err = self.pull_listing(body)
            self.assertEqual(code, DATA, body[:40])
            self.assertIn("is HF_ENDPOINT right?", err)

    def test_a_listing_without_end(self):
        def endless(handler):
            handler.send_response(200)
            handler.end_headers()
            handler.close_connection = True
            while True:
                handler.wfile.write(b" " * 65536)
        self.hub.fault("GET", LISTING, endless)
        code, _, err = self.pull()
        self.assertEqual(code, DATA)
        self.assertIn("too long: more than the limit of 16777216 bytes", err)

    def test_many_files(self):
        files = ",".join('{"rfilename": "%d"}' % i for i in range(20000))
        code, _, err = self.pull_listing(b'{"sha": "%s", "siblings": [%s]}'
                                         % (COMMIT.encode(), files.encode()))
        self.assertEqual(code, DATA)
        self.assertIn("more than 10000 files", err)

    def test_a_commit_that_was_not_asked_for(self):
        self.hub.revisions.add("a" * 40)
        code, _, err = self.pull(name=f"{NAME}@{'a' * 40}")
        self.assertEqual(code, DATA)
        self.assertIn(f"asked for commit {'a' * 40}, the hub answers with {COMMIT}", err)

    def test_digests(self):
        for tag in ('"../../x"', '"%s"' % ("g" * 40), '"%s"' % ("A" * 64), "", '"%s"' % ("a" * 500)):
            self.hub.fault("HEAD", self.path("config.json"), status(200, ETag=tag))
            code, _, err = self.pull()
            self.assertEqual(code, DATA, tag)
            self.assertIn("the hub names no digest", err)

    def test_sizes(self):
        for size in ("-1", "x", "1e9", "99999999999999999999"):
            self.hub.fault("HEAD", self.path("model.safetensors"), status(
                302, Location=self.hub.storage, X_Linked_Etag=f'"{BLOB}"', X_Linked_Size=size))
            code, _, err = self.pull()
            self.assertEqual(code, DATA, size)
            self.assertIn("the hub names no size", err)

    def test_a_wrong_digest(self):
        self.hub.fault("GET", STORED, status(200), *[
            lambda handler: handler.reply(200, b"\0" * len(WEIGHTS))] * 2)
        code, _, err = self.pull()
        self.assertEqual(code, DATA, err)
        self.assertIn(f"expected {BLOB}; nothing of it is kept", err)
        self.assert_nothing_of_the_weights()
        self.hub.faults.clear()
        self.assertEqual(self.pull()[0], 0)
        self.assert_whole()

    def test_more_than_announced(self):
        self.hub.fault("GET", STORED, lambda handler: handler.reply(200, WEIGHTS + b"\0"))
        code, _, err = self.pull()
        self.assertEqual(code, DATA)
        self.assertIn(f"more comes than the {len(WEIGHTS)} bytes", err)
        self.assertFalse(os.path.exists(os.path.join(self.model, "refs")))

    def test_redirects(self):
        for location, said in (("", "redirects to nowhere"), (STORED, "more than 8 redirects"),
                               ("file:///etc/passwd", "an address that is not https"),
                               ("ftp://127.0.0.1/x", "an address that is not https")):
            faults = [status(302, Location=location) if location else status(302)] * 20
            self.hub.faults["GET", STORED] = faults
            code, _, err = self.pull()
            self.assertEqual(code, UNAVAILABLE, location)
            self.assertIn(said, err)
            self.hub.faults.clear()

    def test_a_link_in_the_place_of_the_remains(self):
        victim = os.path.join(self.home, "victim")
        with open(victim, "w", encoding="ascii") as file:
            file.write("mine")
        os.makedirs(os.path.join(self.model, "blobs"))
        os.symlink(victim, os.path.join(self.model, "blobs", BLOB + ".incomplete"))
        self.assertEqual(self.pull()[0], IO)
        with open(victim, encoding="ascii") as file:
            self.assertEqual(file.read(), "mine")


class Full(FaultTest):
    def test_seen_beforehand(self):
        self.hub.fault("HEAD", self.path("model.safetensors"), status(
            302, Location=self.hub.storage, X_Linked_Etag=f'"{BLOB}"', X_Linked_Size=str(1 << 60)))
        code, _, err = self.pull()
        self.assertEqual(code, IO)
        self.assertRegex(err, r"model\.safetensors: 1152921504606 MB are needed, \S+ has room for "
                              r"\d+ MB more")
        self.assertEqual(self.blobs(), [])

    def test_seen_when_it_comes(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000000, 1000000))
        code, _, err = clipd("pull", NAME, env=self.hub.environment(self.home), preexec_fn=limit)
        self.assertEqual(code, IO)
        self.assertRegex(err, r"cannot write \S+\.incomplete: File too large")
        self.assertFalse(os.path.exists(os.path.join(self.model, "refs")))
        self.assertEqual(self.pull()[0], 0)
        self.assert_whole()
        self.assertEqual(self.ranges()[-1], "bytes=1000000-")

    def test_a_cache_that_cannot_be_written(self):
        with open(os.path.join(self.home, "hub"), "w", encoding="ascii"):
            pass
        code, _, err = self.pull()
        self.assertEqual(code, IO)
        self.assertIn("cannot make", err)


if __name__ == "__main__":
    unittest.main()
