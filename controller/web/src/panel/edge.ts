// SPDX-License-Identifier: Apache-2.0
//
// A line of the graph that stands for several conversations: which ones.

import type { TemplateResult } from "lit-html";
import { html, nothing } from "lit-html";
import { repeat } from "lit-html/directives/repeat.js";
import type { Conversation, EdgeList, Node } from "../api/types";
import type { App } from "../state/app";
import { appWord, both, bytes, count, isExposed, plural, portWord } from "../state/format";
import { nodeWord } from "../views/matrix";
import { badge, icon, mark, when, workload } from "../views/parts";
import { frame } from "./panel";

export function conversationRow(app: App, c: Conversation): TemplateResult {
	return html`<li>
		<button class="row" data-id=${c.id} @click=${() => app.select({ kind: "conversation", id: c.id })}>
			<span class="ends">${mark(c.state)}${workload(c.client)}<span class="muted"> → </span>${workload(c.server)}</span>
			<span class="under"
				>${portWord(c.protocol, c.port)}${appWord(c.app) ? ` · ${appWord(c.app)}` : ""} · ${bytes(both(c.bytes))} · ${plural(c.flows, "flow")} ·
				${when(c.last)}${c.encrypted === "yes" ? icon("lock") : nothing}${isExposed(c) ? html`<span class="exposed">${icon("unlock")}plain text</span>` : nothing}</span
			>
			<span class="under rule" title=${c.text}>${c.text}</span>
		</button>
	</li>`;
}

export function conversationList(app: App, list: EdgeList): TemplateResult {
	return html`<ul class="rows">
			${repeat(
				list.edges,
				(c) => c.id,
				(c) => conversationRow(app, c),
			)}
		</ul>
		${list.total > list.edges.length ? html`<p class="muted">and ${count(list.total - list.edges.length)} more: see the table.</p>` : nothing}`;
}

export function edge(app: App, id: string, list: EdgeList | null): TemplateResult {
	const found = app.edge(id);
	if (!found) {
		return frame(
			app,
			"Not in view",
			html`<p>This line is not in the graph as it is filtered and grouped now. It may have been judged otherwise since, or a namespace was opened.</p>`,
		);
	}
	const nodes = new Map((app.state.graph?.nodes ?? []).map((n): [string, Node] => [n.id, n]));
	const name = (end: string) => {
		const node = nodes.get(end);
		return node ? nodeWord(node) : end;
	};
	const { aggregate } = found;
	return frame(
		app,
		html`${name(found.source)} <span class="muted">→</span> ${name(found.target)}`,
		html`<p>${badge(found.state)}</p>
			<dl class="facts">
				<dt>Conversations</dt><dd>${count(aggregate.conversations)}</dd>
				<dt>Flows</dt><dd>${count(aggregate.flows)}${aggregate.packetsDenied ? `, ${plural(aggregate.packetsDenied, "packet")} denied` : ""}</dd>
				<dt>Bytes</dt><dd>${bytes(aggregate.bytes.fromClient)} sent, ${bytes(aggregate.bytes.fromServer)} received</dd>
				<dt>Last seen</dt><dd>${when(aggregate.last)}</dd>
			</dl>
			<h3>Conversations</h3>
			${app.state.place.group === "pod" ? html`<p class="muted small">Of the workloads that these pods belong to: which of a workload's pods spoke is known of single flows only.</p>` : nothing}
			${list ? conversationList(app, list) : html`<p class="muted">Asking …</p>`}`,
	);
}
