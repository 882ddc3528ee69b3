# SPDX-License-Identifier: Apache-2.0
"""The shop: which program runs in which pod, and the loops of its clients.

Servers are Debian's nginx, redis and PostgreSQL, run by their own unprivileged users in temporary
folders. Clients are curl, redis-cli and psql in a shell loop that writes `ok` or `fail` for each
round to a file: what the demo counts, to say whether the shop works.
"""

import glob
import os
import pathlib
import shutil
import subprocess
import textwrap

import yaml

NAMESPACES = ("shop", "data", "ops")


class Pod:
    """A manifest of the demo, and the network namespace that plays it."""

    def __init__(self, manifest):
        metadata = manifest["metadata"]
        annotations = metadata["annotations"]
        self.namespace, self.name = metadata["namespace"], metadata["name"]
        self.app = metadata["labels"]["app"]
        self.wiring = annotations["demo.example/wiring"]
        self.runs = annotations["demo.example/runs"]
        self.ip4, self.ip6 = (entry["ip"] for entry in manifest["status"]["podIPs"])
        self.host = None

    @property
    def title(self):
        return f"{self.namespace}/{self.name}"


def read_pods(folder):
    pods = []
    for path in sorted(folder.glob("*.yaml")):
        for thing in yaml.safe_load_all(path.read_text()):
            if thing["kind"] == "Pod":
                pods.append(Pod(thing))
    return pods


class Client:
    """A loop in a pod, and the file of its rounds."""

    def __init__(self, title, what, log):
        self.title, self.what, self.log = title, what, log

    def rounds(self):
        """(how many went well, how many failed) since the loop began."""
        words = self.log.read_text().split() if self.log.exists() else []
        return words.count("ok"), words.count("fail")


