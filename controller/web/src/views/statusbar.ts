// SPDX-License-Identifier: Apache-2.0
//
// The line at the bottom that is always there: whether what is shown is true. Everything in it opens.

import type { TemplateResult } from "lit-html";
import { html, nothing } from "lit-html";
import type { Status } from "../api/types";
import type { App, Drawer } from "../state/app";
import { ago, clock, count, modeWord, plural } from "../state/format";
import { icon } from "./parts";

export function lossesOf(status: Status): number {
	return Object.values(status.losses).reduce((sum, n) => sum + n, 0);
}

function stale(status: Status): boolean {
	return (status.sources ?? []).some(({ state }) => state === "stale");
}

function connection(app: App): { kind: string; text: string } {
	const { live, paused, error, status } = app.state;
	if (error?.status === 0) return { kind: "bad", text: "The controller does not answer" };
	if (paused) return { kind: "warn", text: "Paused" };
	if (status && !status.dataplane.connected) return { kind: "bad", text: "The data plane is away: the kernel goes on with what it was told" };
	if (status && stale(status)) return { kind: "warn", text: "The API server is away: what is known is old" };
	if (live === "live") return { kind: "good", text: "Live" };
	return live === "connecting" ? { kind: "warn", text: "Connecting …" } : { kind: "bad", text: "No live updates; trying again" };
}

export function statusbar(app: App): TemplateResult {
	const { status, drawer } = app.state;
	const { kind, text } = connection(app);
	const button = (which: Drawer, tone: string, words: string | TemplateResult) =>
		html`<button
			class="item ${tone}"
			id="status-${which}"
			aria-expanded=${drawer === which}
			aria-controls="drawer"
			@click=${() => app.change({ drawer: drawer === which ? null : which })}
		>
			${words}
		</button>`;
	if (!status) return html`<footer><span class="item ${kind}" role="status"><span class="dot"></span>${text}</span></footer>`;
	const lost = lossesOf(status);
	const problems = status.problems.length + status.problemsElsewhere;
	const { wanted, applied } = status.revision;
	const bad = (status.endpointStates.failed ?? 0) + (status.endpointStates.unsupported ?? 0);
	return html`<footer>
		<span class="item ${kind}" role="status"><span class="dot"></span>${text}</span>
		${button("node", status.ready ? "" : "warn", html`Node ${status.node}: ${modeWord(status.mode)}, ${status.ready ? "everything is in force" : status.missing || `revision ${applied} of ${wanted}`}`)}
		${button("node", bad ? "warn" : "", `${plural(status.endpoints, "pod")} judged${bad ? `, ${bad} not` : ""}`)}
		<span class="space"></span>
		${button("losses", lost ? "warn" : "", lost ? html`${icon("warn")}${count(lost)} lost` : "Nothing lost")}
		${button("problems", problems ? "warn" : "", problems ? html`${icon("warn")}${plural(problems, "problem")}` : "No problems")}
	</footer>`;
}

// ---- What opens --------------------------------------------------------------------------------------

function problems(status: Status): TemplateResult {
	return html`<h2>Problems</h2>
		${status.problems.length === 0 ? html`<p class="muted">There are none. Everything that was asked for is understood and in force.</p>` : nothing}
		<ul class="problems">
			${status.problems.map(
				(p) => html`<li>
					<p><code>${p.code}</code> <b>${p.object}</b> <span class="muted">${p.source}</span></p>
					<p>${p.text}</p>
				</li>`,
			)}
		</ul>
		${status.problemsElsewhere ? html`<p class="muted">${plural(status.problemsElsewhere, "more problem")} of things this token may not see.</p>` : nothing}`;
}

function pairs(values: Record<string, number>, words?: Record<string, string>): TemplateResult {
	return html`<dl class="facts">
		${Object.entries(values).map(([name, n]) => html`<dt title=${words?.[name] ?? ""}>${name}</dt><dd>${count(n)}</dd>`)}
	</dl>`;
}

function losses(status: Status): TemplateResult {
	const lost = Object.entries(status.losses).filter(([, n]) => n > 0);
	return html`<h2>Lost</h2>
		${lost.length
			? html`<p>
						Flow records that could not be kept since the data plane started. The graph's edges are counted in the kernel and are not made of these; single flows, and what is made of
						them, may be missing.
					</p>
					${pairs(Object.fromEntries(lost))}`
			: html`<p class="muted">Nothing was lost since the data plane started.</p>`}
		${status.drops && Object.keys(status.drops).length ? html`<h3>Packets dropped, by reason</h3>${pairs(status.drops, status.dropReasons)}` : nothing}`;
}

function node(status: Status): TemplateResult {
	const { dataplane } = status;
	return html`<h2>Node ${status.node}</h2>
		<dl class="facts">
			<dt>Mode</dt><dd>${modeWord(status.mode)}</dd>
			<dt>Revision</dt><dd>${status.revision.applied} in force, ${status.revision.wanted} wanted</dd>
			${status.missing ? html`<dt>Missing</dt><dd>${status.missing}</dd>` : nothing}
			<dt>Data plane</dt>
			<dd>${dataplane.connected ? `${dataplane.attach ?? ""} on Linux ${dataplane.kernel ?? ""}${dataplane.slow ? ", slow" : ""}` : "not connected"}</dd>
			<dt>Pods</dt>
			<dd>${Object.entries(status.endpointStates).filter(([, n]) => n).map(([name, n]) => `${n} ${name}`).join(", ") || "none"}</dd>
			<dt>Modes</dt>
			<dd>${Object.entries(status.endpointModes).filter(([, n]) => n).map(([name, n]) => `${n} ${name}`).join(", ") || "–"}</dd>
			${(status.sources ?? []).map(
				(s) => html`<dt>Source</dt>
					<dd>${s.path ?? s.name ?? s.kind}${s.state ? `: ${s.state}` : ""}${s.since ? ` since ${clock(s.since)}` : ""}${s.detail ? ` (${s.detail})` : ""}</dd>`,
			)}
			<dt>Controller</dt><dd>${status.version}, started ${ago(status.started)}</dd>
		</dl>`;
}

export function drawer(app: App): TemplateResult | typeof nothing {
	const { status, drawer: which } = app.state;
	if (!status || !which) return nothing;
	return html`<section class="drawer" id="drawer" aria-label="Status">
		<button class="tool close" aria-label="Close" title="Close (Esc)" @click=${() => app.change({ drawer: null })}>${icon("close")}</button>
		${which === "problems" ? problems(status) : which === "losses" ? losses(status) : node(status)}
	</section>`;
}
