// SPDX-License-Identifier: Apache-2.0
//
// What the graph shows, before anything has a place or a colour: islands, the cards on them, and the
// lines between. Pure: the API's answers in, a scene out.

import type { Alert, Conversation, Diff, Differing, Edge, Graph, Node, Party, Severity, State, Workload } from "../api/types";
import { appWord, both, roleOf, workloadWord } from "../state/format";
import { isOpen, isUnusual, loudness } from "../state/alarm";

export type Change = "" | "new" | "vanished" | "changed" | "same";

/** A frame: a namespace, or what belongs to none. A closed one is an end of lines itself. */
export interface Island {
	id: string;
	title: string;
	open: boolean;
	/** Null for frames of ours ("outside", "nodes"). */
	namespace: string | null;
	/** Opens and closes in place: a namespace, where its workloads are the nodes. */
	folds: boolean;
	members: number;
	node: Node | null;
}

export interface Card {
	id: string;
	island: string;
	label: string;
	kind: string;
	/** Stands for more than one. */
	folded: boolean;
	/** Gone: only the earlier window of a comparison knows it. */
	ghost: boolean;
	quarantined: boolean;
	/** What it is spoken to as: a database, a queue. */
	role: ReturnType<typeof roleOf>;
	node: Node | null;
}

/** What is said about lines beside the data itself. */
export interface Marks {
	alerts: Alert[];
	/** What candidate policies would change, while some are tried. */
	trial: Differing[] | null;
}

export interface Line {
	id: string;
	source: string;
	target: string;
	state: State;
	change: Change;
	bytes: number;
	encrypted: Edge["encrypted"];
	app: string;
	/** `TCP 5432`, `3 ports`. */
	ports: string;
	conversations: number;
	/** The worst open alert about one of its conversations. */
	alarm: "" | Severity;
	/** A baseline lacks one of them. */
	unusual: boolean;
	/** Policies that are tried would deny, or allow, one of them. */
	trial: "" | "newly-denied" | "newly-allowed" | "both";
	/** Null for a line that only the earlier window knows. */
	edge: Edge | null;
}

export interface Scene {
	islands: Island[];
	cards: Card[];
	lines: Line[];
	/** Sums over the lines of each island or card: what is wrong there. */
	trouble: Map<string, { denied: number; wouldDeny: number }>;
}

/** Before the ids of lines that only the earlier window knows; then the conversation's id. */
export const GONE = "gone:";

const OUTSIDE = "~outside";
const NODES = "~nodes";
const ALL = "~all";

function homeless(kind: string): { id: string; title: string } {
	return kind === "Node" ? { id: NODES, title: "Nodes" } : { id: OUTSIDE, title: "Outside" };
}

function cardLabel(node: Node): string {
	switch (node.type) {
		case "rest":
			return `+${node.members} more`;
		case "label":
			return node.name || "(without)";
		default:
			return node.name ? node.name : workloadWord(node);
	}
}

class Builder {
	readonly islands = new Map<string, Island>();
	readonly cards = new Map<string, Card>();
	readonly lines = new Map<string, Line>();

	constructor(
		private readonly flat: boolean,
		private readonly folds: boolean,
	) {}

	frame(node: Pick<Node, "namespace" | "kind" | "parent">): string {
		let id: string;
		let title: string;
		let namespace: string | null = null;
		if (this.flat) {
			[id, title] = [ALL, ""];
		} else if (node.parent || node.namespace) {
			id = node.parent ?? `ns:${node.namespace}`;
			title = namespace = node.namespace;
		} else {
			({ id, title } = homeless(node.kind));
		}
		if (!this.islands.has(id)) {
			this.islands.set(id, { id, title, open: true, namespace, folds: this.folds && namespace !== null, members: 0, node: null });
		}
		return id;
	}

	addNode(node: Node): void {
		if (node.type === "namespace" && !this.flat) {
			const closed = !node.open;
			this.islands.set(node.id, {
				id: node.id,
				title: node.name,
				open: !closed,
				namespace: node.name,
				folds: this.folds,
				members: node.members,
				node,
			});
			return;
		}
		this.cards.set(node.id, {
			id: node.id,
			island: this.frame(node),
			label: cardLabel(node),
			kind: node.type === "rest" ? "Rest" : node.kind,
			folded: node.type === "rest",
			ghost: false,
			quarantined: node.quarantined > 0,
			role: "",
			node,
		});
	}

	has(id: string): boolean {
		const island = this.islands.get(id);
		return this.cards.has(id) || (island !== undefined && !island.open);
	}

