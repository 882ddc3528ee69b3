// SPDX-License-Identifier: Apache-2.0
//
// A namespace: its mode and, before it is enforced, the gate that says what would be denied.

import type { TemplateResult } from "lit-html";
import { html, nothing } from "lit-html";
import { repeat } from "lit-html/directives/repeat.js";
import type { Mode, Namespace, Readiness } from "../api/types";
import type { App } from "../state/app";
import { clock, count, lasting, modeWord, plural } from "../state/format";
import { askEnforce, setMode } from "../state/orders";
import { tryWithout, unasked } from "../state/policy";
import type { Part } from "../views/parts";
import { icon, mark } from "../views/parts";
import { alertsAbout } from "./alerts";
import { baselinePart } from "./baseline";
import { conversationRow } from "./edge";
import { neighbours, pods } from "./node";
import { frame } from "./panel";
import { suggestPart } from "./suggest";

const MODES: [Mode, string][] = [
	["observe", "Records what happens, judges nothing"],
	["dry-run", "Drops nothing; shows what would be dropped"],
	["enforce", "Policy decides"],
];

const SOURCES = { command: "set by command", annotation: "by its annotation", node: "as the node" };

function switcher(app: App, namespace: Namespace): TemplateResult {
	const { session, busy, gate } = app.state;
	const may = session?.role === "operator" && busy !== namespace.name;
	const pick = (mode: Mode) => {
		if (mode === namespace.mode && gate?.namespace !== namespace.name) return;
		if (mode === "enforce") void askEnforce(app, namespace.name);
		else if (mode === namespace.mode) app.change({ gate: null });
		else void setMode(app, namespace.name, mode);
	};
	return html`<div class="switch" role="group" aria-label="Mode of ${namespace.name}">
			${MODES.map(
				([mode, text]) =>
					html`<button
						class="mode ${mode} ${gate?.namespace === namespace.name && mode === "enforce" ? "asked" : ""}"
						data-mode=${mode}
						title=${text}
						aria-pressed=${namespace.mode === mode}
						?disabled=${!may}
						@click=${() => pick(mode)}
					>
						${modeWord(mode)}
					</button>`,
			)}
		</div>
		<p class="muted small">
			${MODES.find(([mode]) => mode === namespace.mode)?.[1]}; ${SOURCES[namespace.modeSource]}.
			${namespace.modeSource === "command" && may
				? html`<button class="link" @click=${() => void setMode(app, namespace.name, "clear")}>Follow annotation and node again</button>`
				: nothing}
			${session?.role === "operator" ? nothing : "This token may look, not change."}
		</p>`;
}

function finding(good: boolean, text: string | TemplateResult): TemplateResult {
	return html`<li class=${good ? "good" : "bad"}>${mark(good ? "allowed" : "would-deny")}<span>${text}</span></li>`;
}

function findings(r: Readiness): TemplateResult {
	const total = r.wouldDenyTotal ?? r.wouldDeny.length;
	return html`<ul class="findings">
		${r.observedSince
			? finding(true, html`Observed for <b>${lasting(r.observedSince)}</b>, since ${clock(r.observedSince)}: ${plural(r.conversations, "conversation")}`)
			: finding(false, "Nothing was observed yet: nobody knows what enforcing would cut off")}
		${r.policies ? finding(true, `${plural(r.policies, "policy", "policies")} in the namespace`) : finding(false, "There is no policy in the namespace: enforcing changes nothing until there is one")}
		${total
			? finding(false, html`<b>${plural(total, "conversation")}</b> (${plural(r.wouldDenyFlows, "flow")}) that pass today would be denied`)
			: r.observedSince
				? finding(true, "None of it would be denied that is not denied already")
				: nothing}
		${r.lost ? finding(false, `${count(r.lost)} edges could not be kept: there may be more`) : nothing}
		${r.window.exact ? nothing : finding(false, r.window.note ?? "Counts are not exact")}
	</ul>`;
}

