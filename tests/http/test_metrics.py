"""/metrics: valid text format, the promised families, and counts that fit the requests;
and the log line of each request."""

import json
import math
import re
import time
import unittest

from harness import Server
from images import png, text

SAMPLE = re.compile(
    r'^([a-zA-Z_][a-zA-Z0-9_]*)(?:\{((?:[a-z_][a-z_0-9]*="(?:[^"\\\n]|\\.)*",?)*)\})? (\S+)$'
)
LABEL = re.compile(r'([a-z_][a-z_0-9]*)="((?:[^"\\\n]|\\.)*)"')
FAMILIES = {
    "clipd_http_requests_total": {"route", "method", "code"},
    "clipd_http_request_duration_seconds": {"route", "method"},
    "clipd_queue_wait_seconds": {"model", "tower"},
    "clipd_decode_seconds": {"model"},
    "clipd_encode_seconds": {"model", "tower"},
    "clipd_batch_size": {"model", "tower"},
    "clipd_queue_depth": {"model", "tower"},
    "clipd_rejected_total": {"reason"},
    "clipd_label_cache_hits_total": set(),
    "clipd_label_cache_misses_total": set(),
    "clipd_model_info": {"model", "sha256", "precision"},
    "clipd_model_loaded": {"model"},
    "clipd_model_resident_bytes": {"model"},
    "clipd_model_loads_total": {"model"},
    "clipd_model_load_failures_total": {"model"},
    "clipd_model_evictions_total": {"model"},
    "clipd_model_load_seconds": {"model"},
    "clipd_build_info": {"version", "kernels"},
    "clipd_http_connections": set(),
    "clipd_http_requests_active": set(),
    "clipd_http_body_bytes": set(),
    "clipd_http_answer_bytes": set(),
    "process_resident_memory_bytes": set(),
    "process_virtual_memory_bytes": set(),
    "process_cpu_seconds_total": set(),
    "process_open_fds": set(),
    "process_max_fds": set(),
    "process_start_time_seconds": set(),
}


def parse(page):
    """name -> (type, {labels: value}); raises when the page is not in the format."""
    families, name = {}, None
    for line in page.removesuffix("\n").split("\n"):
        if line.startswith("# HELP "):
            name = line.split(" ")[2]
            if name in families or len(line.split(" ", 3)) != 4:
                raise ValueError(line)
            continue
        if line.startswith("# TYPE "):
            _, _, typed, kind = line.split(" ")
            if typed != name or kind not in ("counter", "gauge", "histogram"):
                raise ValueError(line)
            families[name] = (kind, {})
            continue
        match = SAMPLE.match(line)
        if not match:
            raise ValueError(line)
        sample, labels, value = match.groups()
        suffix = sample.removeprefix(name)
        kind, samples = families[name]
        if suffix not in (("_bucket", "_sum", "_count") if kind == "histogram" else ("",)):
            raise ValueError(f"{line} is not of {name}")
        key = (suffix, *sorted(LABEL.findall(labels or "")))
        if key in samples:
            raise ValueError(f"{line} is there twice")
        samples[key] = float(value)
    return families