	/** The element that stands for a workload in this scene, made if there is none. */
	standsFor(w: Workload): string {
		const namespace = w.kind === "Namespace" ? w.name : w.namespace;
		for (const id of [w.id, `ns:${namespace}`, `rest:${namespace}`, "rest:"]) {
			if (this.has(id)) return id;
		}
		this.cards.set(w.id, {
			id: w.id,
			island: this.frame({ namespace: w.namespace, kind: w.kind, parent: null }),
			label: w.name || workloadWord(w),
			kind: w.kind,
			folded: false,
			ghost: true,
			quarantined: false,
			role: "",
			node: null,
		});
		return w.id;
	}
}

function portsOf(edge: Edge): string {
	const ports = new Set(edge.conversations.map((c) => (c.port ? `${c.protocol} ${c.port}` : c.protocol)));
	if (ports.size === 1 && edge.aggregate.conversations === edge.conversations.length) {
		const app = appWord(edge.app);
		return app ? `${[...ports][0]} · ${app}` : [...ports][0]!;
	}
	return `${Math.max(ports.size, edge.aggregate.conversations)} conversations`;
}

function key(source: string, target: string, state: State): string {
	return `${source}\n${target}\n${state}`;
}

function compare(builder: Builder, diff: Diff): void {
	const at = new Map<string, Line>();
	for (const line of builder.lines.values()) {
		line.change = "same";
		at.set(key(line.source, line.target, line.state), line);
	}
	const mark = (c: Conversation, change: Change) => {
		const source = builder.standsFor(c.client);
		const target = builder.standsFor(c.server);
		if (source === target && source !== c.client.id) return;
		const found = at.get(key(source, target, c.state));
		if (found?.edge) {
			if (change !== "vanished") found.change = found.change === "new" ? "new" : change;
			return;
		}
		if (found) {
			found.conversations++;
			found.ports = `${found.conversations} conversations`;
			found.bytes += both(c.bytes);
			return;
		}
		const line: Line = {
			id: GONE + c.id,
			source,
			target,
			state: c.state,
			change,
			bytes: both(c.bytes),
			encrypted: c.encrypted,
			app: c.app,
			ports: c.port ? `${c.protocol} ${c.port}` : c.protocol,
			conversations: 1,
			alarm: "",
			unusual: false,
			trial: "",
			edge: null,
		};
		builder.lines.set(line.id, line);
		at.set(key(source, target, c.state), line);
	};
	for (const c of diff.vanished) mark(c, "vanished");
	for (const c of diff.changed) mark(c.after, "changed");
	for (const c of diff.new) mark(c, "new");
}

/** As the API names workloads. */
export function partyId({ namespace, kind, name }: Party): string {
	return namespace ? `${namespace}/${kind}/${name}` : `${kind}/${name}`;
}

/** The node of a graph that stands for a workload, if one does. */
function nodesFor(graph: Graph): (w: Party) => string | null {
	const ids = new Set(graph.nodes.filter(({ open }) => !open).map(({ id }) => id));
	return (w) => {
		const namespace = w.kind === "Namespace" ? w.name : w.namespace;
		return [partyId(w), `ns:${namespace}`, `rest:${namespace}`, "rest:"].find((id) => ids.has(id)) ?? null;
	};
}

/** The lines from what stands for one workload to what stands for another. */
function edgesBetween(graph: Graph): (from: Party, to: Party) => Edge[] {
	const node = nodesFor(graph);
	const all = new Map<string, Edge[]>();
	for (const edge of graph.edges) {
		const key = `${edge.source}\n${edge.target}`;
		const list = all.get(key);
		if (list) list.push(edge);
		else all.set(key, [edge]);
	}
	return (from, to) => all.get(`${node(from)}\n${node(to)}`) ?? [];
}

/** Lines of a graph that hold a conversation: by its id where they tell it, else by its ends and state. */
export function linesWith(graph: Graph, c: Pick<Conversation, "id"> & Partial<Pick<Conversation, "client" | "server" | "state">>): string[] {
	const told = graph.edges.filter((edge) => edge.conversations.some(({ id }) => id === c.id));
	if (told.length > 0 || !c.client || !c.server) return told.map(({ id }) => id);
	return edgesBetween(graph)(c.client, c.server)
		.filter(({ state }) => state === c.state)
		.map(({ id }) => id);
}

