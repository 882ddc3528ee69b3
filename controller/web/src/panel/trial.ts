// SPDX-License-Identifier: Apache-2.0
//
// What would these policies change? They are asked of what was seen; what would newly be denied or
// allowed is listed here and marked in graph and table. Nothing is applied.

import type { TemplateResult } from "lit-html";
import { html, nothing } from "lit-html";
import { live as current } from "lit-html/directives/live.js";
import type { Differing, PolicyDiff } from "../api/types";
import { changedLines } from "../graph/scene";
import type { App } from "../state/app";
import { both, bytes, clock, count, plural, portWord, seenFrom } from "../state/format";
import { edit, isNothing, tryFiles, tryOut, unasked } from "../state/policy";
import type { Part } from "../views/parts";
import { icon, mark, when, workload } from "../views/parts";
import { frame } from "./panel";

/** Rows of a list: more are counted. */
const MOST = 200;

const EXAMPLE = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: …, namespace: …}
spec: …`;

function difference(app: App, e: Differing, lines: string[]): TemplateResult {
	const says = html`<span class="ends">${mark(e.change === "newly-allowed" ? "allowed" : "denied")}${workload(e.client)}<span class="muted"> → </span>${workload(e.server)}</span>
		<span class="under">${portWord(e.protocol, e.port)} · ${plural(e.flows, "flow")} · ${bytes(both(e.bytes))} · ${when(e.last)}</span>
		<span class="under rule" title=${e.after.text}>${e.after.end}: ${e.after.text}</span>`;
	const [line] = lines;
	return html`<li data-change=${e.change}>
		${line
			? html`<button class="row" title="Show its line" @click=${() => app.seekLine(line)}>${says}</button>`
			: html`<div class="row" title="Its line is not in the graph as it is filtered and grouped now">${says}</div>`}
	</li>`;
}

function list(app: App, title: string, edges: Differing[], id: string): Part {
	if (edges.length === 0) return nothing;
	const shown = edges.slice(0, MOST);
	const { graph } = app.state;
	const lines = graph ? changedLines(graph, shown) : [];
	const hidden = lines.filter((ids) => ids.length === 0).length;
	return html`<h3>${title} <span class="muted">${count(edges.length)}</span></h3>
		<ul class="rows" id=${id}>
			${shown.map((e, i) => difference(app, e, lines[i] ?? []))}
		</ul>
		${edges.length > MOST ? html`<p class="muted">and ${count(edges.length - MOST)} more.</p>` : nothing}
		${hidden ? html`<p class="muted small">${count(hidden)} of them lie within closed namespaces, or are filtered out: they have no line of their own now.</p>` : nothing}`;
}

function outcome(app: App, d: PolicyDiff): TemplateResult {
	const denied = d.edges.filter(({ change }) => change === "newly-denied");
	const allowed = d.edges.filter(({ change }) => change === "newly-allowed");
	const none = d.newlyDenied + d.newlyAllowed === 0;
	return html`<section class="outcome ${d.newlyDenied ? "denies" : "fine"}" id="outcome" aria-label="What they would change">
			<p>
				${none
					? html`<b>They would change nothing</b> about what was seen.`
					: html`<b class=${d.newlyDenied ? "bad" : ""}>${count(d.newlyDenied)} newly denied</b>, <b>${count(d.newlyAllowed)} newly allowed</b>; they are marked in the graph and in
							the table.`}
			</p>
			<p class="muted small">
				${count(d.unchanged)} as before${d.gone ? `, ${count(d.gone)} of pods that are gone` : ""}; seen from ${clock(seenFrom(d.window))} to ${clock(d.window.to)}. As it would be if
				everything were enforced.
			</p>
			${d.recordsLost ? html`<p class="note">${icon("warn")}${plural(d.recordsLost, "flow record")} of the window were lost: addresses outside may be missing.</p>` : nothing}
		</section>
		${list(app, "Newly denied", denied, "newly-denied")} ${list(app, "Newly allowed", allowed, "newly-allowed")}`;
}

export function trial(app: App): TemplateResult {
	const { trial: now } = app.state;
	const refused = unasked(app);
	const title = "What would a policy change?";
	if (refused) return frame(app, title, html`<p>${refused}</p>`);
	const dropped = (event: DragEvent) => {
		event.preventDefault();
		const files = [...(event.dataTransfer?.files ?? [])];
		const text = event.dataTransfer?.getData("text/plain") ?? "";
		if (files.length) void tryFiles(app, files);
		else if (text) {
			edit(app, text);
			void tryOut(app);
		}
	};
	const chosen = (event: Event) => {
		const field = event.target as HTMLInputElement;
		void tryFiles(app, [...(field.files ?? [])]);
		field.value = "";
	};
	return frame(
		app,
		title,
		html`<p class="small">
				NetworkPolicies and ClusterNetworkPolicies as YAML or JSON: paste them, drop a file here, or choose some. They are asked of everything that was seen in the window above.
				Nothing is applied.
			</p>
			${now?.removed.length
				? html`<p class="removed" id="removed">
						As if ${now.removed.map((name) => html`<code>${name}</code> `)} were gone.
						<button class="link" @click=${() => edit(app, now.text, now.name, [])}>Keep it</button>
					</p>`
				: nothing}
			<div class="drop" id="drop" @dragover=${(e: DragEvent) => e.preventDefault()} @drop=${dropped}>
				<textarea
					id="candidate"
					aria-label="Policies to try"
					placeholder=${EXAMPLE}
					spellcheck="false"
					rows=${now?.answer ? 6 : 14}
					.value=${current(now?.text ?? "")}
					@input=${(e: Event) => edit(app, (e.target as HTMLTextAreaElement).value)}
				></textarea>
			</div>
			<p class="buttons">
				<button class="primary" id="try" ?disabled=${!now || isNothing(now) || now.busy} @click=${() => void tryOut(app)}>${now?.busy ? "Asking …" : "Try"}</button>
				<label class="plain file"><input type="file" id="files" multiple accept=".yaml,.yml,.json" @change=${chosen} />Choose files …</label>
				${now && !isNothing(now) ? html`<button class="plain" id="untry" @click=${() => app.change({ trial: null })}>Clear</button>` : nothing}
			</p>
			${now?.error ? html`<p class="bad" role="alert" id="refusal">${now.error}</p>` : nothing} ${now?.answer ? outcome(app, now.answer) : nothing}`,
	);
}
