# SPDX-License-Identifier: Apache-2.0
"""The usual fixture: a scope, a cluster with its pods listening, and an instance of Bulkhead."""

import contextlib

import manifests
import tap
from bulkhead import Bulkhead, build_folder
from cluster import Cluster
from scope import Scope, pin_folder

TCP = (80, 443, 5432, 6379, 8080)
UDP = (53, 8080)


class World:
    def __init__(self, scope, pods, far=None, tcp=TCP, udp=UDP, sctp=False):
        self.scope = scope
        self.cluster = Cluster(scope)
        self.cluster.add_pods(pods)
        if far:
            self.cluster.add_far(far)
        self.cluster.listen(self.cluster.hosts.values(), tcp, udp, sctp)
        self.bulkhead = Bulkhead(scope, self.cluster)

    def __getattr__(self, name):
        """world.web is the host called web."""
        try:
            return self.__dict__["cluster"].hosts[name]
        except KeyError:
            raise AttributeError(name) from None

    def pod(self, name, ns, labels=None, **rest):
        """The manifest of a pod whose namespace exists already, under the same name."""
        return manifests.pod(ns, name, self.cluster.hosts[name].ips, labels, **rest)

    def diagnose(self):
        text = "log:\n" + self.bulkhead.log()
        if self.bulkhead.process:
            text += "\nstatus:\n" + self.bulkhead.cli("status", check=False).stdout
            denied = self.bulkhead.cli("flows", "--verdict", "denied", "--limit", "20", check=False)
            text += "\ndenied last:\n" + denied.stdout + denied.stderr
        return text

    def finish(self):
        """The end of every test program: nothing may be left, and no sanitizer may have spoken."""
        if self.bulkhead.process:
            tap.equal(self.bulkhead.stop(), 0, "status of `bulkhead up` after SIGTERM")
        self.bulkhead.down()
        if self.bulkhead.log_path.exists():
            self.bulkhead.check_sanitizers()
        if pin_folder(self.bulkhead.run_dir).exists():
            tap.fail(f"`down` left {pin_folder(self.bulkhead.run_dir)}")


@contextlib.contextmanager
def world(pods, far=None, **rest):
    with Scope(build=build_folder()) as scope:
        yield World(scope, pods, far, **rest)


def fixture(pods, far=None, **rest):
    return lambda: world(pods, far, **rest)
