// SPDX-License-Identifier: Apache-2.0
//
// Why: one conversation, what each end says to it now and would say if everything were enforced, who
// decided, and what it looked like.

import type { TemplateResult } from "lit-html";
import { html, nothing } from "lit-html";
import type { End, Rule, Series, Why } from "../api/types";
import type { App } from "../state/app";
import { bytes, count, isExposed, kindSentence, micros, plural, portWord, stateWord, workloadWord } from "../state/format";
import { allow, copy, save } from "../state/orders";
import { tryText, unasked } from "../state/policy";
import { chart } from "../views/chart";
import type { Part } from "../views/parts";
import { appName, badge, encryption, icon, mark, when, workload } from "../views/parts";
import { frame } from "./panel";

/** The answer in one sentence. */
function verdict(w: Why): string {
	const ends = w.deniedBy.map((end) => (end === "egress" ? `egress of ${workloadWord(w.client)}` : `ingress of ${workloadWord(w.server)}`));
	switch (w.state) {
		case "denied":
			return ends.length ? `Dropped by the ${ends.join(" and the ")}.` : "Dropped.";
		case "would-deny":
			return ends.length ? `Passes today. Enforced, the ${ends.join(" and the ")} would drop it.` : "Passes today. Enforced, it would be dropped.";
		default:
			return "Passes at both ends, and would if everything were enforced.";
	}
}

function ruleLine(rule: Rule | null | undefined): Part {
	if (!rule) return nothing;
	if (!rule.policy) return html`<p class="muted small">Rule ${rule.number}, which is not known any more</p>`;
	return html`<p class="rule-name small">
		<code>${rule.namespace}/${rule.policy}</code> ${rule.direction}[${rule.index}]
	</p>`;
}

/** Why an end's latest word may not be its word of now. */
const STALE = {
	changed: "What this end enforces has changed since. It may say otherwise by now: the next packet shows it.",
	older: "Nothing has come this far since, while the other end was asked again. It may say otherwise by now.",
};

function side(title: string, of: TemplateResult, end: End | null): TemplateResult {
	if (!end) {
		return html`<section class="side">
			<h4>${title}</h4>
			<p>${of}</p>
			<p class="muted small">Not on this node: it is judged elsewhere, or nobody judges it.</p>
		</section>`;
	}
	const differs = end.pendingAllowed !== end.allowed || (end.pendingText ?? "") !== (end.text ?? "");
	return html`<section class="side ${end.allowed ? (end.pendingAllowed ? "allowed" : "would-deny") : "denied"} ${end.stale ? "stale" : ""}">
		<h4>
			<span>${title} <span class="muted">${end.direction}</span></span>${end.last ? html`<span class="seen muted small">last seen ${when(end.last)}</span>` : nothing}
		</h4>
		<p>${of}</p>
		<p class="says">${mark(end.allowed ? "allowed" : "denied")}<span><b>${end.allowed ? "Allows" : "Denies"}</b> ${end.hidden ? "(another namespace's affair)" : end.text}</span></p>
		${end.hidden ? nothing : ruleLine(end.rule)}
		${differs
			? html`<p class="says">
						${mark(end.pendingAllowed ? "allowed" : "would-deny")}<span
							><b>Enforced, it would ${end.pendingAllowed ? "allow" : "deny"}</b> ${end.hidden ? "" : end.pendingText}</span
						>
					</p>
					${end.hidden ? nothing : ruleLine(end.pendingRule)}`
			: nothing}
		${end.stale ? html`<p class="note small">${icon("clock")}<span>${STALE[end.stale]}</span></p>` : nothing}
	</section>`;
}

function allowance(app: App, w: Why): Part {
	const { allow: asked } = app.state;
	if (asked?.conversation !== w.id) {
		// What a far node's policy lacks is not known here.
		if (w.state === "allowed" || app.state.place.scope === "cluster") return nothing;
		return html`<p><button class="primary" id="allow" @click=${() => void allow(app, w.id)}>Allow this …</button></p>`;
	}
	if (asked.error) return html`<p class="bad" role="alert">${asked.error}</p>`;
	if (!asked.answer) return html`<p class="muted">Asking …</p>`;
	const { needed, yaml, notes } = asked.answer;
	if (!needed) return html`<p>Nothing has to be allowed: no end denies this, nor would.</p>`;
	const { effect } = asked;
	return html`<section class="allowance" aria-label="What would allow this">
		<h3>What would allow this</h3>
		<p class="small">Nothing is changed yet. Policies add up: save this beside the others, or apply it with <code>kubectl apply -f</code>.</p>
		<pre class="diff" tabindex="0" id="policy">${yaml.trimEnd().split("\n").map((line) => html`<span>${line}</span>\n`)}</pre>
		<p class="buttons">
			<button class="primary" @click=${() => void copy(app, yaml)}>Copy</button>
			<button class="plain" @click=${() => save("allow.yaml", yaml)}>Save as file</button>
			${unasked(app) ? nothing : html`<button class="plain" id="try-allow" @click=${() => tryText(app, yaml, "allow.yaml")}>Show in graph</button>`}
		</p>
		${notes.map((note) => html`<p class="note">${icon("warn")}${note}</p>`)}
		${effect
			? html`<p class="small">
						Replayed against what was recorded in this window, it would newly allow ${count(effect.newlyAllowed)} and newly deny ${count(effect.newlyDenied)}
						conversations:
					</p>
					<ul class="small">
						${effect.edges.slice(0, 16).map(
							(edge) =>
								html`<li>
									${mark(edge.change === "newly-allowed" ? "allowed" : "denied")} ${workload(edge.client)} → ${workload(edge.server)} ${portWord(edge.protocol, edge.port)}
								</li>`,
						)}
					</ul>`
			: nothing}
	</section>`;
}

