// SPDX-License-Identifier: Apache-2.0
//
// The graph as an adjacency matrix: who opens conversations (rows) with whom (columns). The same
// elements as the graph: closed namespaces are one line, open ones a line for each workload.

import type { TemplateResult } from "lit-html";
import { html, nothing } from "lit-html";
import type { Aggregate, Node, State } from "../api/types";
import type { Card, Change, Line } from "../graph/scene";
import { GONE, buildScene } from "../graph/scene";
import type { App } from "../state/app";
import { bytes, plural, stateWord, workloadWord } from "../state/format";
import type { Selection } from "../state/url";
import { mark } from "./parts";

/** Rows and columns that are drawn; more cannot be taken in, and are said to be left out. */
const MOST = 80;

const WORST: State[] = ["denied", "would-deny", "allowed"];
const CHANGES: Change[] = ["new", "changed", "vanished", "same", ""];
const CHANGE_WORDS = { new: ", new", changed: ", judged otherwise than before", vanished: ", gone", same: "", "": "" };

interface Cell {
	worst: State;
	conversations: number;
	bytes: number;
	change: Change;
	wanted: Selection;
	/** Of the lines in it: which of them is selected is told by these. */
	ids: string[];
}

export function nodeWord(node: Node): string {
	switch (node.type) {
		case "namespace":
			return node.name;
		case "rest":
			return node.namespace ? `${node.namespace}: ${node.members} more` : `${node.members} more`;
		case "label":
			return node.name || "(without the label)";
		default:
			return workloadWord(node);
	}
}

/** By source and target; a cell holds up to three lines, one for each state. */
function cells(lines: Line[]): Map<string, Map<string, Cell>> {
	const rows = new Map<string, Map<string, Cell>>();
	for (const line of lines) {
		const row = rows.get(line.source) ?? new Map<string, Cell>();
		rows.set(line.source, row);
		const wanted: Selection = line.edge
			? { kind: "edge", id: line.id }
			: { kind: "conversation", id: line.id.slice(GONE.length) };
		const cell = row.get(line.target);
		if (!cell) {
			const { state: worst, conversations, bytes: moved, change } = line;
			row.set(line.target, { worst, conversations, bytes: moved, change, wanted, ids: [wanted.id] });
			continue;
		}
		cell.ids.push(wanted.id);
		cell.conversations += line.conversations;
		cell.bytes += line.bytes;
		if (CHANGES.indexOf(line.change) < CHANGES.indexOf(cell.change)) cell.change = line.change;
		if (WORST.indexOf(line.state) < WORST.indexOf(cell.worst)) [cell.worst, cell.wanted] = [line.state, wanted];
	}
	return rows;
}

const NOTHING: Aggregate = {
	conversations: 0,
	denied: 0,
	wouldDeny: 0,
	flows: 0,
	flowsDenied: 0,
	flowsWouldDeny: 0,
	packetsDenied: 0,
	packets: { fromClient: 0, fromServer: 0 },
	bytes: { fromClient: 0, fromServer: 0 },
	last: null,
};

/** What only the earlier window of a comparison knows has a line too. */
function ghostNode({ id, label, kind, island }: Card): Node {
	const namespace = island.startsWith("ns:") ? island.slice(3) : "";
	const none = { parent: null, members: 1, pods: 0, modes: {}, quarantined: 0, inside: NOTHING };
	return { ...none, id, type: "workload", namespace, kind, name: label };
}

function order(a: Node, b: Node): number {
	const place = (n: Node) => (n.namespace || n.type === "namespace" ? `0 ${n.namespace || n.name}` : "1");
	const x = `${place(a)}\n${a.type === "rest" ? "1" : "0"}${nodeWord(a)}`;
	const y = `${place(b)}\n${b.type === "rest" ? "1" : "0"}${nodeWord(b)}`;
	return x < y ? -1 : x > y ? 1 : 0;
}

/** The arrow keys go from cell to cell that has something in it. */
function walk(event: KeyboardEvent): void {
	const from = event.target as HTMLElement;
	const [row, column] = [Number(from.dataset.row), Number(from.dataset.column)];
	const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
	if (!step || Number.isNaN(row)) return;
	event.preventDefault();
	event.stopPropagation();
	const buttons = [...(event.currentTarget as HTMLElement).querySelectorAll<HTMLElement>("button[data-row]")];
	const ahead = buttons
		.map((button) => ({ button, dr: Number(button.dataset.row) - row, dc: Number(button.dataset.column) - column }))
		.filter(({ dr, dc }) => dr * step[0]! + dc * step[1]! > 0)
		.sort((a, b) => distance(a, step) - distance(b, step));
	ahead[0]?.button.focus();
}

