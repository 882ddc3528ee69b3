// SPDX-License-Identifier: Apache-2.0
//
// Numbers and times as people read them, and the page's words for the API's.

import type { BothWays, Encryption, Mode, State, Time, Window, Workload } from "../api/types";

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

export function bytes(n: number): string {
	let unit = 0;
	while (n >= 999.5 && unit < UNITS.length - 1) {
		n /= 1000;
		unit++;
	}
	return `${unit === 0 || n >= 99.5 ? n.toFixed(0) : n.toPrecision(2)} ${UNITS[unit]}`;
}

export function both(n: BothWays): number {
	return n.fromClient + n.fromServer;
}

export function count(n: number): string {
	return n.toLocaleString("en");
}

/** "1 workload", "12 workloads". */
export function plural(n: number, word: string, words = `${word}s`): string {
	return `${count(n)} ${n === 1 ? word : words}`;
}

export function micros(us: number): string {
	if (us < 1000) return `${us} µs`;
	return us < 1_000_000 ? `${(us / 1000).toPrecision(2)} ms` : `${(us / 1_000_000).toPrecision(2)} s`;
}

function span(seconds: number): string {
	if (seconds < 90) return `${Math.round(seconds)} s`;
	if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
	if (seconds < 129_600) return `${Math.round(seconds / 3600)} h`;
	return `${Math.round(seconds / 86_400)} days`;
}

/** "3 min ago"; the exact time belongs into a title. */
export function ago(time: string | null, now = Date.now()): string {
	if (!time) return "never";
	const seconds = (now - Date.parse(time)) / 1000;
	if (Number.isNaN(seconds)) return "never";
	return seconds < 5 ? "just now" : `${span(seconds)} ago`;
}

export function lasting(from: string | null, to = Date.now()): string {
	return from ? span(Math.max(0, to - Date.parse(from)) / 1000) : "no time";
}

/** Local time without the seconds' fractions. */
export function clock(time: string | null): string {
	if (!time) return "–";
	const date = new Date(time);
	const pad = (n: number) => String(n).padStart(2, "0");
	const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
	return `${day} ${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

/** From when there is anything of a window: history may have begun after it. Times sort as texts. */
export function seenFrom({ from, historySince }: Window): Time {
	return from && historySince && historySince > from ? historySince : from;
}

const STATE_WORDS: Record<State, string> = {
	allowed: "Allowed",
	"would-deny": "Would be denied",
	denied: "Denied",
};

export function stateWord(state: State): string {
	return STATE_WORDS[state] ?? state;
}

const MODE_WORDS: Record<Mode, string> = { observe: "Observe", "dry-run": "Dry run", enforce: "Enforce" };

export function modeWord(mode: Mode): string {
	return MODE_WORDS[mode] ?? mode;
}

const APPS: Record<string, string> = {
	tls: "TLS",
	http1: "HTTP/1",
	http2: "HTTP/2",
	grpc: "gRPC",
	postgresql: "PostgreSQL",
	mysql: "MySQL",
	redis: "Redis",
	mongodb: "MongoDB",
	kafka: "Kafka",
	amqp: "AMQP",
	nats: "NATS",
	dns: "DNS",
	ssh: "SSH",
};

export const APP_NAMES: readonly string[] = Object.keys(APPS);

export function appWord(app: string): string {
	return app === "unknown" ? "" : (APPS[app] ?? app);
}

/** Those whose being spoken in plain text is worth a word. */
const STORES = new Set(["postgresql", "mysql", "redis", "mongodb", "kafka", "amqp", "nats"]);

export function isStore(app: string): boolean {
	return STORES.has(app);
}

export function portWord(protocol: string, port: number): string {
	return port ? `${protocol} ${port}` : protocol;
}

const ALERTS: Record<string, string> = {
	"new-edge": "New conversation",
	"first-world": "First contact with the world",
	"port-scan": "Port scan",
	"lateral-movement": "Lateral movement",
	"plaintext-database": "Plain text to a database",
};

export function alertKind(kind: string): string {
	return ALERTS[kind] ?? kind;
}

/** What speaks such a protocol, as one says it; empty where that says nothing. */
export function roleOf(app: string): "database" | "cache" | "queue" | "" {
	switch (app) {
		case "postgresql":
		case "mysql":
		case "mongodb":
			return "database";
		case "redis":
			return "cache";
		case "kafka":
		case "amqp":
		case "nats":
			return "queue";
		default:
			return "";
	}
}

const ROLES: Record<string, string> = {
	database: "a database",
	cache: "a store in memory",
	queue: "a message queue",
	dns: "a name server",
	ssh: "a remote shell",
	http1: "a web service",
	http2: "a web service",
	grpc: "a gRPC service",
};

/** "a database (PostgreSQL)"; empty where nobody knows. */
export function roleWord(app: string): string {
	const word = ROLES[roleOf(app)] ?? ROLES[app];
	return word ? (app === "grpc" ? word : `${word} (${appWord(app)})`) : "";
}

/** What a conversation is, in one sentence; empty where nobody knows. */
export function kindSentence(c: { app: string; encrypted: Encryption; tlsVersion: string }): string {
	const role = roleWord(c.app);
	const tls = c.tlsVersion ? `TLS ${c.tlsVersion}` : "encrypted";
	if (role) {
		const how = { yes: `, spoken ${c.tlsVersion ? `over ${tls}` : "encrypted"}`, no: ", spoken in plain text", unknown: "" }[c.encrypted];
		return `This is ${role}${how}.`;
	}
	if (c.encrypted === "yes") return `What is spoken is encrypted${c.tlsVersion ? ` (${tls})` : ""}, and not seen.`;
	return c.encrypted === "no" ? "This is spoken in plain text." : "";
}

/** Spoken in plain text to something that stores or forwards data. */
export function isExposed(c: { app: string; encrypted: Encryption }): boolean {
	return c.encrypted === "no" && isStore(c.app);
}

/** A workload as one says it: `shop/web`, `world 10.0.0.0/8`, `node n1`. */
export function workloadWord(w: Pick<Workload, "namespace" | "kind" | "name">): string {
	if (w.kind === "Namespace") return `${w.name} (namespace)`;
	if (w.namespace) return `${w.namespace}/${w.name}`;
	switch (w.kind) {
		case "World":
			return w.name ? `world ${w.name}` : "world";
		case "Node":
			return `node ${w.name}`;
		case "Held":
			return "pods not known yet";
		case "Unknown":
			return w.name ? `unknown ${w.name}` : "unknown";
		default:
			return w.name || w.kind;
	}
}

/** The middle is cut out: both ends of a name tell more than its middle. */
export function shorten(text: string, most: number): string {
	if (text.length <= most) return text;
	const tail = Math.floor((most - 1) * 0.4);
	return `${text.slice(0, most - 1 - tail)}…${text.slice(text.length - tail)}`;
}
