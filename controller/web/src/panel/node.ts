// SPDX-License-Identifier: Apache-2.0
//
// A node of the graph: a workload with its pods, a namespace with its mode, or something outside.

import type { TemplateResult } from "lit-html";
import { html, nothing } from "lit-html";
import { repeat } from "lit-html/directives/repeat.js";
import type { Edge, Node, Pod } from "../api/types";
import type { App } from "../state/app";
import { both, bytes, count, modeWord, plural } from "../state/format";
import { quarantine } from "../state/orders";
import { nodeWord } from "../views/matrix";
import type { Part } from "../views/parts";
import { icon, mark, modeBadge } from "../views/parts";
import { alertsAbout } from "./alerts";
import { namespace } from "./namespace";
import { frame } from "./panel";

// ---- Pods --------------------------------------------------------------------------------------------

function quarantineButton(app: App, pod: Pod): Part {
	const id = `${pod.namespace}/${pod.name}`;
	const { session, busy, confirming } = app.state;
	if (session?.role !== "operator") return pod.quarantined ? html`<span class="badge denied">cut off</span>` : nothing;
	if (busy === id) return html`<span class="muted small">…</span>`;
	if (pod.quarantined) {
		return html`<button class="plain" data-release=${id} @click=${() => void quarantine(app, id, true)}>Let back</button>`;
	}
	if (confirming === `pod ${id}`) {
		return html`<button class="danger" data-quarantine=${id} @click=${() => void quarantine(app, id, false)}>Cut off now</button>
			<button class="tool" aria-label="Do not" title="Do not" @click=${() => app.change({ confirming: null })}>${icon("close")}</button>`;
	}
	return html`<button
		class="plain"
		data-quarantine=${id}
		title="Cut this pod off in both directions; only the node still reaches it"
		@click=${() => void quarantine(app, id, false)}
	>
		Quarantine
	</button>`;
}

export function pods(app: App, list: Pod[]): TemplateResult {
	if (list.length === 0) return html`<p class="muted">None on this node.</p>`;
	return html`<ul class="rows pods">
		${repeat(
			list,
			(pod) => `${pod.namespace}/${pod.name}`,
			(pod) => html`<li class=${pod.quarantined ? "cut" : ""}>
				<div class="row">
					<span class="ends" title=${pod.name}>${pod.name}</span>
					<span class="under"
						>${pod.ips.join(", ") || "no address"} ·
						${pod.quarantined ? html`<b class="bad">cut off</b>` : modeWord(pod.mode)}${pod.state === "attached"
							? nothing
							: html` · <b class="bad" title=${pod.detail}>${pod.state}${pod.detail ? `: ${pod.detail}` : ""}</b>`}</span
					>
					<span class="under"
						>${pod.policies.length
							? `isolated for ${[pod.ingressIsolated ? "ingress" : "", pod.egressIsolated ? "egress" : ""].filter(Boolean).join(" and ") || "nothing"} by ${pod.policies.join(", ")}`
							: "no policy selects it: it is open"}</span
					>
				</div>
				${quarantineButton(app, pod)}
			</li>`,
		)}
	</ul>`;
}

// ---- Neighbours --------------------------------------------------------------------------------------

function neighbour(app: App, edge: Edge, other: Node | undefined, id: string): TemplateResult {
	const ports = edge.conversations.map((c) => (c.port ? `${c.protocol} ${c.port}` : c.protocol));
	const more = edge.aggregate.conversations - edge.conversations.length;
	return html`<li>
		<button class="row" data-id=${edge.id} @click=${() => app.select({ kind: "edge", id: edge.id })}>
			<span class="ends">${mark(edge.state)}${other ? nodeWord(other) : id}${edge.encrypted === "yes" ? icon("lock") : nothing}</span>
			<span class="under">${[...new Set(ports)].slice(0, 4).join(", ")}${more > 0 || new Set(ports).size > 4 ? " …" : ""} · ${bytes(both(edge.aggregate.bytes))}</span>
		</button>
	</li>`;
}

