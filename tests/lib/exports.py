# SPDX-License-Identifier: Apache-2.0
"""What the tests of exports share: traffic of every kind, and the accounts."""

import manifests
import tap

PODS = {"web": ("bridge", 10), "db": ("ptp", 11), "job": ("bridge", 12)}


def put_shop(w, policy_annotations=None):
    """Three pods; db is isolated and takes 5432 from web."""
    w.bulkhead.put(
        "all",
        manifests.namespace("shop"),
        *(w.pod(name, "shop", {"app": name}) for name in PODS),
        manifests.policy(
            "shop",
            "db",
            {
                "podSelector": {"matchLabels": {"app": "db"}},
                "ingress": [
                    {
                        "from": [{"podSelector": {"matchLabels": {"app": "web"}}}],
                        "ports": [{"port": 5432}],
                    }
                ],
            },
            policy_annotations,
        ),
    )


def talk(w, rounds=1):
    """Allowed and denied, TCP and UDP, both families; connections are closed."""
    jobs = [
        (client, protocol, server.ip(family), port)
        for _ in range(rounds)
        for family in (4, 6)
        for client, protocol, server, port in [
            (w.web, "tcp", w.db, 5432),
            (w.job, "tcp", w.db, 5432),
            (w.job, "tcp", w.web, 80),
            (w.db, "udp", w.web, 53),
        ]
    ]
    return w.cluster.probe(jobs, 0.5)


def knock(w, n, timeout=0.05):
    """n flows that are new: UDP to a port that answers."""
    w.cluster.probe([(w.job, "udp", w.web.ip4, 53)] * n, timeout)


def account(w, name):
    return next(e for e in w.bulkhead.status()["exports"] if e["name"] == name)


def balanced(a):
    """emitted = delivered + lost + queued, and the losses by kind are all of them."""
    tap.equal(a["emitted"], a["delivered"] + a["lostTotal"] + a["queued"], f"the balance of {a}")
    tap.equal(sum(a["lost"].values()), a["lostTotal"], f"the losses of {a}")
    return a


def settled(w, name, **wanted):
    """The account once its queue is empty (or as wanted), balanced."""

    def now():
        a = balanced(account(w, name))
        return a if all(a[k] == v for k, v in ({"queued": 0} | wanted).items()) else None

    return tap.eventually(now, f"{name} settled", every=0.1)