/** What is spoken, in words, and what is bad about it. */
function what(w: Why): Part {
	const says = kindSentence(w);
	if (!says) return nothing;
	const exposed = isExposed(w);
	return html`<p class="kind ${exposed ? "exposed" : ""}" id="kind">
		${icon(w.encrypted === "yes" ? "lock" : w.encrypted === "no" ? "unlock" : "graph")}<span
			>${says}${exposed ? " Whoever can listen between the two reads it." : ""}</span
		>
	</p>`;
}

/** Attempts that came to nothing: connections broken off, and connections refused. */
function failed(w: Why): string {
	const parts = [w.resets ? `${plural(w.resets, "connection")} broken off (RST)` : "", w.refusals ? `${plural(w.refusals, "connection")} refused` : ""].filter(Boolean);
	if (parts.length) return parts.join(", ");
	return w.refusals === null ? "none broken off; refusals are not known" : "none";
}

function facts(w: Why): TemplateResult {
	const trip = w.roundTrip;
	return html`<dl class="facts">
		<dt>Port</dt><dd>${portWord(w.protocol, w.port)}</dd>
		<dt>Application</dt><dd>${appName(w)}</dd>
		<dt>Encryption</dt><dd>${encryption(w)}</dd>
		${w.sni ? html`<dt>Server name</dt><dd>${w.sni}</dd>` : nothing}
		<dt>Bytes</dt><dd>${bytes(w.bytes.fromClient)} sent, ${bytes(w.bytes.fromServer)} received</dd>
		<dt>Packets</dt><dd>${count(w.packets.fromClient)} sent, ${count(w.packets.fromServer)} received</dd>
		<dt>Flows</dt>
		<dd>
			${count(w.flows)}${w.packetsDenied ? `, ${plural(w.packetsDenied, "packet")} denied` : ""}${w.flowsWouldDeny ? `, ${count(w.flowsWouldDeny)} would be denied` : ""}
		</dd>
		<dt>Round trip</dt>
		<dd>${trip ? `${micros(trip.mean)} on average, ${micros(trip.min)} at best (${count(trip.samples)} handshakes)` : html`<span class="muted">not measured</span>`}</dd>
		<dt>Failed</dt><dd class=${w.resets || w.refusals ? "attention" : ""}>${failed(w)}</dd>
		<dt>First seen</dt><dd>${when(w.first)}</dd>
		<dt>Last seen</dt><dd>${when(w.last)}</dd>
	</dl>`;
}

function variants(w: Why): Part {
	if (w.variants.length <= 2) return nothing;
	return html`<details class="variants">
		<summary>Counted apart (${w.variants.length})</summary>
		<ul class="small">
			${w.variants.map(
				(v) =>
					html`<li>
						${mark(v.allowed ? (v.pendingAllowed ? "allowed" : "would-deny") : "denied")} ${v.direction}, IPv${v.family}: ${v.text}
						<span class="muted">${count(v.flows ?? 0)} flows, ${when(v.last ?? null)}</span>
					</li>`,
			)}
		</ul>
	</details>`;
}

export function conversation(app: App, w: Why, series: Series | null): TemplateResult {
	const { selection } = app.state.place;
	const between = app.state.graph?.edges.find(
		(edge) => edge.aggregate.conversations > 1 && edge.conversations.some(({ id }) => id === w.id),
	);
	const back =
		selection?.kind === "conversation" && between && !app.state.place.side ? () => app.select({ kind: "edge", id: between.id }) : undefined;
	return frame(
		app,
		html`${workload(w.client)} <span class="muted">→</span> ${workload(w.server)}`,
		html`<p>${badge(w.state)} <span class="port">${portWord(w.protocol, w.port)}</span></p>
			<p class="verdict" aria-label="${stateWord(w.state)}">${verdict(w)}${w.egress?.stale || w.ingress?.stale ? " Not all of it is of now: see below." : ""}</p>
			${what(w)}
			<h3>Why</h3>
			${side("Client", workload(w.client), w.egress)} ${side("Server", workload(w.server), w.ingress)} ${allowance(app, w)}
			<h3>Over time</h3>
			${series ? chart(series) : html`<p class="muted">Not recorded.</p>`}
			<h3>What it is</h3>
			${facts(w)} ${variants(w)}
			${w.window.exact ? nothing : html`<p class="note">${icon("warn")}${w.window.note ?? "Counts are not exact in this window."}</p>`}`,
		back,
	);
}
