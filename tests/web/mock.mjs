// SPDX-License-Identifier: Apache-2.0
//
// A controller that is none: answers as docs/openapi.yaml says, about a made-up cluster, and lets a
// test change what happens. Also to look at the page without a node:
//
//     node tests/web/mock.mjs PAGE [shop|hostile|large|none] [PORT]      token: operator, or reader

import { createServer } from "node:http";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as clusters from "./cluster.mjs";

const POLICY =
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const TYPES = { html: "text/html; charset=utf-8", js: "text/javascript; charset=utf-8", css: "text/css; charset=utf-8", svg: "image/svg+xml", txt: "text/plain; charset=utf-8" };

const zero = () => ({ fromClient: 0, fromServer: 0 });

function aggregate(list) {
	const sum = { conversations: 0, denied: 0, wouldDeny: 0, flows: 0, flowsDenied: 0, flowsWouldDeny: 0, packetsDenied: 0, packets: zero(), bytes: zero(), last: null };
	for (const c of list) {
		sum.conversations++;
		if (c.state === "denied") sum.denied++;
		if (c.state === "would-deny") sum.wouldDeny++;
		for (const name of ["flows", "flowsDenied", "flowsWouldDeny", "packetsDenied"]) sum[name] += c[name];
		for (const name of ["packets", "bytes"]) for (const way of ["fromClient", "fromServer"]) sum[name][way] += c[name][way];
		if (!sum.last || c.last > sum.last) sum.last = c.last;
	}
	return sum;
}

const total = (c) => c.bytes.fromClient + c.bytes.fromServer;
const words = (text) => (text ?? "").split(",").filter(Boolean);

export class Mock {
	constructor(page, { conversations = [], modes = {} } = {}) {
		this.page = page;
		this.conversations = conversations;
		this.modes = modes;
		this.quarantined = new Set();
		this.vanished = [];
		this.problems = [];
		this.losses = {};
		this.requests = [];
		this.streams = new Set();
		this.sessions = new Map();
		this.broken = false;
		this.noHistory = false;
		/** null: a controller without alerts. */
		this.alerts = [];
		this.baselines = new Map();
		this.decided = new Map();
		/** By the `change` of a conversation: what candidate policies would do to it. */
		this.changes = new Map();
		/** "ID egress": what that end of the conversation says otherwise. */
		this.ends = new Map();
		this.labels = {};
		this.server = createServer((request, response) => void this.handle(request, response));
	}

	listen(port = 0) {
		return new Promise((resolve) => this.server.listen(port, "127.0.0.1", () => resolve(`http://127.0.0.1:${this.server.address().port}`)));
	}

	close() {
		for (const stream of this.streams) stream.end();
		this.server.closeAllConnections();
		return new Promise((resolve) => this.server.close(resolve));
	}

	/** Something is said for the first time, or again. */
	add(...list) {
		for (const c of list) if (!this.conversations.includes(c)) this.conversations.push(c);
		this.tell("edges", { edges: list, more: 0 });
	}

	tell(event, data) {
		for (const stream of this.streams) stream.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
	}

	// ---- What there is -------------------------------------------------------------------------

