// SPDX-License-Identifier: Apache-2.0
//
// The namespaces, their modes and what is wrong in them; below, what the graph's signs mean.

import type { TemplateResult } from "lit-html";
import { html, nothing, svg } from "lit-html";
import { repeat } from "lit-html/directives/repeat.js";
import type { Namespace } from "../api/types";
import type { App } from "../state/app";
import { modeWord, plural } from "../state/format";
import { isOpen } from "../state/alarm";
import { baselineOf } from "../state/watch";
import { icon } from "./parts";

function row(app: App, namespace: Namespace, open: boolean): TemplateResult {
	const { name, mode, denied, wouldDeny, quarantined } = namespace;
	const { selection, filter } = app.state.place;
	const id = `ns:${name}`;
	const only = filter.namespaces.length === 1 && filter.namespaces[0] === name;
	return html`<li class=${selection?.kind === "node" && selection.id === id ? "selected" : ""}>
		${app.state.place.group === "namespace"
			? html`<button
					class="chevron"
					aria-expanded=${open}
					aria-label=${open ? `Close ${name}` : `Open ${name}`}
					title=${open ? "Close" : "Open"}
					@click=${() => app.toggle(name)}
				>
					${icon(open ? "down" : "right")}
				</button>`
			: html`<span class="chevron"></span>`}
		<button class="name" title=${name} @click=${() => app.select({ kind: "node", id })}>
			<span class="text">${name}${baselineOf(app, name) ? html`<span class="locked" title="Its baseline is locked">${icon("lock")}</span>` : nothing}</span>
			<span class="under"
				><span class="mode ${mode}">${modeWord(mode)}</span>${denied
					? html`<span class="tell denied" title="${plural(denied, "conversation")} denied">${denied} ✕</span>`
					: nothing}${wouldDeny
					? html`<span class="tell would-deny" title="${plural(wouldDeny, "conversation")} would be denied">${wouldDeny} !</span>`
					: nothing}${quarantined ? html`<span class="tell denied" title="${plural(quarantined, "pod")} cut off">cut off</span>` : nothing}</span
			>
		</button>
		<button
			class="only"
			aria-pressed=${only}
			aria-label="Show only ${name}"
			title=${only ? "Show all namespaces" : "Show only this"}
			@click=${() => app.filter({ namespaces: only ? [] : [name] })}
		>
			${icon("filter")}
		</button>
	</li>`;
}

function sample(kind: string, text: string): TemplateResult {
	const line = {
		allowed: svg`<path class="line allowed" d="M1 8h25"></path><path class="tip allowed" d="M26 4l6 4-6 4z"></path>`,
		"would-deny": svg`<path class="line would-deny" d="M1 8h25"></path><path class="tip would-deny" d="M26 4l6 4-6 4z"></path>`,
		denied: svg`<path class="line denied" d="M1 8h29"></path><path class="line denied" d="M30 3v10"></path>`,
		lock: svg`<path class="line allowed" d="M1 8h10M21 8h12"></path><path class="lockbox" d="M12.5 7.5h7v5h-7z"></path><path class="shackle" d="M14 7.5v-2a2 2 0 014 0v2"></path>`,
		alarm: svg`<path class="line allowed" d="M1 8h10M23 8h10"></path><path class="bellshape" d="M12.5 11c1.2-1 1.2-2 1.2-3.5a3.3 3.3 0 016.6 0c0 1.5 0 2.5 1.2 3.5zM15.5 12.2h3"></path>`,
		unusual: svg`<path class="halo unusual" d="M1 8h31"></path><path class="line allowed" d="M1 8h31"></path>`,
		allows: svg`<path class="halo new" d="M1 8h31"></path><path class="line denied" d="M1 8h31"></path>`,
		denies: svg`<path class="halo denied" d="M1 8h31"></path><path class="line allowed" d="M1 8h31"></path>`,
		new: svg`<path class="halo new" d="M1 8h31"></path><path class="line allowed" d="M1 8h31"></path>`,
		changed: svg`<path class="halo changed" d="M1 8h31"></path><path class="line would-deny" d="M1 8h31"></path>`,
		vanished: svg`<path class="line gone" d="M1 8h31"></path>`,
		width: svg`<path class="line allowed thin" d="M1 8h12"></path><path class="line allowed thick" d="M17 8h15"></path>`,
	}[kind];
	return html`<li><svg viewBox="0 0 34 16" width="34" height="16" aria-hidden="true">${line}</svg>${text}</li>`;
}

export function sidebar(app: App): TemplateResult {
	const { namespaces } = app.state;
	const open = new Set(app.openNamespaces());
	return html`<aside class="sidebar ${app.state.sidebar ? "shown" : ""}" id="sidebar" aria-label="Namespaces">
		<div class="heading">
			<h2>Namespaces</h2>
			${app.state.place.group === "namespace"
				? html`<button class="tool" title="Open all (o)" aria-label="Open all" @click=${() => app.openAll()}>${icon("unfold")}</button>
						<button class="tool" title="Close all (c)" aria-label="Close all" @click=${() => app.closeAll()}>${icon("fold")}</button>`
				: nothing}
		</div>
		<ul class="namespaces" id="namespaces">
			${repeat(
				namespaces,
				({ name }) => name,
				(namespace) => row(app, namespace, open.has(namespace.name)),
			)}
		</ul>
		<details class="legend" open>
			<summary>Signs</summary>
			<ul>
				${sample("allowed", "allowed")}${sample("would-deny", "would be denied")}${sample("denied", "denied")}
				${sample("lock", "encrypted")}${sample("width", "more bytes, wider")}
				${app.state.alerts?.some(isOpen) ? sample("alarm", "an open alert") : nothing}
				${app.state.baselines.length ? sample("unusual", "not in the baseline") : nothing}
				${app.state.trial?.answer ? html`${sample("denies", "the policy denies it")}${sample("allows", "the policy allows it")}` : nothing}
				${app.state.place.before ? html`${sample("new", "new")}${sample("vanished", "gone")}${sample("changed", "judged otherwise")}` : nothing}
			</ul>
		</details>
	</aside>`;
}
