// SPDX-License-Identifier: Apache-2.0
//
// The least NetworkPolicies that allow what was seen in a namespace: each with the conversations behind
// its rules, and what was left out, to be approved or rejected. Nothing is applied here.

import type { TemplateResult } from "lit-html";
import { html, nothing } from "lit-html";
import { repeat } from "lit-html/directives/repeat.js";
import type { Suggested, Suggestion } from "../api/types";
import type { App } from "../state/app";
import { both, bytes, clock, count, plural, portWord, seenFrom } from "../state/format";
import { copy, save } from "../state/orders";
import { decide, suggest as again, tryText, unasked, yamlOf } from "../state/policy";
import type { Part } from "../views/parts";
import { icon, when, workload } from "../views/parts";
import { frame } from "./panel";

/** YAML with its comments, the conversations behind a rule, told apart from what is applied. */
export function yamlView(yaml: string, id = ""): TemplateResult {
	const lines = yaml.trimEnd().split("\n");
	return html`<pre class="yaml" tabindex="0" id=${id || nothing}>${lines.map(
		(line) => html`<span class=${/^\s*#/.test(line) ? "why" : ""}>${line}</span>\n`,
	)}</pre>`;
}

function decision(app: App, e: Suggested): Part {
	const { session, proposal } = app.state;
	const reader = session?.role !== "operator";
	const off = reader || proposal?.deciding.includes(e.id);
	const hint = (text: string) => (reader ? "This token may look, not change: an operator decides" : text);
	if (e.why === "gone") return nothing;
	if (e.why === "rejected") {
		return html`<button class="plain" data-undecide=${e.id} ?disabled=${off} title=${hint("Forget that it was rejected")} @click=${() => void decide(app, "undecide", [e.id])}>
			Forget
		</button>`;
	}
	return html`<button class="plain" data-approve=${e.id} ?disabled=${off} title=${hint("Take it into the suggestion")} @click=${() => void decide(app, "approve", [e.id])}>
			Approve
		</button>
		<button class="plain" data-reject=${e.id} ?disabled=${off} title=${hint("Never in a suggestion again")} @click=${() => void decide(app, "reject", [e.id])}>Reject</button>`;
}

function seen(e: Suggested, last: Part): TemplateResult {
	return html`<li data-seen=${e.id}>
		<div class="row">
			<span class="ends">${workload(e.client)}<span class="muted"> → </span>${workload(e.server)}</span>
			<span class="under">${portWord(e.protocol, e.port)} · ${plural(e.flows, "flow")} · ${bytes(both(e.bytes))} · ${when(e.last)}</span>
			${e.why === "included" ? nothing : html`<span class="under why">${e.text}</span>`}
		</div>
		${last}
	</li>`;
}

function policies(app: App, namespace: string, s: Suggestion): TemplateResult {
	const all = yamlOf(s);
	return html`<p class="buttons">
			<button class="primary" id="try-suggestion" @click=${() => tryText(app, all, `${namespace}-policies.yaml`)}>${icon("try")}What would it change?</button>
			<button class="plain" id="copy-suggestion" @click=${() => void copy(app, all)}>Copy</button>
			<button class="plain" id="save-suggestion" @click=${() => save(`${namespace}-policies.yaml`, all)}>Save as file</button>
		</p>
		${s.policies.map(
			({ manifest, yaml }, i) =>
				html`<details class="policy" ?open=${i < 3}>
					<summary><b>${manifest.metadata?.name ?? "policy"}</b></summary>
					${yamlView(yaml)}
				</details>`,
		)}`;
}

function body(app: App, namespace: string, s: Suggestion): TemplateResult {
	const reader = app.state.session?.role !== "operator";
	const open = s.left.filter(({ why }) => why !== "rejected" && why !== "gone");
	const settled = s.left.filter(({ why }) => why === "rejected" || why === "gone");
	return html`<p class="small">
			Made of ${plural(s.included.length, "conversation")} seen from ${clock(seenFrom(s.window))} to ${clock(s.window.to)}; the longer the window above, the surer. Nothing is
			applied: save it beside your other policies, or hand it to <code>kubectl apply -f</code>. The comments say what is behind each rule.
		</p>
		${s.recordsLost ? html`<p class="note">${icon("warn")}${plural(s.recordsLost, "flow record")} of the window were lost: addresses outside may be missing.</p>` : nothing}
		${s.policies.length ? policies(app, namespace, s) : html`<p class="muted">Nothing was seen that a policy of this namespace would have to allow. Choose a longer window above.</p>`}
		<h3>Left out, to be decided <span class="muted">${count(open.length)}</span></h3>
		${open.length
			? html`<p class="muted small">What looks like no ordinary conversation, or cannot be said in a policy.${reader ? " This token may look, not decide." : ""}</p>
					<ul class="rows decisions" id="left">
						${repeat(
							open,
							({ id }) => id,
							(e) => seen(e, decision(app, e)),
						)}
					</ul>`
			: html`<p class="muted">Nothing: all that was seen is in it.</p>`}
		${settled.length
			? html`<details class="settled">
					<summary>Rejected or gone <span class="muted">${count(settled.length)}</span></summary>
					<ul class="rows decisions">
						${settled.map((e) => seen(e, decision(app, e)))}
					</ul>
				</details>`
			: nothing}
		${s.included.length
			? html`<details class="settled" id="included">
					<summary>Conversations that are in it <span class="muted">${count(s.included.length)}</span></summary>
					<ul class="rows decisions">
						${repeat(
							s.included.slice(0, 300),
							({ id }) => id,
							(e) => seen(e, decisionOut(app, e)),
						)}
					</ul>
				</details>`
			: nothing}`;
}

/** What is in a suggestion can be taken out of it. */
function decisionOut(app: App, e: Suggested): Part {
	const reader = app.state.session?.role !== "operator";
	const off = reader || app.state.proposal?.deciding.includes(e.id);
	const hint = reader ? "This token may look, not change: an operator decides" : "Never in a suggestion again";
	return html`<button class="plain" data-reject=${e.id} ?disabled=${off} title=${hint} @click=${() => void decide(app, "reject", [e.id])}>Reject</button>`;
}

/** The button in a namespace's panel. */
export function suggestPart(app: App, name: string): TemplateResult {
	const why = unasked(app);
	return html`<p class="buttons">
		<button class="plain" id="suggest" ?disabled=${why !== ""} title=${why || "The least policies that allow what was seen"} @click=${() => app.open({ kind: "suggest", name })}>
			Suggest policies …
		</button>
	</p>`;
}

export function suggest(app: App, name: string): TemplateResult {
	const { proposal } = app.state;
	const back = () => app.select({ kind: "node", id: `ns:${name}` });
	const title = html`<span class="muted">policies for</span> ${name}`;
	const refused = unasked(app);
	if (refused) return frame(app, title, html`<p>${refused}</p>`, back);
	if (proposal?.namespace === name && proposal.error) {
		return frame(
			app,
			title,
			html`<p class="bad" role="alert">${proposal.error}</p>
				<p><button class="primary" @click=${() => void again(app, name)}>Try again</button></p>`,
			back,
		);
	}
	if (proposal?.namespace !== name || !proposal.answer) return frame(app, title, html`<p class="muted">Looking at what was seen …</p>`, back);
	return frame(app, title, body(app, name, proposal.answer), back);
}
