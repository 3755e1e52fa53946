"""deploy/, docker/ and docs/operate.md against the program: its metrics, its configuration, its
options, and what `make install` makes of them."""

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, "tests/cli"), os.path.join(ROOT, "tests/http")]
from harness import Server
from program import BINARY, MODEL, clipd, environment
from test_man_page import commands, help_of, helped, usages
from test_metrics import parse

EVERYWHERE = {"instance", "job", "le"}  # labels that Prometheus adds
CONTAINER_PORT = 8080


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(ms|s|min|m)", text).groups()
    return int(number) * {"ms": 0.001, "s": 1, "m": 60, "min": 60}[unit]


def image_environment():
    """What docker/Dockerfile sets."""
    lines = re.search(r"^ENV ((?:.*\\\n)*.*)$", read("docker/Dockerfile"), re.MULTILINE).group(1)
    return dict(word.split("=", 1) for word in lines.replace("\\\n", " ").split())


def print_config(text, **more):
    """The whole configuration that a file and variables make, about which nothing is said."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        code, out, err = clipd("serve", "--config", file.name, "--print-config", env=more)
    assert (code, err) == (0, ""), err
    return yaml.safe_load(out)


class Metrics(unittest.TestCase):
    """Names and labels in docs, alerts and dashboard are those of the page."""

    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder, Server(
                MODEL, args=["--set", f"store.location={folder}"], env=environment()) as server:
            while server.get("/readyz")[0] != 200:
                time.sleep(0.01)
            answer = server.request("PUT", "/collections/x", b"{}", {"Content-Type": "application/json"})
            assert answer[0] in (200, 201), answer
            server.get("/livez")
            cls.page = server.get("/metrics")[2].decode()
        cls.families = parse(cls.page)

    def labels(self, name):
        return {label for key in self.families[name][1] for label, _ in key[1:]} - {"le"}

    def values(self, label):
        return {value for _, samples in self.families.values() for key in samples
                for name, value in key[1:] if name == label}

    def test_table(self):
        rows = re.findall(r"^\| `((?:clipd|process)_\w+)` \| (\w+) \| (.*?) \| (.*) \|$", read("docs/operate.md"),
                          re.MULTILINE)
        helps = dict(re.findall(r"^# HELP (\S+) (.*)$", self.page, re.MULTILINE))
        shown = [(name, kind, set(re.findall(r"\w+", labels)), text) for name, kind, labels, text in rows]
        self.assertEqual(shown, [(name, kind, self.labels(name), helps[name])
                                 for name, (kind, _) in self.families.items()])

    def test_values(self):
        text = read("docs/operate.md")
        for label in ("tower", "reason"):
            told = re.search(rf"`{label}`\s(?:is|one of)\s(.*?)[.]|`{label}`\s(?:is|one of)\s((?:[`\w, ]|or\s)+)",
                             text).group(0)
            for value in self.values(label):
                self.assertIn(f"`{value}`", told)

    def check_expression(self, expression):
        uses = re.findall(r"\b((?:clipd|process)_[a-z_0-9]+)(?:\{(.*?)\})?", expression)
        known = set(EVERYWHERE)
        for name, matchers in uses:
            if name not in self.families:
                name, kind = re.sub("_(bucket|sum|count)$", "", name), "histogram"
                self.assertEqual(self.families.get(name, [None])[0], kind, f"{name} of {expression}")
            known |= self.labels(name)
            for label, operator, value in re.findall(r'(\w+)(=~|!~|!=|=)"(.*?)"', matchers):
                self.assertIn(label, self.labels(name) | EVERYWHERE, expression)
                if label in ("reason", "route"):
                    parts = [value] if operator == "=" else value.split("|")
                    for part in parts:
                        self.assertTrue(any(re.fullmatch(part, found) for found in self.values(label)), part)
        for listed in re.findall(r"\bby \((.*?)\)", expression):
            self.assertLessEqual(set(listed.split(", ")), known, expression)
        for opening, closing in ("()", "[]", "{}"):
            self.assertEqual(expression.count(opening), expression.count(closing), expression)
        return known | {"__name__"}

    def test_alerts(self):
        group, = yaml.safe_load(read("deploy/alerts.yaml"))["groups"]
        told = re.findall(r"^\| `(Clipd\w+)` \|", read("docs/operate.md"), re.MULTILINE)
        self.assertEqual([rule["alert"] for rule in group["rules"]], told)
        for rule in group["rules"]:
            known = self.check_expression(rule["expr"])
            if "by (" in rule["expr"]:
                known = set(re.search(r"by \((.*?)\)", rule["expr"]).group(1).split(", "))
            used = re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])
            self.assertLessEqual(set(used), known, rule["alert"])

    def test_dashboard(self):
        board = json.loads(read("deploy/grafana.json"))
        self.assertEqual([panel["id"] for panel in board["panels"]], list(range(1, len(board["panels"]) + 1)))
        places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]}
        self.assertEqual(len(places), len(board["panels"]))
        for panel in board["panels"]:
            for target in panel["targets"]:
                known = self.check_expression(target["expr"])
                used = re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
                self.assertLessEqual(set(used), known, target)
        query = board["templating"]["list"][1]["query"]
        name, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", query).groups()
        self.assertIn(name, self.families)
        self.assertIn(label, EVERYWHERE)


class Container(unittest.TestCase):
    def test_folders(self):
        """What the image's variables name is where its user may write."""
        text = read("docker/Dockerfile")
        made = re.search(r"^RUN install -d -o (\d+) -g (\d+) (.*)$", text, re.MULTILINE)
        user = re.search(r"^USER (\d+):(\d+)$", text, re.MULTILINE)
        self.assertEqual(made.groups()[:2], user.groups())
        self.assertEqual(made.group(3), re.search(r"^VOLUME (.*)$", text, re.MULTILINE).group(1))
        variables = image_environment()
        self.assertTrue(variables["CLIPD_SERVER_LISTEN"].endswith(f":{CONTAINER_PORT}"))
        with tempfile.TemporaryDirectory() as folder:
            for path in made.group(3).split():
                os.mkdir(folder + path)
            moved = {name: folder + variables[name] for name in ("HF_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME")}
            with Server(MODEL, env=environment(**moved, CLIPD_STORE="auto")) as server:
                while server.get("/readyz")[0] != 200:
                    time.sleep(0.01)
            self.assertTrue(os.path.exists(folder + "/data/clipd/collections.db"))
            self.assertEqual(len(os.listdir(folder + "/data/cache/clipd")), 1)

    def test_configuration(self):
        variables = image_environment()
        self.assertEqual(print_config(read("docker/clipd.yaml"), **variables)["log"]["format"], "json")

    def test_compose(self):
        compose = yaml.safe_load(read("deploy/compose.yaml"))
        service = compose["services"]["clipd"]
        found = print_config(read("docker/clipd.yaml"), **image_environment(), **service["environment"])
        self.assertEqual(found["store"]["location"], "auto")
        self.assertTrue(os.path.exists(os.path.join(ROOT, "deploy", service["build"]["context"],
                                                    service["build"]["dockerfile"])))
        volumes = dict(volume.split(":") for volume in service["volumes"])
        self.assertEqual(set(volumes), set(compose["volumes"]))
        self.assertEqual(set(volumes.values()), {"/models", "/data"})
        self.assertTrue(service["ports"][0].endswith(f":{CONTAINER_PORT}"))
        waits = sum(seconds(found["server"][key]) for key in ("drain_delay", "drain_timeout"))
        self.assertGreater(seconds(service["stop_grace_period"]), waits)