class Shop:
    def __init__(self, folder, pods):
        self.folder = folder
        self.pods = {pod.name: pod for pod in pods}
        self.processes = []
        self.clients = []
        self.postgres = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]

    def app(self, app):
        return [pod for pod in self.pods.values() if pod.app == app]

    # ---- Servers --------------------------------------------------------------------

    def start_servers(self):
        front = {
            "locations": f"""
            location /catalog {{ proxy_pass http://{self.app('catalog')[0].ip4}:8080/;
                                 proxy_connect_timeout 2s; }}""",
            "page": "Welcome to the shop",
        }
        catalog = {"locations": "", "page": '{"items": ["tea", "cups"]}', "port": 8080}
        for pod in self.app("front"):
            self._nginx(pod, **front)
        self._nginx(self.app("catalog")[0], **catalog)
        self._nginx(self.app("reports")[0], locations="", page="Turnover: up")
        self._redis(self.app("sessions")[0])
        self._postgresql(self.app("orders")[0])

    def _nginx(self, pod, locations, page, port=80):
        folder = self._folder(pod, "www-data")
        (folder / "index.html").write_text(page + "\n")
        (folder / "nginx.conf").write_text(
            textwrap.dedent(
                f"""
            daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
            events {{ worker_connections 128; }}
            http {{
                access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
                fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
                server {{ listen {port}; listen [::]:{port}; root {folder}; {locations}
                }}
            }}
            """
            )
        )
        self.run(pod, "www-data", "nginx", "-c", folder / "nginx.conf", "-e", folder / "error.log")

    def _redis(self, pod):
        folder = self._folder(pod, "redis")
        self.run(
            pod,
            "redis",
            "redis-server",
            "--port",
            "6379",
            "--bind",
            "0.0.0.0",
            "::",
            "--save",
            "",
            "--protected-mode",
            "no",
            "--dir",
            folder,
        )

    def _postgresql(self, pod):
        folder = self._folder(pod, "postgres")
        data = folder / "data"
        subprocess.run(
            [
                "setpriv",
                "--reuid=postgres",
                "--regid=postgres",
                "--clear-groups",
                f"{self.postgres}/initdb",
                "-D",
                data,
                "--no-sync",
                "--locale=C.UTF-8",
                "--auth=trust",
                "--username=shop",
            ],
            cwd="/",
            check=True,
            stdout=subprocess.DEVNULL,
        )
        with open(data / "pg_hba.conf", "a", encoding="ascii") as hba:
            hba.write("host all all 10.0.0.0/8 trust\nhost all all fd00::/8 trust\n")
        self.run(
            pod,
            "postgres",
            f"{self.postgres}/postgres",
            "-D",
            data,
            "-c",
            "listen_addresses=*",
            "-c",
            f"unix_socket_directories={folder}",
            "-c",
            "fsync=off",
        )

    # ---- Clients --------------------------------------------------------------------

    def start_clients(self, customers):
        """The shop's everyday traffic. `customers` is somebody outside the node."""
        front, catalog = self.app("front"), self.app("catalog")[0]
        orders, sessions = self.app("orders")[0], self.app("sessions")[0]
        reports = self.app("reports")[0]
        curl = "curl -sf --max-time 2"
        sql = "psql -X -q -U shop -d postgres -c "
        os.environ["PGCONNECT_TIMEOUT"] = "2"
        for title, pod, what, command in (
            (
                "customers",
                customers,
                "pages of shop/front, IPv4 and IPv6",
                f"{curl} http://{front[0].ip4}/ http://[{front[1].ip6}]/",
            ),
            (
                "customers at the catalog",
                customers,
                "shop/front asks shop/catalog for them",
                f"{curl} http://{front[1].ip4}/catalog && {curl} http://[{front[0].ip6}]/catalog",
            ),
            (
                "shop/catalog",
                catalog,
                "psql to data/orders",
                f"{sql} 'select count(*) from orders' -h {orders.ip4}",
            ),
            (
                "shop/cart",
                self.app("cart")[0],
                "redis-cli to data/sessions, IPv4 and IPv6",
                f"timeout 2 redis-cli -h {sessions.ip4} incr visits && "
                f"timeout 2 redis-cli -h {sessions.ip6} incr visits",
            ),
            (
                "shop/cart orders",
                self.app("cart")[0],
                "psql to data/orders, IPv6",
                f"{sql} \"insert into orders values ('tea', now())\" -h {orders.ip6}",
            ),
            (
                "ops/monitor",
                self.app("monitor")[0],
                "curl and redis-cli to five pods",
                f"{curl} http://{front[0].ip4}/ http://[{front[1].ip6}]/ "
                f"http://{catalog.ip4}:8080/ http://{reports.ip4}/ && timeout 2 redis-cli -h {sessions.ip4} ping",
            ),
            (
                "ops/backup",
                self.app("backup")[0],
                "pg_dump of data/orders, IPv6",
                f"{self.postgres}/pg_dump -U shop -h {orders.ip6} postgres",
            ),
            (
                "ops/ledger",
                self.app("ledger")[0],
                "psql to data/orders",
                f"{sql} 'select max(at) from orders' -h {orders.ip4}",
            ),
        ):
            self._loop(title, pod, what, command)

    def create_tables(self):
        """Also how the demo learns that PostgreSQL is up: raises until it is."""
        orders = self.app("orders")[0]
        subprocess.run(
            [
                "nsenter",
                f"--net={orders.host.netns}",
                "psql",
                "-X",
                "-q",
                "-U",
                "shop",
                "-d",
                "postgres",
                "-h",
                orders.ip4,
                "-c",
                "create table if not exists orders (item text, at timestamptz)",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _loop(self, title, pod, what, command):
        log = self.folder / f"client-{len(self.clients)}.log"
        log.touch()
        shutil.chown(log, "nobody", "nogroup")
        # What a client says when it fails is for nobody; that it failed is in the log.
        script = (
            f"while :; do if {{ {command}; }} >/dev/null 2>&1; then echo ok; else echo fail; fi "
            f">>{log}; sleep 0.25; done"
        )
        self.run(pod, "nobody", "bash", "-c", script)
        self.clients.append(Client(title, what, log))

    # ---- Processes ------------------------------------------------------------------

    def run(self, pod, user, *command):
        """In the pod's network namespace, as an ordinary user, ending when the demo does."""
        host = getattr(pod, "host", pod)
        log = self.folder / f"{host.name}.{user}.log"
        group = "nogroup" if user == "nobody" else user
        with open(log, "ab") as output:
            self.processes.append(
                (
                    host.name,
                    log,
                    subprocess.Popen(
                        [
                            "nsenter",
                            f"--net={host.netns}",
                            "setpriv",
                            f"--reuid={user}",
                            f"--regid={group}",
                            "--clear-groups",
                            "--no-new-privs",
                            "--pdeathsig=KILL",
                            *map(str, command),
                        ],
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=output,
                        cwd="/",
                        start_new_session=True,
                    ),
                )
            )

    def ended(self):
        """Programs that should be running and are not: (pod, last lines of its log)."""
        return [
            (name, log.read_text(errors="replace")[-500:])
            for name, log, process in self.processes
            if process.poll() is not None
        ]

    def stop(self):
        for _, _, process in self.processes:
            process.kill()
        for _, _, process in self.processes:
            process.wait()

    def _folder(self, pod, user):
        folder = self.folder / pathlib.Path(pod.name).name
        folder.mkdir()
        shutil.chown(folder, user, user)
        return folder