/** The lines in which each change would happen. A line tells only its largest conversations: of the others its state must do. */
export function changedLines(graph: Graph, trial: Differing[]): string[][] {
	const between = edgesBetween(graph);
	return trial.map(({ client, server, protocol, port, change }) => {
		const edges = between(client, server);
		const exact = edges.filter((edge) => edge.conversations.some((c) => c.protocol === protocol && c.port === port));
		const likely = edges.filter(
			(edge) => edge.aggregate.conversations > edge.conversations.length && (edge.state === "allowed") === (change === "newly-denied"),
		);
		return (exact.length ? exact : likely).map(({ id }) => id);
	});
}

/** The same for what open alerts are about: by conversation where a line tells it, else by its ends. */
function sound(graph: Graph, builder: Builder, alerts: Alert[]): void {
	const open = alerts.filter(isOpen);
	if (open.length === 0) return;
	const told = new Map<string, Edge>();
	for (const edge of graph.edges) for (const { id } of edge.conversations) told.set(id, edge);
	const between = edgesBetween(graph);
	const ring = (alert: Alert, edge: Edge) => {
		const line = builder.lines.get(edge.id);
		if (!line) return;
		if (loudness(alert.severity) > loudness(line.alarm)) line.alarm = alert.severity;
		line.unusual ||= isUnusual(alert);
	};
	for (const alert of open) {
		for (const { edge: id, source, destination, verdict } of alert.evidence) {
			const exact = id === null ? undefined : told.get(id);
			const likely = (edge: Edge) =>
				edge.aggregate.conversations > edge.conversations.length && (verdict === "refused" || verdict === edge.state);
			for (const edge of exact ? [exact] : between(source.workload, destination.workload).filter(likely)) ring(alert, edge);
		}
	}
}

function tried(graph: Graph, builder: Builder, trial: Differing[]): void {
	changedLines(graph, trial).forEach((ids, i) => {
		for (const id of ids) {
			const line = builder.lines.get(id);
			const { change } = trial[i]!;
			if (line) line.trial = line.trial && line.trial !== change ? "both" : change;
		}
	});
}

/** What somebody is spoken to as, tells what it is. */
function cast(builder: Builder): void {
	for (const { target, edge, app } of builder.lines.values()) {
		const card = builder.cards.get(target);
		if (!card || card.folded || !edge) continue;
		for (const one of [app, ...edge.conversations.map((c) => c.app)]) card.role ||= roleOf(one);
	}
}

export function buildScene(graph: Graph, diff: Diff | null, marks?: Marks): Scene {
	const builder = new Builder(graph.group.startsWith("label:"), graph.group === "namespace");
	for (const node of graph.nodes) if (node.type === "namespace") builder.addNode(node);
	for (const node of graph.nodes) if (node.type !== "namespace") builder.addNode(node);
	for (const edge of graph.edges) {
		if (!builder.has(edge.source) || !builder.has(edge.target)) continue;
		builder.lines.set(edge.id, {
			id: edge.id,
			source: edge.source,
			target: edge.target,
			state: edge.state,
			change: "",
			bytes: both(edge.aggregate.bytes),
			encrypted: edge.encrypted,
			app: edge.app,
			ports: portsOf(edge),
			conversations: edge.aggregate.conversations,
			alarm: "",
			unusual: false,
			trial: "",
			edge,
		});
	}
	if (diff) compare(builder, diff);
	if (marks) {
		sound(graph, builder, marks.alerts);
		if (marks.trial) tried(graph, builder, marks.trial);
	}
	cast(builder);

	const trouble: Scene["trouble"] = new Map();
	const add = (id: string | undefined, denied: number, wouldDeny: number) => {
		if (!id || denied + wouldDeny === 0) return;
		const sum = trouble.get(id) ?? { denied: 0, wouldDeny: 0 };
		trouble.set(id, { denied: sum.denied + denied, wouldDeny: sum.wouldDeny + wouldDeny });
	};
	for (const line of builder.lines.values()) {
		if (!line.edge) continue;
		const { denied, wouldDeny } = line.edge.aggregate;
		const ends = new Set([line.source, line.target]);
		const frames = new Set([...ends].map((end) => builder.cards.get(end)?.island));
		for (const id of [...ends, ...frames]) add(id, denied, wouldDeny);
	}
	for (const { id, open, node } of builder.islands.values()) {
		if (!open && node) add(id, node.inside.denied, node.inside.wouldDeny);
	}
	for (const card of builder.cards.values()) {
		const island = builder.islands.get(card.island);
		if (island && !island.node) island.members++;
	}
	return {
		islands: [...builder.islands.values()],
		cards: [...builder.cards.values()],
		lines: [...builder.lines.values()],
		trouble,
	};
}