export function neighbours(app: App, id: string): TemplateResult {
	const graph = app.state.graph;
	const nodes = new Map((graph?.nodes ?? []).map((n): [string, Node] => [n.id, n]));
	const rank = { denied: 0, "would-deny": 1, allowed: 2 };
	const sorted = (list: Edge[]) => list.sort((a, b) => rank[a.state] - rank[b.state] || both(b.aggregate.bytes) - both(a.aggregate.bytes));
	const out = sorted((graph?.edges ?? []).filter((e) => e.source === id));
	const into = sorted((graph?.edges ?? []).filter((e) => e.target === id));
	const part = (title: string, list: Edge[], other: (e: Edge) => string) =>
		list.length
			? html`<h3>${title} <span class="muted">${count(list.length)}</span></h3>
					<ul class="rows">
						${repeat(
							list.slice(0, 100),
							(e) => e.id,
							(e) => neighbour(app, e, nodes.get(other(e)), other(e)),
						)}
					</ul>`
			: nothing;
	return html`${part("Opens conversations with", out, (e) => e.target)} ${part("Is spoken to by", into, (e) => e.source)}`;
}

// ---- The panel ---------------------------------------------------------------------------------------

/** Pods of this node that a node of the graph stands for. */
function podsOf(all: Pod[], node: Node): Pod[] {
	if (node.type === "pod") return all.filter((p) => p.namespace === node.namespace && p.name === node.name);
	return all.filter(
		({ workload: w }) => w.namespace === node.namespace && w.kind === node.kind && w.name === node.name,
	);
}

function labels(list: Pod[]): Part {
	const seen = new Map<string, number>();
	for (const pod of list) {
		for (const [key, value] of Object.entries(pod.labels ?? {})) {
			const text = value ? `${key}=${value}` : key;
			seen.set(text, (seen.get(text) ?? 0) + 1);
		}
	}
	const shared = [...seen].filter(([, n]) => n === list.length).map(([text]) => text);
	if (shared.length === 0) return nothing;
	return html`<h3>Labels</h3>
		<p class="labels">${shared.slice(0, 40).map((text) => html`<span class="label">${text}</span>`)}</p>`;
}

export function node(app: App, id: string): TemplateResult {
	const found = app.state.graph?.nodes.find((n) => n.id === id);
	const name = id.startsWith("ns:") ? id.slice(3) : null;
	const known = app.state.namespaces.find((n) => n.name === name);
	if (known) return namespace(app, known, id);
	if (!found) {
		return frame(app, "Not in view", html`<p>It is not in the graph as it is filtered and grouped now. Clear the filter, or choose a longer window.</p>`);
	}
	if (found.type === "rest") {
		return frame(
			app,
			nodeWord(found),
			html`<p>${plural(found.members, "workload")} that matter least are drawn as one, so that the graph can be read. Narrow the filter, or close namespaces, to see them apart.</p>
				${neighbours(app, id)}`,
		);
	}
	const mine = podsOf(app.state.pods, found);
	const modes = Object.entries(found.modes).filter(([, n]) => n);
	return frame(
		app,
		html`${found.namespace ? html`<span class="muted">${found.namespace}/</span>` : nothing}${found.namespace ? found.name : nodeWord(found)}`,
		html`<p class="muted">
				${found.kind || found.type}${found.namespace
					? html` in
							<button class="link" @click=${() => app.select({ kind: "node", id: `ns:${found.namespace}` })}>${found.namespace}</button>`
					: nothing}
				${modes.map(([mode]) => modeBadge(mode as "observe"))}
			</p>
			${alertsAbout(app, (alert) => alert.source.id === id || alert.target?.id === id)}
			${found.inside.conversations ? html`<p>${plural(found.inside.conversations, "conversation")} within.</p>` : nothing}
			${found.namespace
				? html`<h3>Pods on this node <span class="muted">${count(mine.length)}</span></h3>
						${pods(app, mine)}`
				: nothing}
			${neighbours(app, id)} ${mine.length ? labels(mine) : nothing}`,
	);
}