class Kubernetes(unittest.TestCase):
    def setUp(self):
        objects = list(yaml.safe_load_all(read("deploy/kubernetes.yaml")))
        self.objects = {each["kind"]: each for each in objects}
        self.assertEqual(len(self.objects), len(objects))
        self.pod = self.objects["Deployment"]["spec"]["template"]
        self.container, = self.pod["spec"]["containers"]

    def test_configuration(self):
        (name, text), = self.objects["ConfigMap"]["data"].items()
        found = print_config(text, **image_environment())
        waits = sum(seconds(found["server"][key]) for key in ("drain_delay", "drain_timeout"))
        self.assertGreater(self.pod["spec"]["terminationGracePeriodSeconds"], waits)
        mounts = {mount["name"]: mount["mountPath"] for mount in self.container["volumeMounts"]}
        self.assertEqual(self.container["args"], ["serve", "--config", f"{mounts['config']}/{name}"])
        self.assertEqual(mounts["data"], "/data")
        self.assertEqual(set(mounts), {volume["name"] for volume in self.pod["spec"]["volumes"]})
        # No model of the image is named that is not in it.
        for model in found["models"]:
            self.assertIn(f" {model['path']}\n", read("docker/Dockerfile"))

    def test_names(self):
        labels = self.pod["metadata"]["labels"]
        self.assertEqual(self.objects["Deployment"]["spec"]["selector"]["matchLabels"], labels)
        self.assertEqual(self.objects["Service"]["spec"]["selector"], labels)
        port, = self.container["ports"]
        self.assertEqual(port["containerPort"], CONTAINER_PORT)
        self.assertEqual(self.objects["Service"]["spec"]["ports"][0]["targetPort"], port["name"])
        self.assertEqual(self.pod["metadata"]["annotations"]["prometheus.io/port"], str(CONTAINER_PORT))
        for volume in self.pod["spec"]["volumes"]:
            for kind, member in (("ConfigMap", "configMap"), ("PersistentVolumeClaim", "persistentVolumeClaim")):
                if member in volume:
                    self.assertIn(self.objects[kind]["metadata"]["name"], volume[member].values())
        user = re.search(r"^USER (\d+)", read("docker/Dockerfile"), re.MULTILINE).group(1)
        rights = self.pod["spec"]["securityContext"]
        self.assertEqual({str(rights[key]) for key in ("runAsUser", "runAsGroup", "fsGroup")}, {user})

    def test_probes(self):
        with Server(MODEL, env=environment()) as server:
            while server.get("/readyz")[0] != 200:
                time.sleep(0.01)
            for probe, path in (("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
                self.assertEqual(self.container[probe]["httpGet"]["path"], path)
                self.assertEqual(server.get(path)[0], 200)


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.holder = tempfile.TemporaryDirectory()
        cls.prefix = os.path.join(cls.holder.name, "usr")
        cls.make("install")

    @classmethod
    def tearDownClass(cls):
        cls.holder.cleanup()

    @classmethod
    def make(cls, target):
        """With the program that is there: nothing is built."""
        built = os.path.relpath(os.path.dirname(BINARY), ROOT)
        subprocess.run(["make", "-s", "-o", "all", "O=" + built, "PREFIX=" + cls.prefix, "DESTDIR=", target],
                       cwd=ROOT, check=True, capture_output=True, env={**os.environ, "MAKEFLAGS": ""})

    def test_example(self):
        example = self.prefix + "/share/doc/clipd/clipd.example.yaml"
        done = subprocess.run([self.prefix + "/bin/clipd", "serve", "--check-config", "--config", example], cwd="/",
                              env=environment(), capture_output=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, b""))

    def test_unit(self):
        path = self.prefix + "/lib/systemd/system/clipd.service"
        unit = configparser.ConfigParser(strict=False, interpolation=None)
        unit.optionxform = str
        unit.read(path)
        service = unit["Service"]
        self.assertEqual(service["ExecStart"], f"{self.prefix}/bin/clipd serve --config /etc/clipd/clipd.yaml")
        found = print_config("models: [{path: x}]")
        waits = sum(seconds(found["server"][key]) for key in ("drain_delay", "drain_timeout"))
        self.assertGreater(seconds(service["TimeoutStopSec"]), waits)
        if not shutil.which("systemd-analyze"):
            print("skipped: no systemd-analyze")
            return
        done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False)
        said = [line for line in (done.stdout + done.stderr).splitlines() if "man clipd(1)" not in line]
        self.assertEqual(said, [])

    def complete(self, *words):
        script = ('source "$1"; shift; COMP_WORDS=(clipd "$@"); COMP_CWORD=$#; '
                  '_clipd "$PROGRAM"; printf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run(
            ["bash", "-c", script, "-", self.prefix + "/share/bash-completion/completions/clipd", *words],
            cwd=ROOT, env=environment(PROGRAM=BINARY), capture_output=True, text=True, check=True)
        self.assertEqual(done.stderr, "")
        return set(done.stdout.split())

    def test_completion(self):
        self.assertEqual(self.complete(""), {*commands(), "help"})
        for name in commands():
            text = help_of(name)
            self.assertEqual(self.complete(name, "-"), {option for option, _ in helped(text)}, name)
            second = {usage.split()[2] for usage in usages(text) if re.match(r"clipd \w+ [a-z]+ ", usage)}
            self.assertEqual(self.complete(name, ""), second)
        own = {option for option, _ in helped(help_of("bench search"))}
        self.assertEqual(self.complete("bench", "search", "--json", "-"), own)
        self.assertEqual(self.complete("embed", "image", "x", "--ra"), {"--raw"})
        self.assertEqual(self.complete("a;b", "-"), set())

    def test_uninstall(self):
        """Of its own, so that the others find what they look for."""
        with tempfile.TemporaryDirectory() as folder:
            before, type(self).prefix = self.prefix, folder + "/usr"
            try:
                self.make("install")
                self.make("uninstall")
            finally:
                type(self).prefix = before
            self.assertEqual([files for _, _, files in os.walk(folder) if files], [])


if __name__ == "__main__":
    unittest.main()
