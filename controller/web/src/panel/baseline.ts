// SPDX-License-Identifier: Apache-2.0
//
// A namespace's baseline: what is usual in it. Everything else becomes an alert.

import type { TemplateResult } from "lit-html";
import { html, nothing } from "lit-html";
import { repeat } from "lit-html/directives/repeat.js";
import type { Baseline } from "../api/types";
import type { App } from "../state/app";
import { clock, count, plural, portWord } from "../state/format";
import { baselineOf, lock, unlock } from "../state/watch";
import type { Part } from "../views/parts";
import { icon, mark, when, workload } from "../views/parts";
import { frame } from "./panel";

const LENGTHS: [string, string][] = [
	["", "all that was seen"],
	["1h", "the last hour"],
	["24h", "the last 24 hours"],
	["7d", "the last 7 days"],
	["30d", "the last 30 days"],
];

/** Why the buttons are off; empty if they are not. */
function refused(app: App): string {
	return app.state.session?.role === "operator" ? "" : "This token may look, not change: an operator locks and unlocks";
}

function lockButton(app: App, name: string, again: boolean): TemplateResult {
	const why = refused(app);
	const off = why !== "" || app.state.busy === name;
	const chosen = () => (document.getElementById("learn") as HTMLSelectElement | null)?.value ?? "";
	return html`<p class="buttons">
			<label class="field"
				><span class="hidden">What is usual</span>
				<select id="learn" title=${why || "What was seen in this time becomes what is usual"} ?disabled=${off}>
					${LENGTHS.map(([last, text]) => html`<option value=${last}>${text}</option>`)}
				</select></label
			>
			<button
				class=${again ? "plain" : "primary"}
				id="lock"
				?disabled=${off}
				title=${why || "From here on, other conversations of this namespace are alerts"}
				@click=${() => void lock(app, name, chosen())}
			>
				${again ? "Lock again" : "Lock what was seen"}
			</button>
		</p>
		${why ? html`<p class="muted small">${why}.</p>` : nothing}`;
}

function facts(b: Baseline): TemplateResult {
	return html`<dl class="facts">
		<dt>Locked</dt><dd>${when(b.locked)} by ${b.lockedBy === "command" ? "command" : html`token ${b.lockedBy}`}</dd>
		<dt>Learned from</dt><dd>${b.from ? clock(b.from) : "the beginning of history"} to ${clock(b.to)}</dd>
		<dt>Usual</dt><dd>${plural(b.conversations, "conversation")}</dd>
		<dt>Unusual since</dt><dd>${b.alerts ? html`<b class="bad">${plural(b.alerts, "open alert")}</b>` : "nothing that is open"}</dd>
	</dl>`;
}

/** The part of a namespace's panel. */
export function baselinePart(app: App, name: string): Part {
	if (app.state.alerts === null) return nothing;
	const found = baselineOf(app, name);
	if (!found) {
		return html`<h3>Baseline</h3>
			<p class="muted small">None. Locked, what was seen is what is usual: every other conversation of the namespace is an alert from then on, whatever policy says.</p>
			${lockButton(app, name, false)}`;
	}
	const asked = app.state.confirming === `unlock ${name}`;
	const why = refused(app);
	return html`<h3>Baseline <span class="badge locked">${icon("lock")}locked</span></h3>
		${facts(found)}
		<p class="buttons">
			<button class="plain" id="holding" @click=${() => app.open({ kind: "baseline", name })}>What it holds</button>
			<button
				class=${asked ? "danger" : "plain"}
				id="unlock"
				?disabled=${why !== "" || app.state.busy === name}
				title=${why || "Nothing is unusual in this namespace any more"}
				@click=${() => void unlock(app, name)}
			>
				${asked ? "Give it up now" : "Unlock"}
			</button>
			${asked ? html`<button class="tool" aria-label="Do not" title="Do not" @click=${() => app.change({ confirming: null })}>${icon("close")}</button>` : nothing}
		</p>
		${lockButton(app, name, true)}`;
}

/** What a baseline holds, conversation by conversation. */
export function baseline(app: App, name: string): TemplateResult {
	const { holding } = app.state;
	const back = () => app.select({ kind: "node", id: `ns:${name}` });
	const title = html`<span class="muted">baseline of</span> ${name}`;
	if (holding?.namespace !== name) return frame(app, title, html`<p class="muted">Asking …</p>`, back);
	if (holding.error) return frame(app, title, html`<p class="bad" role="alert">${holding.error}</p>`, back);
	const { detail } = holding;
	if (!detail) return frame(app, title, html`<p class="muted">Asking …</p>`, back);
	return frame(
		app,
		title,
		html`${facts(detail)}
			<h3>What is usual <span class="muted">${count(detail.conversations)}</span></h3>
			<ul class="rows" id="usual">
				${repeat(
					detail.edges,
					({ id }) => id,
					(e) => html`<li>
						<button class="row" data-id=${e.id} @click=${() => app.seek(e.id, [e.client, e.server], null)}>
							<span class="ends">${mark(e.denied ? "denied" : "allowed")}${workload(e.client)}<span class="muted"> → </span>${workload(e.server)}</span>
							<span class="under">${portWord(e.protocol, e.port)}${e.denied ? " · was always denied: if it passes, that is new" : ""}</span>
						</button>
					</li>`,
				)}
			</ul>
			${detail.more ? html`<p class="muted">and ${count(detail.more)} more.</p>` : nothing}`,
		back,
	);
}