function distance({ dr, dc }: { dr: number; dc: number }, step: number[]): number {
	const along = Math.abs(step[0] ? dr : dc);
	const aside = Math.abs(step[0] ? dc : dr);
	return along + aside * 3;
}

function cellButton(app: App, from: Node, to: Node, cell: Cell, row: number, column: number): TemplateResult {
	const { selection } = app.state.place;
	const chosen = selection !== null && cell.ids.includes(selection.id);
	const says = `${nodeWord(from)} to ${nodeWord(to)}: ${plural(cell.conversations, "conversation")}, ${bytes(cell.bytes)}, ${stateWord(cell.worst)}${CHANGE_WORDS[cell.change]}`;
	return html`<button
		class="cell ${cell.worst} ${cell.change}"
		data-row=${row}
		data-column=${column}
		aria-pressed=${chosen}
		aria-label=${says}
		title=${says}
		@click=${() => app.select(cell.wanted)}
	>
		${mark(cell.worst)}${cell.conversations > 1 ? cell.conversations : nothing}
	</button>`;
}

export function matrix(app: App): TemplateResult {
	const { graph, diff } = app.state;
	if (!graph) return html``;
	const scene = buildScene(graph, diff);
	const filled = cells(scene.lines);
	const ghosts = scene.cards.filter(({ ghost }) => ghost).map(ghostNode);
	const nodes = [...graph.nodes.filter((node) => !node.open), ...ghosts].sort(order);
	const targets = new Set(scene.lines.map(({ target }) => target));
	const insideOf = (node: Node) => (node.inside.conversations > 0 ? node.inside : null);
	const rows = nodes.filter((node) => filled.has(node.id) || insideOf(node));
	const columns = nodes.filter((node) => targets.has(node.id) || insideOf(node));
	const leftOut = Math.max(0, rows.length - MOST) + Math.max(0, columns.length - MOST);
	const shownRows = rows.slice(0, MOST);
	const shownColumns = columns.slice(0, MOST);
	const name = (node: Node) => html`<button class="link" title=${nodeWord(node)} @click=${() => app.select({ kind: "node", id: node.id })}>
		${nodeWord(node)}
	</button>`;
	return html`<div class="scroll" tabindex="-1" @keydown=${walk}>
		<table class="matrix" id="matrix">
			<caption class="hidden">
				Who opens conversations (rows) with whom (columns)
			</caption>
			<thead>
				<tr>
					<td class="corner"><span>client ↓</span><span>server →</span></td>
					${shownColumns.map((node) => html`<th scope="col"><div>${name(node)}</div></th>`)}
				</tr>
			</thead>
			<tbody>
				${shownRows.map(
					(from, row) => html`<tr>
						<th scope="row">${name(from)}</th>
						${shownColumns.map((to, column) => {
							const cell = filled.get(from.id)?.get(to.id);
							if (cell) return html`<td>${cellButton(app, from, to, cell, row, column)}</td>`;
							const inside = from.id === to.id ? insideOf(from) : null;
							if (!inside) return html`<td class=${from.id === to.id ? "self" : ""}></td>`;
							const state: State = inside.denied ? "denied" : inside.wouldDeny ? "would-deny" : "allowed";
							const says = `Within ${nodeWord(from)}: ${plural(inside.conversations, "conversation")}`;
							return html`<td class="self">
								<button
									class="cell inside ${state}"
									data-row=${row}
									data-column=${column}
									aria-label=${says}
									title=${says}
									@click=${() => (from.type === "namespace" ? app.toggle(from.name) : app.select({ kind: "node", id: from.id }))}
								>
									${mark(state)}${inside.conversations}
								</button>
							</td>`;
						})}
					</tr>`,
				)}
			</tbody>
		</table>
		${leftOut ? html`<p class="more">${leftOut} more lines and columns do not fit: close namespaces or narrow the filter.</p>` : nothing}
	</div>`;
}
