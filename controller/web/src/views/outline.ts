// SPDX-License-Identifier: Apache-2.0
//
// The graph for those who cannot see it or use no pointer: its lines and nodes as two tables, always
// there, and in sight while the focus is in them. What has the focus stands out in the graph.

import type { TemplateResult } from "lit-html";
import { html, nothing } from "lit-html";
import { guard } from "lit-html/directives/guard.js";
import type { Graph, Node } from "../api/types";
import type { Line, Scene } from "../graph/scene";
import { GONE, buildScene } from "../graph/scene";
import type { App } from "../state/app";
import { both, bytes, count, plural, roleWord, stateWord } from "../state/format";
import type { Selection } from "../state/url";
import { nodeWord } from "./matrix";

const CHANGES = { "": "", same: "", new: "new", vanished: "gone", changed: "judged otherwise than before" };
const TRIALS = { "": "", "newly-denied": "the policy would deny it", "newly-allowed": "the policy would allow it", both: "the policy would deny a part, and allow a part" };
const RANK = { denied: 0, "would-deny": 1, allowed: 2 };

/** Everything that the graph says about a line by its colours and signs. */
export function remarks(line: Line): string {
	return [
		roleWord(line.app) && `with ${roleWord(line.app)}`,
		line.encrypted === "yes" ? "encrypted" : line.encrypted === "no" ? "plain text" : "",
		line.unusual ? "not in the baseline" : line.alarm ? "an open alert is about it" : "",
		TRIALS[line.trial],
		CHANGES[line.change],
	]
		.filter(Boolean)
		.join(", ");
}

/** The whole graph in one sentence. */
export function summary(graph: Graph | null): string {
	if (!graph) return "Graph of who talks to whom: not there yet.";
	const of = (state: string) => graph.edges.filter((edge) => edge.state === state).length;
	const nodes = graph.nodes.filter(({ open }) => !open).length;
	return `Graph of who talks to whom: ${plural(nodes, "node")}, ${plural(graph.edges.length, "line")}, ${of("denied")} denied, ${of("would-deny")} would be denied. The tables that follow have all of it.`;
}

export function focusOutline(): void {
	document.querySelector<HTMLElement>("#outline button")?.focus();
}

/** Down and up from row to row; the other keys of the page are not meant here. */
function walk(event: KeyboardEvent): void {
	const buttons = [...(event.currentTarget as HTMLElement).querySelectorAll<HTMLElement>("button")];
	const at = buttons.indexOf(event.target as HTMLElement);
	const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1, PageDown: at + 10, PageUp: at - 10 }[event.key];
	if (at < 0 || to === undefined) return;
	event.preventDefault();
	event.stopPropagation();
	buttons[Math.min(Math.max(to, 0), buttons.length - 1)]?.focus();
}

/** Selects; whoever did so by keyboard goes on in the panel. */
function choose(app: App, wanted: Selection, event: MouseEvent): void {
	app.select(wanted);
	if (event.detail !== 0) return;
	requestAnimationFrame(() => requestAnimationFrame(() => document.getElementById("panel")?.focus()));
}

function names(graph: Graph, scene: Scene): Map<string, string> {
	const all = new Map(scene.cards.filter(({ ghost }) => ghost).map(({ id, label }) => [id, label]));
	for (const node of graph.nodes) all.set(node.id, node.type === "namespace" ? `namespace ${node.name}` : nodeWord(node));
	return all;
}

function lineRow(app: App, line: Line, name: (id: string) => string, first: boolean, point: (id: string | null) => void): TemplateResult {
	const wanted: Selection = line.edge ? { kind: "edge", id: line.id } : { kind: "conversation", id: line.id.slice(GONE.length) };
	return html`<tr>
		<th scope="row">
			<button
				tabindex=${first ? 0 : -1}
				data-line=${line.id}
				@click=${(e: MouseEvent) => choose(app, wanted, e)}
				@focus=${() => point(line.id)}
				@blur=${() => point(null)}
			>
				${name(line.source)} → ${name(line.target)}
			</button>
		</th>
		<td>${stateWord(line.state)}</td>
		<td>${line.ports}</td>
		<td>${bytes(line.bytes)}</td>
		<td>${remarks(line)}</td>
	</tr>`;
}

function nodeRow(app: App, node: Node, first: boolean): TemplateResult {
	const { inside } = node;
	const state = [
		inside.conversations ? `${plural(inside.conversations, "conversation")} within, ${bytes(both(inside.bytes))}` : "",
		inside.denied ? `${inside.denied} denied` : "",
		inside.wouldDeny ? `${inside.wouldDeny} would be denied` : "",
		node.quarantined ? `${plural(node.quarantined, "pod")} cut off` : "",
	];
	return html`<tr>
		<th scope="row">
			<button tabindex=${first ? 0 : -1} data-node=${node.id} @click=${(e: MouseEvent) => choose(app, { kind: "node", id: node.id }, e)}>${nodeWord(node)}</button>
		</th>
		<td>${node.kind || node.type}${node.open ? ", open" : ""}</td>
		<td>${node.members > 1 ? plural(node.members, "workload") : ""}</td>
		<td>${state.filter(Boolean).join(", ")}</td>
	</tr>`;
}

export function outline(app: App, point: (id: string | null) => void): TemplateResult {
	const { graph, diff, alerts, trial } = app.state;
	const tables = () => {
		if (!graph) return nothing;
		const scene = buildScene(graph, diff, { alerts: alerts ?? [], trial: trial?.answer?.edges ?? null });
		const called = names(graph, scene);
		const name = (id: string) => called.get(id) ?? id;
		const lines = [...scene.lines].sort((a, b) => RANK[a.state] - RANK[b.state] || (name(a.source) + name(a.target) < name(b.source) + name(b.target) ? -1 : 1));
		return html`<table @keydown=${walk}>
				<caption>
					Lines of the graph: ${count(lines.length)}
				</caption>
				<thead>
					<tr>
						<th scope="col">From, to</th>
						<th scope="col">Verdict</th>
						<th scope="col">What</th>
						<th scope="col">Bytes</th>
						<th scope="col">Besides</th>
					</tr>
				</thead>
				<tbody>
					${lines.map((line, i) => lineRow(app, line, name, i === 0, point))}
				</tbody>
			</table>
			<table @keydown=${walk}>
				<caption>
					Nodes of the graph: ${count(graph.nodes.length)}
				</caption>
				<thead>
					<tr>
						<th scope="col">Name</th>
						<th scope="col">Kind</th>
						<th scope="col">Stands for</th>
						<th scope="col">State</th>
					</tr>
				</thead>
				<tbody>
					${graph.nodes.map((node, i) => nodeRow(app, node, i === 0))}
				</tbody>
			</table>`;
	};
	return html`<section class="outline" id="outline" aria-label="The graph as tables">${guard([graph, diff, alerts, trial?.answer], tables)}</section>`;
}