	filter(q, list = this.conversations) {
		const namespaces = words(q.get("namespace"));
		const verdicts = words(q.get("verdict"));
		const protocols = words(q.get("protocol")).map((p) => p.toUpperCase());
		const apps = words(q.get("app"));
		const encrypted = words(q.get("encrypted"));
		const text = (q.get("text") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
		const ports = words(q.get("port")).map((p) => p.split("-").map(Number));
		return list.filter((c) => {
			if (namespaces.length && !namespaces.includes(c.client.namespace) && !namespaces.includes(c.server.namespace)) return false;
			if (verdicts.length && !verdicts.includes(c.state)) return false;
			if (protocols.length && !protocols.includes(c.protocol.toUpperCase())) return false;
			if (apps.length && !apps.includes(c.app)) return false;
			if (encrypted.length && !encrypted.includes(c.encrypted)) return false;
			if (ports.length && !ports.some(([a, b = a]) => c.port >= a && c.port <= b)) return false;
			const hay = `${c.client.id} ${c.server.id} ${c.port} ${c.app} ${c.text}`.toLowerCase();
			return text.every((word) => hay.includes(word));
		});
	}

	window(q) {
		const unit = { s: 1e3, m: 6e4, h: 36e5, d: 864e5 };
		const last = q.get("last");
		const from = q.get("from") ?? (last ? new Date(Date.now() - Number(last.slice(0, -1)) * unit[last.slice(-1)]).toISOString() : null);
		return { from, to: q.get("to") ?? new Date().toISOString(), exact: !this.noHistory, historySince: this.historySince, ...(this.noHistory ? { note: "No history is kept." } : {}) };
	}

	workloads(list = this.conversations) {
		const all = new Map();
		for (const c of list) for (const w of [c.client, c.server]) all.set(w.id, w);
		return [...all.values()];
	}

	pods() {
		return this.workloads()
			.filter((w) => w.namespace)
			.map((w, i) => {
				const name = w.kind === "Pod" ? w.name : `${w.name}-6d4f9c7b8-x${(i * 7919).toString(36).slice(-4)}`;
				const id = `${w.namespace}/${name}`;
				return {
					namespace: w.namespace, name, uid: id, ips: [`10.88.${i >> 8}.${i & 255}`], interface: `veth${i}`, ifindex: 10 + i, hook: "tcx",
					mode: this.modes[w.namespace] ?? "observe", state: "attached", detail: "", quarantined: this.quarantined.has(id),
					ingressIsolated: this.modes[w.namespace] !== "observe", egressIsolated: false,
					policies: this.modes[w.namespace] === "observe" ? [] : [w.name],
					workload: { namespace: w.namespace, kind: w.kind, name: w.name },
					labels: { app: w.name, ...(this.labels[w.namespace] ?? {}) },
				};
			});
	}

	node(w, parent, inside) {
		const pods = this.pods().filter((p) => p.workload.namespace === w.namespace && p.workload.name === w.name && p.workload.kind === w.kind);
		return {
			id: w.id, type: "workload", parent, namespace: w.namespace, kind: w.kind, name: w.name, members: 1, pods: pods.length,
			modes: pods.length ? { [this.modes[w.namespace] ?? "observe"]: pods.length } : {}, quarantined: pods.filter((p) => p.quarantined).length, inside: aggregate(inside),
		};
	}

	graph(q) {
		const list = this.filter(q);
		const group = q.get("group") ?? "workload";
		const limit = Number(q.get("limit") ?? 300);
		const expand = new Set(words(q.get("expand")));
		const members = new Map();
		for (const w of this.workloads(list)) if (w.namespace) members.set(w.namespace, [...(members.get(w.namespace) ?? []), w]);
		let made = this.grouped(list, group, expand, members, Infinity);
		for (let keep = 20; made.nodes.length + made.edges.length > limit && keep >= 0; keep -= 4) made = this.grouped(list, group, expand, members, keep);
		let closed = 0;
		while (made.nodes.length + made.edges.length > limit && expand.size) {
			expand.delete([...expand].at(-1));
			closed++;
			made = this.grouped(list, group, expand, members, 0);
		}
		return {
			window: this.window(q), group, limit, nodes: made.nodes, edges: made.edges,
			matched: { workloads: this.workloads(list).length, conversations: list.length, of: this.conversations.length },
			folded: { nodes: made.folded, namespaces: closed },
		};
	}

	grouped(list, group, expand, members, keep) {
		let folded = 0;
		const nodes = new Map();
		const rest = new Map();
		const weight = new Map();
		for (const c of list) for (const w of [c.client, c.server]) weight.set(w.id, (weight.get(w.id) ?? 0) + (c.state === "denied" ? 1e15 : c.state === "would-deny" ? 1e13 : total(c)));
		for (const [namespace, all] of members) {
			const sorted = [...all].sort((a, b) => weight.get(b.id) - weight.get(a.id));
			for (const w of sorted.slice(keep)) if (sorted.length > keep + 1) rest.set(w.id, namespace);
		}
		const podOf = new Map(this.pods().map((p) => [`${p.workload.namespace}/${p.workload.kind}/${p.workload.name}`, p.name]));
		const place = (w) => {
			if (group === "pod" && w.namespace) return `pod:${w.namespace}/${podOf.get(w.id)}`;
			if (group.startsWith("label:")) return w.namespace ? `${group}=${w.name}` : group;
			if (group === "namespace" && w.namespace && !expand.has(w.namespace)) return `ns:${w.namespace}`;
			return rest.has(w.id) ? `rest:${w.namespace}` : w.id;
		};
		const edges = new Map();
		const inside = new Map();
		for (const c of list) {
			const source = place(c.client);
			const target = place(c.server);
			if (source === target && c.client.id !== c.server.id) inside.set(source, [...(inside.get(source) ?? []), c]);
			else {
				const key = `${source}>${target}>${c.state}`;
				edges.set(key, [...(edges.get(key) ?? []), c]);
			}
		}
		for (const w of this.workloads(list)) {
			const id = place(w);
			const parent = group === "namespace" && w.namespace && expand.has(w.namespace) ? `ns:${w.namespace}` : null;
			const plain = { namespace: w.namespace, kind: "", parent, pods: 0, modes: {}, quarantined: 0, inside: aggregate(inside.get(id) ?? []) };
			if (parent && !nodes.has(parent)) nodes.set(parent, { ...plain, id: parent, type: "namespace", parent: null, open: true, name: w.namespace, members: members.get(w.namespace).length, inside: aggregate([]) });
			if (nodes.has(id)) {
				if (id.startsWith("rest:")) {
					nodes.get(id).members++;
					folded++;
				}
				continue;
			}
			if (id.startsWith("ns:")) nodes.set(id, { ...plain, id, type: "namespace", open: false, name: w.namespace, members: members.get(w.namespace).length });
			else if (id.startsWith("rest:")) {
				folded++;
				nodes.set(id, { ...plain, id, type: "rest", name: "", members: 1 });
			} else if (group.startsWith("label:")) nodes.set(id, { ...plain, namespace: "", id, type: "label", name: w.namespace ? w.name : "", members: 1 });
			else if (id.startsWith("pod:")) nodes.set(id, { ...this.node(w, null, inside.get(id) ?? []), id, type: "pod", name: podOf.get(w.id) });
			else nodes.set(id, this.node(w, parent, inside.get(id) ?? []));
		}
		return {
			folded,
			nodes: [...nodes.values()].sort((a, b) => (a.id < b.id ? -1 : 1)),
			edges: [...edges].map(([key, all]) => {
				const [source, target, state] = key.split(">").length === 3 ? key.split(">") : [place(all[0].client), place(all[0].server), all[0].state];
				const same = (name, mixed) => (all.every((c) => c[name] === all[0][name]) ? all[0][name] : mixed);
				return {
					id: key, source, target, state, app: same("app", "unknown"), encrypted: same("encrypted", all.some((c) => c.encrypted === "no") ? "no" : "unknown"), aggregate: aggregate(all),
					conversations: [...all].sort((a, b) => total(b) - total(a)).slice(0, 8).map(({ id, protocol, port, app, encrypted, flows, bytes }) => ({ id: group === "pod" ? "" : id, protocol, port, app, encrypted, flows, bytes })),
				};
			}),
		};
	}

	inNode(w, id) {
		return w.id === id || `ns:${w.namespace}` === id || `rest:${w.namespace}` === id;
	}

	edges(q) {
		let list = this.filter(q);
		if (q.has("client")) list = list.filter((c) => this.inNode(c.client, q.get("client")));
		if (q.has("server")) list = list.filter((c) => this.inNode(c.server, q.get("server")));
		const by = { name: (c) => c.client.id, bytes: (c) => -total(c), flows: (c) => -c.flows, last: (c) => -Date.parse(c.last), denied: (c) => -c.packetsDenied * 1e6 - c.flowsWouldDeny }[q.get("sort") ?? "name"];
		const sorted = [...list].sort((a, b) => (by(a) < by(b) ? -1 : by(a) > by(b) ? 1 : a.id < b.id ? -1 : 1));
		const offset = Number(q.get("offset") ?? 0);
		return { window: this.window(q), edges: sorted.slice(offset, offset + Number(q.get("limit") ?? 300)), total: list.length };
	}

	why(c, q) {
		const end = (direction) => {
			const denies = c.deniedBy.includes(direction);
			const text = denies ? c.text : direction === "ingress" ? c.text : `no policy isolates ${c.client.name} for egress`;
			const subject = direction === "ingress" ? c.server : c.client;
			const rule = !denies && direction === "ingress" ? { number: 7, namespace: subject.namespace, policy: subject.name, direction, index: 0, text } : null;
			const now = c.state === "denied" && denies;
			return {
				direction, hidden: false, allowed: !now, reason: now ? "isolated" : "policy", text: denies && !now ? "dry-run: nothing is enforced" : text, rule: denies ? null : rule,
				pendingAllowed: !denies, pendingReason: denies ? "isolated" : "policy", pendingText: text, pendingRule: denies ? null : rule, family: 4, packets: c.packets, bytes: c.bytes, flows: c.flows, resets: 0, first: c.first, last: c.last, stale: null, ...this.ends.get(`${c.id} ${direction}`),
			};
		};
		const egress = c.client.namespace ? end("egress") : null;
		const ingress = c.server.namespace ? end("ingress") : null;
		return { ...c, window: this.window(q), egress, ingress, variants: [egress, ingress].filter(Boolean) };
	}

	series(c, q) {
		const window = this.window(q);
		const from = Date.parse(window.from ?? c.first);
		const next = clusters.random(parseInt(c.id.slice(1), 16));
		const step = 60;
		const points = [];
		for (let t = Math.ceil(from / 6e4) * 6e4; t < Date.now(); t += step * 1000) {
			const share = (0.3 + next()) * (1 + Math.sin(t / 9e5));
			if (share < 0.2) continue;
			const n = Math.ceil(c.flows / 60);
			points.push({
				time: new Date(t).toISOString(), seconds: step, packets: c.packets, flows: n, flowsDenied: c.flowsDenied ? n : 0, packetsDenied: c.packetsDenied ? n : 0, flowsWouldDeny: c.flowsWouldDeny ? Number(next() < 0.2) : 0,
				bytes: { fromClient: Math.round((c.bytes.fromClient * share) / 60), fromServer: Math.round((c.bytes.fromServer * share) / 60) },
			});
		}
		return { id: c.id, window, step, points: points.slice(-1000) };
	}

	diff(q) {
		const after = this.window(q);
		const hour = 36e5;
		const length = after.from ? Date.parse(after.to) - Date.parse(after.from) : hour;
		const from = Date.parse(after.to) - length;
		const list = this.filter(q);
		const fresh = list.filter((c) => c.fresh);
		const changed = list.filter((c) => c.was && !c.fresh).map((c) => ({ before: c.was, after: c }));
		const vanished = this.filter(q, this.vanished);
		const same = list.length - fresh.length - changed.length;
		return {
			before: { from: q.get("beforeFrom") ?? new Date(from - length).toISOString(), to: q.get("beforeTo") ?? new Date(from).toISOString(), exact: true }, after,
			new: fresh, vanished, changed, total: { new: fresh.length, vanished: vanished.length, changed: changed.length, same },
		};
	}

	namespaces() {
		const names = new Set([...Object.keys(this.modes), ...this.workloads().map((w) => w.namespace)].filter(Boolean));
		return [...names].sort().map((name) => {
			const mine = this.conversations.filter((c) => c.client.namespace === name || c.server.namespace === name);
			const pods = this.pods().filter((p) => p.namespace === name);
			return {
				name, mode: this.modes[name] ?? "observe", modeSource: "annotation", pods: pods.length * 3, podsHere: pods.length, modes: { [this.modes[name] ?? "observe"]: pods.length },
				quarantined: pods.filter((p) => p.quarantined).length, policies: this.policies().filter((p) => p.namespace === name).length,
				conversations: mine.length, denied: mine.filter((c) => c.state === "denied").length, wouldDeny: mine.filter((c) => c.state === "would-deny").length,
			};
		});
	}

	policies() {
		return this.pods()
			.filter((p) => p.policies.length)
			.map((p) => ({
				namespace: p.namespace, name: p.policies[0], uid: `${p.namespace}/${p.policies[0]}`, mode: "pod", ingress: true, egress: false, valid: true, problems: [], pods: [p.name],
				rules: [{ number: 7, namespace: p.namespace, policy: p.policies[0], direction: "ingress", index: 0, text: `${p.namespace}/${p.policies[0]} ingress[0]: from pods app=front, TCP 8080` }],
			}));
	}

	readiness(name, q) {
		const mine = this.conversations.filter((c) => c.client.namespace === name || c.server.namespace === name);
		const would = mine.filter((c) => c.state === "would-deny" && c.server.namespace === name).sort((a, b) => b.flows - a.flows);
		return {
			namespace: name, window: this.window(q), mode: this.modes[name] ?? "observe", observedSince: mine.map((c) => c.first).sort()[0] ?? null,
			ready: mine.length > 0 && would.length === 0, podsHere: this.pods().filter((p) => p.namespace === name).length,
			policies: this.policies().filter((p) => p.namespace === name).length, conversations: mine.length, wouldDeny: would.slice(0, 200), wouldDenyTotal: would.length,
			wouldDenyFlows: would.reduce((n, c) => n + c.flows, 0), lost: 0,
		};
	}

	status() {
		const pods = this.pods();
		return {
			node: "worker-1", version: "0.1.0", started: new Date(Date.now() - 52 * 36e5).toISOString(), revision: { wanted: 42, applied: 42 }, mode: "dry-run", modeSource: "command-line", ready: true,
			sources: [{ kind: "kube", name: "https://10.96.0.1", state: "current", objects: 812, problems: 0 }], endpoints: pods.length, endpointStates: { attached: pods.length, waiting: 0, unsupported: 0, failed: 0 },
			endpointModes: { observe: 3, "dry-run": 7, enforce: 6, quarantined: this.quarantined.size }, problems: this.problems, problemsElsewhere: 0,
			dataplane: { connected: true, program: "abi2", attach: "tcx", kernel: "6.12.9", slow: false, garbage: 0 }, losses: this.losses, policies: 12, pods: pods.length, flowRecords: 2000,
			drops: { isolated: 63, "spoofed-ip": 2 }, dropReasons: { isolated: "A policy isolates the pod, and no rule matched" }, passes: {}, maps: [], held: [], holds: 0,
			...(this.alerts ? { alerts: this.alertCounts() } : {}),
		};
	}

	allowance(c) {
		if (c.state === "allowed") return { edge: c.id, needed: false, policies: [], yaml: "", notes: [] };
		const yaml = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: allow-${c.client.name}-to-${c.server.name}-${c.port}
  namespace: ${c.server.namespace}
spec:
  podSelector:
    matchLabels:
      app: ${c.server.name}
  policyTypes: [Ingress]
  ingress:
    - from:
        - namespaceSelector:
            matchLabels:
              kubernetes.io/metadata.name: ${c.client.namespace}
          podSelector:
            matchLabels:
              app: ${c.client.name}
      ports:
        - protocol: ${c.protocol}
          port: ${c.port}
`;
		return { edge: c.id, needed: true, policies: [{}], yaml, notes: c.app === "unknown" ? ["Nobody knows what is spoken there: look before you allow it."] : [] };
	}

	// ---- Alerts and baselines ------------------------------------------------------------------

	/** An alert is raised, or goes on. */
	raise(...alerts) {
		for (const alert of alerts) {
			alert.changed = Math.max(0, ...this.alerts.map((a) => a.changed)) + 1;
			this.alerts = [...this.alerts.filter(({ id }) => id !== alert.id), alert];
		}
		this.tell("alerts", { alerts, more: 0 });
		this.tell("status", this.status());
	}

	alertCounts() {
		const open = this.alerts.filter((a) => a.acknowledged === null);
		return { open: open.length, high: open.filter((a) => a.severity === "high").length, acknowledged: this.alerts.length - open.length, baselines: this.baselines.size, dropped: 0 };
	}

	alertList(q) {
		const state = q.get("state") ?? "all";
		const list = this.alerts
			.filter((a) => state === "all" || (a.acknowledged === null) === (state === "open"))
			.sort((a, b) => b.changed - a.changed);
		return { alerts: list.slice(0, Number(q.get("limit") ?? 200)), total: list.length, next: Math.max(0, ...list.map((a) => a.changed)), dropped: 0 };
	}

	baseline(namespace) {
		const found = this.baselines.get(namespace);
		if (!found) throw Object.assign(new Error("the namespace has no baseline"), { status: 404 });
		const open = this.alerts.filter((a) => a.acknowledged === null && a.namespaces.includes(namespace));
		return { namespace, ...found, conversations: found.edges.length, alerts: open.length, more: 0 };
	}

	baselineList() {
		return { baselines: [...this.baselines.keys()].sort().map((name) => ({ ...this.baseline(name), edges: undefined, more: undefined })) };
	}

	lock(namespace, by) {
		const mine = this.conversations.filter((c) => c.client.namespace === namespace || c.server.namespace === namespace);
		const edges = mine.map(({ id, client, server, protocol, port, state }) => ({ id, client, server, protocol, port, denied: state === "denied" }));
		this.baselines.set(namespace, { locked: new Date().toISOString(), lockedBy: by, from: null, to: new Date().toISOString(), edges });
		return this.baseline(namespace);
	}

	// ---- Policies ------------------------------------------------------------------------------

	seen(c) {
		const party = ({ namespace, kind, name }) => ({ namespace, kind, name });
		const { protocol, port, flows, verdict, pending, packets, bytes, first, last } = c;
		return { id: c.id.slice(1).padStart(8, "0"), client: party(c.client), server: party(c.server), protocol, port, flows, verdict, pending, packets, bytes, first, last };
	}

	suggestion(namespace, q) {
		const mine = this.conversations.filter((c) => c.client.namespace === namespace || c.server.namespace === namespace);
		const all = mine.map((c) => {
			const seen = this.seen(c);
			const said = this.decided.get(seen.id);
			const why = said === "rejected" ? "rejected" : said === "approved" || c.state === "allowed" ? "included" : c.state;
			const text = { included: "is in the suggestion", rejected: "was rejected before", denied: "was denied when last seen", "would-deny": "a policy in dry-run does not allow it" }[why];
			return { ...seen, why, text };
		});
		const included = all.filter(({ why }) => why === "included");
		const policies = [...new Map(included.map((e) => e.server).filter((w) => w.namespace === namespace).map((w) => [w.name, w])).values()].map((w) => {
			const name = `suggested-${w.kind}-${w.name}`.toLowerCase();
			const comments = included.filter((e) => e.server.name === w.name).map((e) => `    # ${e.client.namespace}/${e.client.kind}/${e.client.name} to ${e.protocol} ${e.port}: ${e.flows} flows\n`);
			const yaml = `---\n# Suggested from what was seen.\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: "${name}"\n  namespace: "${namespace}"\nspec:\n  podSelector: {"matchLabels": {"app": "${w.name}"}}\n  policyTypes: ["Ingress", "Egress"]\n  ingress:\n${comments.join("")}    - from:\n        - {"podSelector": {}}\n`;
			return { manifest: { metadata: { name, namespace } }, yaml };
		});
		return { window: this.window(q), policies, included, left: all.filter(({ why }) => why !== "included"), recordsLost: 0 };
	}

	policyDiff(body) {
		const text = (body.manifests ?? []).map((m) => m.text).join("\n");
		if (!text.includes("kind: NetworkPolicy") && !body.delete?.length) {
			throw Object.assign(new Error(`${body.manifests?.[0]?.name}: there is no NetworkPolicy or ClusterNetworkPolicy in it`), { status: 400 });
		}
		const edges = [...this.changes].map(([c, change]) => {
			const [before, after] = change === "newly-denied" ? ["allowed", "denied"] : ["denied", "allowed"];
			return { ...this.seen(c), change, before: { verdict: before, end: "ingress", text: c.text }, after: { verdict: after, end: "ingress", text: c.text } };
		});
		const of = (change) => edges.filter((e) => e.change === change).length;
		const q = new URLSearchParams(body.last ? { last: "1h" } : {});
		return { window: this.window(q), edges, newlyDenied: of("newly-denied"), newlyAllowed: of("newly-allowed"), unchanged: this.conversations.length - edges.length, gone: 0, recordsLost: 0 };
	}

	// ---- HTTP ----------------------------------------------------------------------------------

	async handle(request, response) {
		const url = new URL(request.url, "http://mock");
		if (this.broken && url.pathname.startsWith("/api/")) return void request.socket.destroy();
		if (!url.pathname.startsWith("/api/")) return this.file(url.pathname, response);
		let body = "";
		for await (const chunk of request) body += chunk;
		this.requests.push({ method: request.method, path: url.pathname, query: url.search, body });
		const path = url.pathname.replace("/api/v1/", "");
		const send = (status, data, headers = {}) => {
			response.writeHead(status, { "Content-Type": "application/json", "Cache-Control": "no-store", ...headers });
			response.end(status === 204 ? "" : JSON.stringify(data));
		};
		const role = this.sessions.get(/bulkhead=(\w+)/.exec(request.headers.cookie ?? "")?.[1]);
		if (path === "session" && request.method === "POST") {
			const token = JSON.parse(body).token;
			if (!["operator", "reader"].includes(token)) return send(401, { error: "unauthorized", detail: "the token is not known" });
			const id = `s${this.sessions.size}`;
			this.sessions.set(id, token);
			return send(200, this.session(token), { "Set-Cookie": `bulkhead=${id}; HttpOnly; SameSite=Strict; Path=/` });
		}
		if (!role) return send(401, { error: "unauthorized", detail: "a token is needed" });
		try {
			return this.answer(request.method, path, url.searchParams, body ? JSON.parse(body) : {}, role, send, response);
		} catch (error) {
			return send(error.status ?? 500, { error: { 404: "not-found", 400: "bad-request" }[error.status] ?? "failed", detail: String(error.message) });
		}
	}

	session(role) {
		return { id: "k3f9", role, namespaces: null, node: "worker-1", version: "0.1.0", cluster: false };
	}

	find(id) {
		const found = [...this.conversations, ...this.vanished].find((c) => c.id === id);
		if (!found) throw Object.assign(new Error("there is no such edge"), { status: 404 });
		return found;
	}

	answer(method, path, q, body, role, send, response) {
		const [first, second, third] = path.split("/").map(decodeURIComponent);
		if (method === "DELETE" && first === "session") {
			this.sessions.clear();
			return send(204);
		}
		if (["PUT", "DELETE"].includes(method) && role !== "operator") return send(403, { error: "forbidden", detail: "the token is a reader's" });
		if (method === "PUT" && first === "mode") {
			this.modes[body.namespace] = body.value === "clear" ? "observe" : body.value;
			return send(200, { node: { mode: "dry-run", source: "command-line" }, overrides: [], pods: [], inForce: true });
		}
		if (method === "PUT" && first === "quarantine") {
			if (body.release) this.quarantined.delete(body.pod);
			else this.quarantined.add(body.pod);
			return send(200, { quarantined: [], known: true, inForce: true });
		}
		if (method === "POST" && path === "policy/allow") return send(200, this.allowance(this.find(body.edge)));
		if (method === "POST" && path === "policy/diff") return send(200, this.policyDiff(body));
		if (method === "POST" && path === "policy/suggest") {
			if (role !== "operator") return send(403, { error: "forbidden", detail: "the token is a reader's" });
			for (const id of body.approve ?? []) this.decided.set(id, "approved");
			for (const id of body.reject ?? []) this.decided.set(id, "rejected");
			for (const id of body.undecide ?? []) this.decided.delete(id);
			return send(200, this.suggestion(body.namespace, q));
		}
		if (path === "policy/suggest") return send(200, this.suggestion(q.get("namespace"), q));
		if ((first === "alerts" || first === "baselines") && this.alerts === null) return send(404, { error: "not-found", detail: "there is no such path" });
		if (method === "POST" && first === "alerts" && third === "ack") {
			if (role !== "operator") return send(403, { error: "forbidden", detail: "the token is a reader's" });
			const found = this.alerts.find(({ id }) => id === second);
			if (!found) return send(404, { error: "not-found", detail: "there is no such alert" });
			Object.assign(found, { acknowledged: new Date().toISOString(), acknowledgedBy: "k3f9" });
			this.raise(found);
			return send(200, { alert: found });
		}
		if (method === "PUT" && first === "baselines") return send(200, this.lock(second, "k3f9"));
		if (method === "DELETE" && first === "baselines") {
			this.baselines.delete(second);
			return send(200, this.baselineList());
		}
		if (method !== "GET") return send(405, { error: "not-allowed", detail: "not this way" });
		switch (first) {
			case "session": return send(200, this.session(role));
			case "status": return send(200, this.status());
			case "graph": return send(200, second === "diff" ? this.diff(q) : this.graph(q));
			case "edges": return send(200, !second ? this.edges(q) : third === "series" ? this.series(this.find(second), q) : this.why(this.find(second), q));
			case "alerts": return send(200, this.alertList(q));
			case "baselines": return send(200, second ? this.baseline(second) : this.baselineList());
			case "pods": return send(200, { pods: this.pods() });
			case "policies": return send(200, { policies: this.policies() });
			case "namespaces": return send(200, second ? this.readiness(second, q) : { namespaces: this.namespaces() });
			case "live":
				response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
				response.write(`event: hello\ndata: {"version": "0.1.0", "interval": 1000}\n\nevent: status\ndata: ${JSON.stringify(this.status())}\n\n`);
				this.streams.add(response);
				response.on("close", () => this.streams.delete(response));
				return undefined;
			default: return send(404, { error: "not-found", detail: "there is no such path" });
		}
	}

	file(path, response) {
		const name = path === "/" ? "index.html" : path.slice(1);
		if (!readdirSync(this.page).includes(name)) {
			response.writeHead(404).end();
			return;
		}
		response.writeHead(200, { "Content-Type": TYPES[name.split(".").pop()], "Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff" });
		response.end(readFileSync(join(this.page, name)));
	}
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
	const [page, name = "shop", port = "8080"] = process.argv.slice(2);
	const mock = new Mock(page, name === "none" ? {} : clusters[name]());
	console.log(`${await mock.listen(Number(port))}  token: operator`);
	if (name !== "none") {
		// Something always happens.
		setInterval(() => {
			const c = mock.conversations[Math.floor(Math.random() * mock.conversations.length)];
			c.last = new Date().toISOString();
			c.bytes.fromClient += c.state === "denied" ? 60 : 5000;
			mock.add(c);
		}, 1500);
	}
}
