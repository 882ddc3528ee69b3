// SPDX-License-Identifier: Apache-2.0
//
// Where the page is: view, window, filter, what is open and what is selected. All of it lives in the
// URL, so that a link shows another person the same thing, and Back goes back.

import type { Encryption, State } from "../api/types";

export type View = "graph" | "matrix" | "table";
export type Scope = "node" | "cluster";
export type Sort = "name" | "bytes" | "flows" | "last" | "denied";

export interface Filter {
	namespaces: string[];
	verdicts: State[];
	protocols: string[];
	apps: string[];
	encrypted: Encryption[];
	/** As written: `80,8000-8999`. */
	ports: string;
	/** As written: `app=web,tier`. */
	labels: string;
	text: string;
}

/** `last`: ends now. Otherwise two fixed times. Neither: everything known. */
export interface Span {
	last: string;
	from: string;
	to: string;
}

export type Selection =
	| { kind: "node"; id: string }
	| { kind: "edge"; id: string }
	| { kind: "conversation"; id: string };

/** What the side panel has while nothing is selected. `name`: the namespace, where it is about one. */
export interface Side {
	kind: "alerts" | "baseline" | "suggest" | "try";
	name: string;
}

export interface Place {
	view: View;
	span: Span;
	/** The earlier window of a comparison: null for none, "" for the one just before, else its two ends. */
	before: { from: string; to: string } | null;
	scope: Scope;
	/** `namespace`, `pod`, `label:KEY`. */
	group: string;
	/** Namespaces that are open; null: as the page thinks best. */
	open: string[] | null;
	filter: Filter;
	selection: Selection | null;
	side: Side | null;
	sort: Sort;
}

export const NO_FILTER: Filter = {
	namespaces: [],
	verdicts: [],
	protocols: [],
	apps: [],
	encrypted: [],
	ports: "",
	labels: "",
	text: "",
};

export const DEFAULT_LAST = "1h";

const STATES: readonly State[] = ["allowed", "would-deny", "denied"];
const ENCRYPTION: readonly Encryption[] = ["yes", "no", "unknown"];
const VIEWS: readonly View[] = ["graph", "matrix", "table"];
const SORTS: readonly Sort[] = ["name", "bytes", "flows", "last", "denied"];
const SIDES: readonly Side["kind"][] = ["alerts", "baseline", "suggest", "try"];
const KINDS = { n: "node", e: "edge", c: "conversation" } as const;

function list(text: string | null): string[] {
	return (text ?? "").split(",").filter((word) => word !== "");
}

function among<T extends string>(words: readonly T[], text: string | null): T[] {
	return list(text).filter((word): word is T => (words as readonly string[]).includes(word));
}

function time(text: string | null): string {
	return text && !Number.isNaN(Date.parse(text)) ? text : "";
}

function parseSelection(text: string | null): Selection | null {
	const kind = KINDS[(text ?? "")[0] as keyof typeof KINDS];
	return text && kind && text[1] === "." && text.length > 2 ? { kind, id: text.slice(2) } : null;
}

function parseSide(text: string | null): Side | null {
	const [kind = "", ...rest] = (text ?? "").split(".");
	const name = rest.join(".");
	const known = SIDES.find((one) => one === kind);
	if (!known) return null;
	if (known === "baseline" || known === "suggest") return name ? { kind: known, name } : null;
	return { kind: known, name: "" };
}