/** Enforcing is asked for: what would be denied, since when it was watched, from whom it would come. */
function gateView(app: App, name: string): Part {
	const { gate, busy } = app.state;
	if (gate?.namespace !== name) return nothing;
	const r = gate.readiness;
	if (gate.error) return html`<section class="gate" role="alert"><p class="bad">${gate.error}</p></section>`;
	if (!r) return html`<section class="gate"><p class="muted">Looking at what was seen …</p></section>`;
	const from = new Set(r.wouldDeny.map((c) => c.client.id));
	return html`<section class="gate ${r.ready ? "ready" : "unready"}" id="gate" aria-label="Before ${name} is enforced">
		<h3>${r.ready ? "Ready to enforce" : "Before this is enforced"}</h3>
		${findings(r)}
		${r.wouldDeny.length
			? html`<h4>Would be denied, from ${plural(from.size, "client")}</h4>
					<ul class="rows limited">
						${repeat(
							r.wouldDeny,
							(c) => c.id,
							(c) => conversationRow(app, c),
						)}
					</ul>`
			: nothing}
		<p class="buttons">
			<button class=${r.ready ? "primary" : "danger"} id="enforce" ?disabled=${busy === name} @click=${() => void setMode(app, name, "enforce")}>
				${r.ready ? "Enforce" : r.wouldDeny.length ? `Enforce, and deny ${r.wouldDeny.length === 1 ? "it" : "them"}` : "Enforce all the same"}
			</button>
			<button class="plain" @click=${() => app.change({ gate: null })}>Not now</button>
		</p>
	</section>`;
}

export function namespace(app: App, n: Namespace, id: string): TemplateResult {
	const policies = app.state.policies.filter((p) => p.namespace === n.name);
	const mine = app.state.pods.filter((p) => p.namespace === n.name);
	const show = (verdict: "denied" | "would-deny") => () =>
		app.go({
			view: "table",
			selection: null,
			filter: { ...app.state.place.filter, namespaces: [n.name], verdicts: [verdict] },
		});
	return frame(
		app,
		html`<span class="muted">namespace</span> ${n.name}`,
		html`${alertsAbout(app, (alert) => alert.namespaces.includes(n.name))}
			<h3>Mode</h3>
			${switcher(app, n)} ${gateView(app, n.name)}
			<dl class="facts">
				<dt>Conversations</dt>
				<dd>${count(n.conversations)}</dd>
				<dt>Denied</dt>
				<dd>${n.denied ? html`<button class="link denied" @click=${show("denied")}>${count(n.denied)}</button>` : "none"}</dd>
				<dt>Would be denied</dt>
				<dd>${n.wouldDeny ? html`<button class="link would-deny" @click=${show("would-deny")}>${count(n.wouldDeny)}</button>` : "none"}</dd>
				<dt>Pods</dt>
				<dd>${count(n.podsHere)} on this node, ${count(n.pods)} in all</dd>
			</dl>
			<h3>Policies <span class="muted">${count(policies.length)}</span></h3>
			${policies.length
				? html`<ul class="rows">
						${policies.map(
							(p) => html`<li>
								<details>
									<summary>
										<span class="ends">${p.name}${p.valid ? nothing : html` <b class="bad">${icon("warn")}not understood</b>`}</span>
										<span class="under"
											>${[p.ingress ? "ingress" : "", p.egress ? "egress" : ""].filter(Boolean).join(" and ")} of ${plural(p.pods.length, "pod")}${p.mode === "pod"
												? ""
												: ` · ${modeWord(p.mode as Mode)}`}</span
										>
									</summary>
									${p.problems.map((text) => html`<p class="bad small">${text}</p>`)}
									<ul class="small">
										${p.rules.map((rule) => html`<li>${rule.text}</li>`)}
									</ul>
									${unasked(app) ? nothing : html`<p class="buttons"><button class="plain" data-without=${p.name} @click=${() => tryWithout(app, p)}>What if it were gone?</button></p>`}
								</details>
							</li>`,
						)}
					</ul>`
				: html`<p class="muted">None: no policy of this namespace isolates its pods.</p>`}
			${suggestPart(app, n.name)} ${baselinePart(app, n.name)}
			<h3>Pods on this node <span class="muted">${count(mine.length)}</span></h3>
			${pods(app, mine)} ${neighbours(app, id)}`,
	);
}
