// SPDX-License-Identifier: Apache-2.0
//
// Made-up clusters for the mock controller: conversations as the API has them. The same call gives the
// same cluster.

/** mulberry32: small, and the same everywhere. */
export function random(seed) {
	return () => {
		seed = (seed + 0x6d2b79f5) | 0;
		let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
		t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
		return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
	};
}

export function workload(namespace, kind, name) {
	return { id: namespace ? `${namespace}/${kind}/${name}` : `${kind}/${name}`, namespace, kind, name };
}

const SECOND = 1000;
const HOUR = 3600 * SECOND;

let serial = 0;

/** A conversation; what is not said is ordinary. */
export function conversation(client, server, port, rest = {}) {
	const state = rest.state ?? "allowed";
	const bytes = rest.bytes ?? 40_000;
	const flows = rest.flows ?? Math.max(1, Math.round(bytes / 9_000));
	const denied = state === "denied";
	const would = state === "would-deny";
	const name = `${server.namespace}/${server.name}`;
	const isolated = `isolated by ${name}, no rule matched`;
	return {
		id: `c${(++serial).toString(16).padStart(6, "0")}`,
		client,
		server,
		protocol: rest.protocol ?? "TCP",
		port,
		state,
		verdict: denied ? "denied" : "allowed",
		pending: denied || would ? "denied" : "allowed",
		text: rest.text ?? (denied || would ? isolated : `${name} ingress[0]: from pods app=${client.name}, TCP ${port}`),
		deniedBy: denied || would ? (rest.deniedBy ?? ["ingress"]) : [],
		app: rest.app ?? "unknown",
		encrypted: rest.encrypted ?? "unknown",
		tlsVersion: rest.encrypted === "yes" ? "1.3" : "",
		sni: rest.sni ?? "",
		roundTrip: denied || (rest.protocol ?? "TCP") !== "TCP" ? null : { min: 180, mean: 420, samples: flows },
		packets: { fromClient: Math.ceil(bytes / 700), fromServer: denied ? 0 : Math.ceil(bytes / 500) },
		bytes: { fromClient: denied ? 60 * flows : Math.round(bytes * 0.3), fromServer: denied ? 0 : Math.round(bytes * 0.7) },
		flows,
		flowsDenied: denied ? flows : 0,
		packetsDenied: denied ? flows : 0,
		flowsWouldDeny: would ? flows : 0,
		resets: rest.resets ?? 0,
		refusals: null,
		first: new Date(Date.now() - (rest.age ?? 52 * HOUR)).toISOString(),
		last: new Date(Date.now() - (rest.idle ?? 20 * SECOND)).toISOString(),
	};
}

let alertSerial = 0;

/** An alert about conversations; what is not said is ordinary. */
export function alert(kind, conversations, rest = {}) {
	const [c] = conversations;
	const many = kind === "lateral-movement";
	const end = (workload, ip) => ({ workload, pod: workload.namespace ? `${workload.name}-6d4f9c7b8-x2k4` : "", ip });
	return {
		id: (++alertSerial).toString(16).padStart(16, "0"),
		kind,
		severity: { "port-scan": "high", "lateral-movement": "high", "plaintext-database": "warning", "first-world": "warning" }[kind] ?? "info",
		source: c.client,
		target: many ? null : c.server,
		namespaces: [...new Set([c.client.namespace, many ? "" : c.server.namespace].filter(Boolean))],
		text: rest.text ?? `${c.client.name} speaks to ${many ? "many" : c.server.name}`,
		count: c.flows,
		distinct: conversations.length,
		first: c.first,
		last: c.last,
		changed: alertSerial,
		acknowledged: null,
		acknowledgedBy: null,
		reopened: 0,
		evidence: conversations.slice(0, 10).map((e) => ({
			time: e.last,
			source: end(e.client, "10.88.0.9"),
			destination: end(e.server, "10.88.0.12"),
			protocol: e.protocol,
			port: e.port,
			verdict: e.state,
			edge: e.id,
		})),
		evidenceMore: Math.max(0, conversations.length - 10),
		...rest,
	};
}

