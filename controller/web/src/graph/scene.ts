// SPDX-License-Identifier: Apache-2.0
//
// What the graph shows, before anything has a place or a colour: islands, the cards on them, and the
// lines between. Pure: the API's answers in, a scene out.

import type { Conversation, Diff, Edge, Graph, Node, State, Workload } from "../api/types";
import { both, workloadWord } from "../state/format";

export type Change = "" | "new" | "vanished" | "changed" | "same";

/** A frame: a namespace, or what belongs to none. A closed one is an end of lines itself. */
export interface Island {
	id: string;
	title: string;
	open: boolean;
	/** Frames of ours ("outside", "nodes") cannot be closed. */
	namespace: string | null;
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
	node: Node | null;
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

	constructor(private readonly flat: boolean) {}

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
			this.islands.set(id, { id, title, open: true, namespace, members: 0, node: null });
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
			node: null,
		});
		return w.id;
	}
}

function portsOf(edge: Edge): string {
	const ports = new Set(edge.conversations.map((c) => (c.port ? `${c.protocol} ${c.port}` : c.protocol)));
	if (ports.size === 1 && edge.aggregate.conversations === edge.conversations.length) return [...ports][0]!;
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
			edge: null,
		};
		builder.lines.set(line.id, line);
		at.set(key(source, target, c.state), line);
	};
	for (const c of diff.vanished) mark(c, "vanished");
	for (const c of diff.changed) mark(c.after, "changed");
	for (const c of diff.new) mark(c, "new");
}

export function buildScene(graph: Graph, diff: Diff | null): Scene {
	const builder = new Builder(graph.group.startsWith("label:"));
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
			edge,
		});
	}
	if (diff) compare(builder, diff);

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