class Metrics(unittest.TestCase):
    def setUp(self):
        self.server = Server("models/starter", args=["--log-format", "json"])
        self.server.__enter__()
        while self.server.get("/readyz")[0] != 200:
            time.sleep(0.02)

    def tearDown(self):
        self.server.__exit__(None, None, None)

    def scrape(self):
        status, headers, body = self.server.get("/metrics")
        self.assertEqual(status, 200)
        self.assertTrue(headers["Content-Type"].startswith("text/plain; version=0.0.4"))
        return parse(body.decode())

    def scrape_when(self, count, name, **labels):
        """What is scraped when a counter has come to `count`, or after a while. An answer is counted
        when it is sent, and its client may be faster."""
        deadline = time.monotonic() + 10
        while (self.value(families := self.scrape(), name, **labels) < count
               and time.monotonic() < deadline):
            time.sleep(0.02)
        return families

    def value(self, families, name, suffix="", **labels):
        return families[name][1].get((suffix, *sorted(labels.items())), 0)

    def check_histogram(self, samples):
        series = {}
        for (suffix, *labels), value in samples.items():
            rest = tuple(label for label in labels if label[0] != "le")
            if suffix == "_bucket":
                series.setdefault(rest, []).append((float(dict(labels)["le"]), value))
        for rest, buckets in series.items():
            self.assertEqual(buckets, sorted(buckets))
            self.assertEqual([count for _, count in buckets], sorted(c for _, c in buckets))
            self.assertEqual(buckets[-1], (math.inf, samples[("_count", *rest)]))
            self.assertIn(("_sum", *rest), samples)

    def test_families(self):
        families = self.scrape()
        for name, labels in FAMILIES.items():
            self.assertIn(name, families)
            kind, samples = families[name]
            self.assertEqual(kind == "counter", name.endswith("_total"))
            if kind == "histogram":
                self.check_histogram(samples)
            for key in samples:
                self.assertEqual({label for label, _ in key[1:]} - {"le"}, labels, name)

    def test_counts(self):
        image = text(png(8, 8))
        for body in ({"images": [image, image]}, {"images": []}, {"images": ["?"] * 65}):
            self.server.post("/embed/image", json.dumps(body), "application/json")
        for _ in range(2):
            self.server.post("/classify", json.dumps({"image": image, "labels": ["a", "b"]}))
        for n in range(20):
            self.server.get(f"/unknown/{n}")
        unknown = {"route": "other", "method": "GET", "code": "404"}
        families = self.scrape_when(20, "clipd_http_requests_total", **unknown)
        requests = {"route": "/embed/image", "method": "POST"}
        for code in ("200", "400", "413"):
            self.assertEqual(self.value(families, "clipd_http_requests_total", code=code, **requests), 1)
        self.assertEqual(self.value(families, "clipd_http_requests_total", **unknown), 20)
        self.assertEqual(self.value(
            families, "clipd_http_request_duration_seconds", "_count", route="/embed/image",
            method="POST"), 3)
        self.assertEqual(self.value(families, "clipd_rejected_total", reason="too_large"), 1)
        self.assertEqual(self.value(families, "clipd_decode_seconds", "_count", model="starter"), 4)
        self.assertEqual(self.value(
            families, "clipd_batch_size", "_sum", model="starter", tower="vision"), 4)
        self.assertEqual(self.value(families, "clipd_label_cache_misses_total"), 2)
        self.assertEqual(self.value(families, "clipd_label_cache_hits_total"), 2)
        self.assertGreater(self.value(families, "process_resident_memory_bytes"), 1 << 20)
        self.assertGreater(self.value(families, "process_open_fds"), 3)
        self.assertEqual(self.value(families, "clipd_queue_depth", model="starter", tower="text"), 0)

    def test_log_lines(self):
        for path in ("/livez", "/readyz", "/metrics"):
            self.server.get(path, {"X-Request-Id": "probe"})
        self.server.post("/livez", b"", headers={"X-Request-Id": "no-probe"})
        self.server.post("/embed/text", b'{"texts":["a","b"]}', headers={"X-Request-Id": "line-1"})
        self.server.get("/" + "x" * 3000, headers={"X-Request-Id": "line-2"})
        # A line is written when the answer is out, which may be after we have read it, and by
        # the thread of its connection.
        deadline = time.monotonic() + 10
        while not all(line in self.server.log() for line in ("no-probe", "line-1", "line-2")):
            self.assertLess(time.monotonic(), deadline, "the lines do not come")
            time.sleep(0.02)
        events = [json.loads(line) for line in self.server.log().splitlines()]
        lines = {event.get("id"): event for event in events if event["message"] == "request"}
        first, second = lines["line-1"], lines["line-2"]
        self.assertEqual(
            {name: first[name] for name in ("method", "route", "status", "bytes_in", "inputs")},
            {"method": "POST", "route": "/embed/text", "status": 200, "bytes_in": 19, "inputs": 2})
        self.assertGreater(first["bytes_out"], 100)
        for name in ("decode_ms", "queue_ms", "encode_ms", "total_ms"):
            self.assertGreaterEqual(first[name], 0)
        self.assertEqual(second["status"], 404)
        self.assertEqual(sum(event.get("id") == "line-1" for event in events), 1)
        self.assertEqual(lines["no-probe"]["status"], 405)
        self.assertNotIn("probe", lines)


if __name__ == "__main__":
    unittest.main(verbosity=1)