/** The alerts that the shop would raise. */
export function shopAlerts(conversations) {
	const by = (client, port) => conversations.filter((c) => c.client.name === client && c.port === port);
	return [
		alert("plaintext-database", by("nightly-report", 5432), { text: "shop/nightly-report speaks PostgreSQL with data/postgres in plain text" }),
		alert("port-scan", by("debug", 22), { text: "shop/debug tried 61 ports of payments/ledger, and was denied at all of them", count: 190, distinct: 61, evidenceMore: 51 }),
		alert("new-edge", by("mailer", 5672), { text: "shop/mailer to data/rabbitmq TCP 5672 is not in the baseline of data" }),
	];
}

const XSS = `<img src=x onerror="window.pwned=1">`;

/** A shop as one meets them: six namespaces, a database, a queue, a scan, something from outside. */
export function shop() {
	const w = workload;
	const shop = (name, kind = "Deployment") => w("shop", kind, name);
	const data = (name, kind = "StatefulSet") => w("data", kind, name);
	const pay = (name) => w("payments", "Deployment", name);
	const mon = (name, kind = "Deployment") => w("monitoring", kind, name);
	const world = w("", "World", "");
	const office = w("", "World", "203.0.113.0/24");
	const node = w("", "Node", "worker-1");
	const dns = w("kube-system", "Deployment", "coredns");
	const gateway = w("ingress", "DaemonSet", "gateway");
	const front = shop("front");
	const cart = shop("cart");
	const catalog = shop("catalog");
	const checkout = shop("checkout");
	const mailer = shop("mailer");
	const nightly = shop("nightly-report", "CronJob");
	const db = data("postgres");
	const cache = data("redis");
	const queue = data("rabbitmq");
	const search = data("opensearch");
	const M = 1_000_000;
	const list = [
		conversation(world, gateway, 443, { app: "tls", encrypted: "yes", bytes: 5200 * M, sni: "shop.example" }),
		conversation(office, gateway, 443, { app: "tls", encrypted: "yes", bytes: 90 * M }),
		conversation(gateway, front, 8080, { app: "http1", encrypted: "no", bytes: 4100 * M }),
		conversation(front, cart, 8080, { app: "grpc", encrypted: "no", bytes: 300 * M }),
		conversation(front, catalog, 8080, { app: "http2", encrypted: "no", bytes: 900 * M }),
		conversation(front, checkout, 8443, { app: "tls", encrypted: "yes", bytes: 120 * M }),
		conversation(cart, cache, 6379, { app: "redis", encrypted: "no", bytes: 220 * M }),
		conversation(catalog, search, 9200, { app: "http1", encrypted: "no", bytes: 640 * M }),
		conversation(catalog, db, 5432, { app: "postgresql", encrypted: "yes", bytes: 410 * M }),
		conversation(checkout, db, 5432, { app: "postgresql", encrypted: "yes", bytes: 64 * M }),
		conversation(checkout, queue, 5672, { app: "amqp", encrypted: "no", bytes: 9 * M, state: "would-deny" }),
		conversation(mailer, queue, 5672, { app: "amqp", encrypted: "no", bytes: 8 * M }),
		conversation(mailer, world, 587, { app: "tls", encrypted: "yes", bytes: 30 * M, text: "shop/mailer egress[0]: to 0.0.0.0/0, TCP 587" }),
		conversation(nightly, db, 5432, { app: "postgresql", encrypted: "no", bytes: 800 * M, state: "would-deny", idle: 9 * HOUR }),
		conversation(front, db, 5432, { state: "denied", bytes: 0, flows: 48 }),
		conversation(checkout, pay("api"), 8443, { app: "tls", encrypted: "yes", bytes: 33 * M }),
		conversation(pay("api"), pay("ledger"), 9000, { app: "grpc", encrypted: "yes", bytes: 21 * M }),
		conversation(pay("ledger"), db, 5432, { app: "postgresql", encrypted: "yes", bytes: 50 * M }),
		conversation(pay("api"), world, 443, { app: "tls", encrypted: "yes", bytes: 12 * M, sni: "api.bank.example", text: "payments/api egress[1]: to 198.51.100.0/24, TCP 443" }),
		conversation(mon("prometheus", "StatefulSet"), front, 9100, { app: "http1", encrypted: "no", bytes: 5 * M, state: "would-deny" }),
		conversation(mon("prometheus", "StatefulSet"), cart, 9100, { app: "http1", encrypted: "no", bytes: 5 * M }),
		conversation(mon("prometheus", "StatefulSet"), db, 9187, { app: "http1", encrypted: "no", bytes: 3 * M, state: "would-deny" }),
		conversation(mon("grafana"), mon("prometheus", "StatefulSet"), 9090, { app: "http1", encrypted: "no", bytes: 44 * M }),
		conversation(mon("node-exporter", "DaemonSet"), node, 10250, { app: "tls", encrypted: "yes", bytes: 2 * M }),
		conversation(node, front, 8080, { app: "http1", encrypted: "no", bytes: 1 * M, text: "the node itself always reaches its pods" }),
		conversation(node, dns, 8080, { app: "http1", encrypted: "no", bytes: 1 * M, text: "the node itself always reaches its pods" }),
		conversation(front, dns, 53, { protocol: "UDP", app: "dns", encrypted: "no", bytes: 3 * M }),
		conversation(catalog, dns, 53, { protocol: "UDP", app: "dns", encrypted: "no", bytes: 2 * M }),
		conversation(pay("api"), dns, 53, { protocol: "UDP", app: "dns", encrypted: "no", bytes: 1 * M }),
		conversation(w("", "Unknown", "9f3a01c2"), cache, 6379, { state: "denied", bytes: 0, flows: 3 }),
		conversation(shop("debug", "Pod"), pay("ledger"), 22, { state: "denied", bytes: 0, flows: 12, deniedBy: ["egress", "ingress"] }),
	];
	const modes = { shop: "dry-run", data: "enforce", payments: "enforce", monitoring: "observe", ingress: "observe", "kube-system": "observe" };
	return { conversations: list, modes };
}