/** Reads a query string. What makes no sense in it is left out. */
export function parse(search: string): Place {
	const q = new URLSearchParams(search);
	const last = q.get("last") ?? "";
	const from = time(q.get("from"));
	const to = time(q.get("to"));
	const fixed = from !== "";
	const before = q.get("before");
	const [beforeFrom = "", beforeTo = ""] = (before ?? "").split("~");
	const group = q.get("group") ?? "";
	return {
		view: among(VIEWS, q.get("view"))[0] ?? "graph",
		span: {
			last: fixed || last === "all" ? "" : /^[1-9][0-9]{0,6}[smhd]$/.test(last) ? last : DEFAULT_LAST,
			from,
			to: fixed ? to : "",
		},
		before: before === null ? null : { from: time(beforeFrom), to: time(beforeTo) },
		scope: q.get("scope") === "cluster" ? "cluster" : "node",
		group: /^(pod|label:.{1,317})$/.test(group) ? group : "namespace",
		open: q.has("open") ? list(q.get("open")) : null,
		filter: {
			namespaces: list(q.get("ns")),
			verdicts: among(STATES, q.get("verdict")),
			protocols: list(q.get("proto")),
			apps: list(q.get("app")),
			encrypted: among(ENCRYPTION, q.get("enc")),
			ports: q.get("port") ?? "",
			labels: q.get("label") ?? "",
			text: q.get("q") ?? "",
		},
		selection: parseSelection(q.get("sel")),
		side: parseSide(q.get("side")),
		sort: among(SORTS, q.get("sort"))[0] ?? "bytes",
	};
}

/** The query string of a place, with its `?`; empty for the place one starts from. */
export function format(place: Place): string {
	const q = new URLSearchParams();
	const set = (name: string, value: string, usual = "") => value !== usual && q.set(name, value);
	const { span, filter, selection, side } = place;
	set("view", place.view, "graph");
	if (span.from) {
		q.set("from", span.from);
		set("to", span.to);
	} else {
		set("last", span.last || "all", DEFAULT_LAST);
	}
	if (place.before) q.set("before", place.before.from ? `${place.before.from}~${place.before.to}` : "");
	set("scope", place.scope, "node");
	set("group", place.group, "namespace");
	if (place.open) q.set("open", place.open.join(","));
	set("ns", filter.namespaces.join(","));
	set("verdict", filter.verdicts.join(","));
	set("proto", filter.protocols.join(","));
	set("port", filter.ports);
	set("label", filter.labels);
	set("app", filter.apps.join(","));
	set("enc", filter.encrypted.join(","));
	set("q", filter.text);
	set("sort", place.sort, "bytes");
	if (selection) q.set("sel", `${selection.kind[0]}.${selection.id}`);
	if (side) q.set("side", side.name ? `${side.kind}.${side.name}` : side.kind);
	const text = q.toString();
	return text ? `?${text}` : "";
}

/** Whose it is. */
export function addScope(q: URLSearchParams, place: Place): URLSearchParams {
	if (place.scope === "cluster") q.set("scope", place.scope);
	return q;
}

/** The filter as the API takes it. */
export function filterQuery(filter: Filter): URLSearchParams {
	const q = new URLSearchParams();
	const set = (name: string, value: string) => value && q.set(name, value);
	set("namespace", filter.namespaces.join(","));
	set("verdict", filter.verdicts.join(","));
	set("protocol", filter.protocols.join(","));
	set("port", filter.ports.replace(/\s+/g, ""));
	set("label", filter.labels.trim());
	set("app", filter.apps.join(","));
	set("encrypted", filter.encrypted.join(","));
	set("text", filter.text.trim());
	return q;
}

export function addSpan(q: URLSearchParams, span: Span): URLSearchParams {
	if (span.from) {
		q.set("from", span.from);
		if (span.to) q.set("to", span.to);
	} else if (span.last) {
		q.set("last", span.last);
	}
	return q;
}

/** The window begins before this time. */
export function reaches(span: Span, time: string | null): boolean {
	if (!time) return true;
	if (span.from) return Date.parse(span.from) <= Date.parse(time) && (!span.to || Date.parse(time) <= Date.parse(span.to));
	if (!span.last) return true;
	const unit = { s: 1e3, m: 6e4, h: 36e5, d: 864e5 }[span.last.slice(-1)] ?? 0;
	return Date.now() - Number(span.last.slice(0, -1)) * unit <= Date.parse(time);
}

/** How many of its parts are set. */
export function filterSize(filter: Filter): number {
	return [...filterQuery(filter).keys()].length;
}

/** The window ends now, so what happens now belongs into it. */
export function isLive(span: Span): boolean {
	return !span.to;
}
