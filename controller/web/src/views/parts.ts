// SPDX-License-Identifier: Apache-2.0
//
// Small things that several views draw. Text always goes in as text: lit-html puts what stands in ${}
// into text nodes and attributes, never into markup.

import type { TemplateResult } from "lit-html";
import { html, nothing, svg } from "lit-html";
import type { Conversation, Mode, Party, Severity, State } from "../api/types";
import { ago, appWord, clock, isStore, modeWord, stateWord, workloadWord } from "../state/format";

export type Part = TemplateResult | typeof nothing;

const PATHS: Record<string, string> = {
	close: "M4 4l8 8M12 4l-8 8",
	back: "M9.5 3.5L5 8l4.5 4.5",
	right: "M6 3.5L10.5 8 6 12.5",
	down: "M3.5 6L8 10.5 12.5 6",
	search: "M7 2.5a4.5 4.5 0 100 9 4.5 4.5 0 000-9zM10.4 10.4L14 14",
	help: "M5.8 6a2.2 2.2 0 114 1.2c-.8.9-1.8 1.2-1.8 2.4M8 12v.6",
	sun: "M8 5a3 3 0 100 6 3 3 0 000-6zM8 1v2M8 13v2M1 8h2M13 8h2M3 3l1.4 1.4M11.6 11.6L13 13M13 3l-1.4 1.4M4.4 11.6L3 13",
	moon: "M13 9.5A5.5 5.5 0 016.5 3 5.5 5.5 0 1013 9.5z",
	warn: "M8 2.2L14.5 13.5h-13zM8 6.5v3.3M8 11.4v.6",
	clock: "M8 1.8a6.2 6.2 0 100 12.4A6.2 6.2 0 008 1.8zM8 4.6V8l2.4 1.6",
	pause: "M5.5 3.5v9M10.5 3.5v9",
	play: "M5 3.2l7.5 4.8L5 12.8z",
	fit: "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
	unfold: "M4.5 6L8 2.5 11.5 6M4.5 10L8 13.5 11.5 10",
	fold: "M4.5 2.5L8 6l3.5-3.5M4.5 13.5L8 10l3.5 3.5",
	plus: "M8 3v10M3 8h10",
	minus: "M3 8h10",
	shuffle: "M2 4.5h2.5L11 11.5h3M2 11.5h2.5L6 10M9 6l2-1.5h3M12.5 3L14 4.5 12.5 6M12.5 10l1.5 1.5-1.5 1.5",
	filter: "M2 3h12L9.5 8.5V13l-3-1.5v-3z",
	user: "M8 2.5a2.8 2.8 0 100 5.6 2.8 2.8 0 000-5.6zM2.8 14c.4-3 2.4-4.4 5.2-4.4s4.8 1.4 5.2 4.4",
	file: "M8 2v8M4.5 7L8 10.5 11.5 7M2.5 13.5h11",
	bell: "M8 2a3.8 3.8 0 013.8 3.8c0 3.4 1.2 4.4 1.7 5.2h-11c.5-.8 1.7-1.8 1.7-5.2A3.8 3.8 0 018 2zM6.6 13.4a1.5 1.5 0 002.8 0",
	graph: "M4 2.8a1.8 1.8 0 100 3.6 1.8 1.8 0 000-3.6zM12 9.6a1.8 1.8 0 100 3.6 1.8 1.8 0 000-3.6zM5.6 5.8l4.8 4.2",
	list: "M5.5 4h8M5.5 8h8M5.5 12h8M2.5 4h.1M2.5 8h.1M2.5 12h.1",
	check: "M3 8.5l3.2 3.2L13 4.5",
	try: "M6 2.5h4M7 2.5v4L3 13.2h10L9 6.5v-4",
	lock: "M4 7.5h8v6H4zM5.8 7.5V5.2a2.2 2.2 0 014.4 0v2.3",
	unlock: "M4 7.5h8v6H4zM10.2 7.5V5.2a2.2 2.2 0 014.4 0v.6",
};

export function icon(name: keyof typeof PATHS | string): TemplateResult {
	return html`<svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
		${svg`<path d=${PATHS[name] ?? ""}></path>`}
	</svg>`;
}

/** A state's mark: its form tells it without the colour. */
export function mark(state: State): TemplateResult {
	const shape = {
		allowed: svg`<path d="M3 8.5l3 3 6-7"></path>`,
		"would-deny": svg`<path d="M8 3v6.5M8 12v.8"></path>`,
		denied: svg`<path d="M4 4l8 8M12 4l-8 8"></path>`,
	}[state];
	return html`<svg class="mark ${state}" viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">${shape}</svg>`;
}

const SEVERITIES: Record<Severity, string> = { high: "High", warning: "Warning", info: "For information" };

/** How bad it is: the form tells it without the colour. */
export function severity(of: Severity): TemplateResult {
	const shape = {
		high: svg`<path d="M8 3v6M8 12v.8"></path>`,
		warning: svg`<path d="M8 5v4M8 11.5v.6"></path>`,
		info: svg`<path d="M8 7v5M8 4v.6"></path>`,
	}[of];
	return html`<svg class="severity ${of}" viewBox="0 0 16 16" width="15" height="15" role="img" aria-label=${SEVERITIES[of] ?? of}>
		${of === "warning" ? svg`<path class="ground" d="M8 .8L15.6 15H.4z"></path>` : svg`<circle class="ground" cx="8" cy="8" r="7.6"></circle>`}${shape}
	</svg>`;
}

export function badge(state: State): TemplateResult {
	return html`<span class="badge ${state}">${mark(state)}${stateWord(state)}</span>`;
}

export function modeBadge(mode: Mode): TemplateResult {
	return html`<span class="mode ${mode}">${modeWord(mode)}</span>`;
}

/** "3 min ago", with the very time as title. */
export function when(time: string | null): TemplateResult {
	return html`<time datetime=${time ?? ""} title=${clock(time)}>${ago(time)}</time>`;
}

export function encryption({ encrypted, tlsVersion: tls, app }: Pick<Conversation, "encrypted" | "tlsVersion" | "app">): TemplateResult {
	if (encrypted === "yes") {
		return html`<span class="lock yes" title="Encrypted">${icon("lock")}${tls ? `TLS ${tls}` : "encrypted"}</span>`;
	}
	if (encrypted === "no") {
		return html`<span class="lock no ${isStore(app) ? "store" : ""}" title="Plain text">${icon("unlock")}plain text</span>`;
	}
	return html`<span class="muted">not known</span>`;
}

export function workload(w: Party): TemplateResult {
	const text = workloadWord(w);
	if (!w.namespace || w.kind === "Namespace") return html`<span class="workload" title="${w.kind} ${text}">${text}</span>`;
	return html`<span class="workload" title="${w.kind} ${text}"
		><span class="muted">${w.namespace}/</span>${w.name}</span
	>`;
}

export function appName(c: Pick<Conversation, "app">): string {
	return appWord(c.app) || "not known";
}