/** The shop, with names that try to be markup. Kubernetes refuses them; files and SNI do not. */
export function hostile() {
	const made = shop();
	const evil = workload(XSS, "Deployment", XSS);
	made.conversations.push(
		conversation(evil, workload("data", "StatefulSet", "postgres"), 5432, {
			state: "denied",
			text: `${XSS} & "quoted" </script><script>window.pwned=1</script>`,
			sni: XSS,
			bytes: 70_000,
		}),
	);
	made.modes[XSS] = "dry-run";
	return made;
}

/** So many workloads in so many namespaces, each talking to a few. */
export function large(workloads = 300, namespaces = 15) {
	const next = random(7);
	const all = Array.from({ length: workloads }, (_, i) =>
		workload(`team-${String(i % namespaces).padStart(2, "0")}`, i % 9 ? "Deployment" : "StatefulSet", `service-${String(i).padStart(3, "0")}`),
	);
	const list = [];
	const modes = {};
	for (const [i, client] of all.entries()) {
		modes[client.namespace] = "dry-run";
		const peers = new Set([all[Math.floor(next() * workloads)], all[(i + namespaces) % workloads], all[Math.floor(next() * workloads)]]);
		for (const server of peers) {
			if (server === client) continue;
			const dice = next();
			const state = dice < 0.03 ? "denied" : dice < 0.1 ? "would-deny" : "allowed";
			list.push(conversation(client, server, 8080, { state, bytes: state === "denied" ? 0 : Math.round(10 ** (3 + next() * 6)) }));
		}
	}
	return { conversations: list, modes };
}
