// SPDX-License-Identifier: Apache-2.0
//
// The two rows on top: where one looks, and what is let through. Both only read and write the place.

import type { TemplateResult } from "lit-html";
import { html, nothing } from "lit-html";
import { live as current } from "lit-html/directives/live.js";
import type { Encryption, State as EdgeState } from "../api/types";
import type { App } from "../state/app";
import { APP_NAMES, appWord, clock, count, plural, stateWord } from "../state/format";
import type { Place, View } from "../state/url";
import { isOpen } from "../state/alarm";
import { addScope, addSpan, filterQuery, filterSize } from "../state/url";
import { icon, mark } from "./parts";
import { scopePicker } from "./scope";

const VIEWS: [View, string][] = [
	["graph", "Graph"],
	["matrix", "Matrix"],
	["table", "Table"],
];

const SPANS: [string, string][] = [
	["15m", "Last 15 minutes"],
	["1h", "Last hour"],
	["6h", "Last 6 hours"],
	["24h", "Last 24 hours"],
	["7d", "Last 7 days"],
	["30d", "Last 30 days"],
	["", "Everything known"],
];

const MINUTE = 60_000;
const UNIT: Record<string, number> = { s: MINUTE / 60, m: MINUTE, h: 60 * MINUTE, d: 1440 * MINUTE };

function length(place: Place): number {
	const { last, from, to } = place.span;
	if (from) return (to ? Date.parse(to) : Date.now()) - Date.parse(from);
	return last ? Number(last.slice(0, -1)) * UNIT[last.slice(-1)]! : 60 * MINUTE;
}

/** For an input of type datetime-local, which knows no time zone. */
function local(time: string): string {
	if (!time) return "";
	const date = new Date(time);
	return new Date(date.getTime() - date.getTimezoneOffset() * MINUTE).toISOString().slice(0, 16);
}

function utc(value: string): string {
	const date = new Date(value);
	return value && !Number.isNaN(date.getTime()) ? date.toISOString() : "";
}

function value(event: Event): string {
	return (event.target as HTMLInputElement | HTMLSelectElement).value;
}

// ---- Window and comparison ---------------------------------------------------------------------------

function spanPicker(app: App): TemplateResult {
	const { span } = app.state.place;
	const fixed = span.from !== "";
	const chosen = fixed ? "fixed" : span.last;
	const listed = fixed || SPANS.some(([last]) => last === span.last);
	const pick = (event: Event) => {
		const last = value(event);
		if (last === "fixed") {
			const from = new Date(Date.now() - length(app.state.place)).toISOString();
			app.go({ span: { last: "", from, to: new Date().toISOString() } });
		} else {
			app.go({ span: { last, from: "", to: "" } });
		}
	};
	const set = (which: "from" | "to") => (event: Event) => {
		const time = utc(value(event));
		if (time || which === "to") app.go({ span: { ...app.state.place.span, last: "", [which]: time } });
	};
	return html`
		<label class="field"
			><span class="hidden">Time window</span>
			<select id="window" .value=${current(chosen)} @change=${pick}>
				${SPANS.map(([last, text]) => html`<option value=${last} ?selected=${last === chosen}>${text}</option>`)}
				${listed ? nothing : html`<option value=${span.last} selected>Last ${span.last}</option>`}
				<option value="fixed" ?selected=${fixed}>From … to …</option>
			</select></label
		>
		${fixed
			? html`<input type="datetime-local" aria-label="Begin of the window" .value=${current(local(span.from))} @change=${set("from")} />
					<input type="datetime-local" aria-label="End of the window; empty: now" .value=${current(local(span.to))} @change=${set("to")} />`
			: nothing}
	`;
}

function comparePicker(app: App): TemplateResult {
	const { place, diff } = app.state;
	const earlier = (by: number) => {
		const from = Date.now() - length(place) - by;
		return { from: new Date(from).toISOString(), to: new Date(from + length(place)).toISOString() };
	};
	const pick = (event: Event) => {
		const choice = value(event);
		const before =
			choice === "none"
				? null
				: choice === "before"
					? { from: "", to: "" }
					: choice === "day"
						? earlier(UNIT["d"]!)
						: choice === "week"
							? earlier(7 * UNIT["d"]!)
							: place.before;
		app.go({ before });
	};
	const chosen = !place.before ? "none" : place.before.from ? "kept" : "before";
	return html`<label class="field"
		><span class="hidden">Compare with an earlier window</span>
		<select id="compare" class=${place.before ? "active" : ""} .value=${current(chosen)} @change=${pick}>
			<option value="none">No comparison</option>
			<option value="before">vs. the time just before</option>
			<option value="day">vs. a day earlier</option>
			<option value="week">vs. a week earlier</option>
			${chosen === "kept"
				? html`<option value="kept" selected>vs. ${clock(diff?.before.from ?? place.before?.from ?? null).slice(5, 16)}</option>`
				: nothing}
		</select></label
	>`;
}

// ---- First row ---------------------------------------------------------------------------------------

/** How many alerts are open; always in sight. */
function bell(app: App): TemplateResult | typeof nothing {
	const { alerts, status, place } = app.state;
	if (!alerts) return nothing;
	const listed = alerts.filter(isOpen);
	const open = Math.max(listed.length, status?.alerts?.open ?? 0);
	const high = Math.max(listed.filter((alert) => alert.severity === "high").length, status?.alerts?.high ?? 0);
	const shown = place.side?.kind === "alerts";
	const says = open ? `${plural(open, "open alert")}${high ? `, ${count(high)} of them high` : ""}` : "No open alerts";
	return html`<button
		class="tool bell ${high ? "high" : open ? "some" : ""}"
		id="bell"
		aria-expanded=${shown}
		aria-label=${says}
		title="${says} (a)"
		@click=${() => app.open(shown ? null : { kind: "alerts", name: "" })}
	>
		${icon("bell")}${open ? html`<b>${count(open)}</b>` : nothing}<span class="word">${open === 1 ? "alert" : "alerts"}</span>
	</button>`;
}

function exports(app: App): TemplateResult {
	const { place } = app.state;
	const link = (format: string, text: string) => {
		const q = addScope(addSpan(filterQuery(place.filter), place.span), place);
		q.set("format", format);
		q.set("group", place.group);
		const open = app.openNamespaces();
		if (place.group === "namespace" && open.length) q.set("expand", open.join(","));
		return html`<li><a role="menuitem" href="/api/v1/export?${q.toString()}" download>${text}</a></li>`;
	};
	return html`<details class="menu">
		<summary title="Export" aria-label="Export what is shown">${icon("file")}</summary>
		<ul role="menu">
			${link("csv", "CSV: every conversation")}${link("json", "JSON")}${link("svg", "SVG")}
			${link("dot", "DOT (Graphviz)")}${link("graphml", "GraphML (yEd, Gephi)")}
		</ul>
	</details>`;
}

function who(app: App): TemplateResult {
	const session = app.state.session!;
	const scope = session.namespaces ? session.namespaces.join(", ") : "all namespaces";
	return html`<details class="menu">
		<summary title="Session" aria-label="Session">${icon("user")}</summary>
		<div class="sheet">
			<p>Token <b>${session.id}</b></p>
			<p>${session.role === "operator" ? "Operator: may change modes, quarantine, acknowledge and decide" : "Reader: may look, not change"}</p>
			<p class="muted">${scope}</p>
			<button class="plain" @click=${() => void app.logout()}>Log out</button>
		</div>
	</details>`;
}

export function header(app: App): TemplateResult {
	const { place, paused, live, session } = app.state;
	const tab = ([view, text]: [View, string]) =>
		html`<button
			role="tab"
			id="tab-${view}"
			aria-selected=${place.view === view}
			aria-controls="view"
			title="${text} (${VIEWS.findIndex(([name]) => name === view) + 1})"
			@click=${() => app.go({ view })}
		>
			${text}
		</button>`;
	return html`<header>
		<button
			class="tool narrow"
			id="list"
			title="Namespaces"
			aria-label="Namespaces"
			aria-controls="sidebar"
			aria-expanded=${app.state.sidebar}
			@click=${() => app.change({ sidebar: !app.state.sidebar })}
		>
			${icon("list")}
		</button>
		<a class="brand" href="/" title="Begin anew" @click=${(e: Event) => app.restart(e)}
			><svg viewBox="0 0 32 32" width="24" height="24" aria-hidden="true">
				<rect x="1" y="1" width="30" height="30" rx="7" class="b0"></rect>
				<path d="M16 5v22" class="b1"></path>
				<circle cx="9.5" cy="16" r="3.4" class="b2"></circle>
				<circle cx="22.5" cy="16" r="3.4" class="b3"></circle></svg
			><b>Bulkhead</b><span class="muted node">${session?.node ?? ""}</span></a
		>
		<nav role="tablist" aria-label="View">${VIEWS.map(tab)}</nav>
		<span class="space"></span>
		${scopePicker(app)} ${spanPicker(app)} ${comparePicker(app)}
		<button
			class="tool live ${paused ? "paused" : live}"
			id="live"
			aria-pressed=${!paused}
			title=${paused ? "Paused: click to follow again (p)" : "Follows what happens: click to hold still (p)"}
			@click=${() => app.pause(!paused)}
		>
			<span class="dot"></span>${paused ? "Paused" : live === "live" ? "Live" : live === "connecting" ? "…" : "Offline"}
		</button>
		${bell(app)}
		<button
			class="tool"
			id="trial"
			title="What would a policy change? (w)"
			aria-label="What would a policy change?"
			aria-expanded=${place.side?.kind === "try"}
			@click=${() => app.open(place.side?.kind === "try" ? null : { kind: "try", name: "" })}
		>
			${icon("try")}
		</button>
		${exports(app)}
		<button class="tool" id="theme" title="Light or dark (t)" aria-label="Switch between light and dark" @click=${() => app.switchTheme()}>
			${icon(app.isDark() ? "sun" : "moon")}
		</button>
		<button class="tool" title="Help (?)" aria-label="Help" @click=${() => app.change({ help: true })}>${icon("help")}</button>
		${who(app)}
	</header>`;
}

// ---- Second row --------------------------------------------------------------------------------------

function toggle<T>(list: T[], one: T): T[] {
	return list.includes(one) ? list.filter((other) => other !== one) : [...list, one];
}

/** What somebody is typing at the moment is not overwritten by what is in force. */
function typedIn(id: string, inForce: string): string {
	const field = document.getElementById(id) as HTMLInputElement | null;
	return field && field === document.activeElement ? field.value : inForce;
}

let typing = 0;

/** What is typed is taken once the typing pauses; without a step for Back at every letter. */
function typed(app: App, patch: Partial<Place["filter"]>): void {
	window.clearTimeout(typing);
	typing = window.setTimeout(() => app.filter(patch, true), 250);
}

function choice(app: App, name: "apps" | "protocols" | "encrypted", title: string, options: [string, string][]): TemplateResult {
	const chosen = app.state.place.filter[name] as string[];
	const pick = (event: Event) => {
		const word = value(event);
		app.filter({ [name]: word ? [word] : [] });
	};
	return html`<label class="field"
		><span class="hidden">${title}</span>
		<select id="filter-${name}" class=${chosen.length ? "active" : ""} .value=${current(chosen.length > 1 ? "several" : (chosen[0] ?? ""))} @change=${pick}>
			<option value="" ?selected=${chosen.length === 0}>${title}</option>
			${options.map(([word, text]) => html`<option value=${word} ?selected=${chosen.length === 1 && chosen[0] === word}>${text}</option>`)}
			${chosen.length > 1 ? html`<option value="several" selected>${chosen.join(", ")}</option>` : nothing}
		</select></label
	>`;
}

function text(app: App, name: "ports" | "labels", title: string, hint: string): TemplateResult {
	const { filter } = app.state.place;
	return html`<input
		id="filter-${name}"
		class="short ${filter[name] ? "active" : ""}"
		placeholder=${title}
		aria-label=${title}
		title=${hint}
		autocomplete="off"
		spellcheck="false"
		.value=${current(typedIn(`filter-${name}`, filter[name]))}
		@change=${(e: Event) => app.filter({ [name]: value(e).trim() })}
	/>`;
}

function grouping(app: App): TemplateResult {
	const { group } = app.state.place;
	const keys = new Set<string>(["app", "app.kubernetes.io/name", "tier"]);
	for (const pod of app.state.pods) for (const key of Object.keys(pod.labels ?? {})) keys.add(key);
	keys.delete("pod-template-hash");
	if (group.startsWith("label:")) keys.add(group.slice(6));
	return html`<label class="field"
		><span class="hidden">Group by</span>
		<select id="group" title="What a node of the graph is" .value=${current(group)} @change=${(e: Event) => app.go({ group: value(e) })}>
			<option value="namespace" ?selected=${group === "namespace"}>By workload</option>
			<option value="pod" ?selected=${group === "pod"}>By pod</option>
			${[...keys].sort().slice(0, 60).map((key) => html`<option value="label:${key}" ?selected=${group === `label:${key}`}>By label ${key}</option>`)}
		</select></label
	>`;
}

function tally(app: App): TemplateResult {
	const { place, graph, table, diff } = app.state;
	if (place.before && diff) {
		const { total, before, after } = diff;
		const doubt = after.note ?? (before.note && `The earlier window: ${before.note}`);
		return html`<span class="tally" id="tally" title="${count(total.same)} are the same${doubt ? `. ${doubt}` : ""}"
			>${count(total.new)} new, ${count(total.vanished)} gone, ${count(total.changed)} judged otherwise${before.exact && after.exact ? "" : " (not exact)"}</span
		>`;
	}
	if (place.view === "table") return html`<span class="tally" id="tally">${table ? plural(table.total, "conversation") : ""}</span>`;
	if (!graph) return html`<span class="tally" id="tally"></span>`;
	const { matched, folded } = graph;
	const hint = folded.nodes || folded.namespaces ? "Too many to read at once: the least important are folded. Narrow the filter to see them." : "";
	return html`<span class="tally" id="tally" title=${hint}
		>${matched.conversations === matched.of
			? plural(matched.of, "conversation")
			: `${count(matched.conversations)} of ${plural(matched.of, "conversation")}`}${folded.nodes
			? `, ${count(folded.nodes)} folded`
			: ""}${graph.window.exact ? "" : " (not exact)"}</span
	>`;
}

export function filters(app: App): TemplateResult {
	const { filter, view } = app.state.place;
	const states: EdgeState[] = ["allowed", "would-deny", "denied"];
	const encrypted: [Encryption, string][] = [
		["yes", "Encrypted"],
		["no", "Plain text"],
		["unknown", "Encryption not known"],
	];
	return html`<div class="filters" role="search">
		<label class="search"
			>${icon("search")}<span class="hidden">Search</span>
			<input
				id="search"
				type="search"
				placeholder="Search names, ports, rules …"
				title="Words that must all occur in either end's name, the port, the application protocol or the rule ( / )"
				autocomplete="off"
				spellcheck="false"
				.value=${current(typedIn("search", filter.text))}
				@input=${(e: Event) => typed(app, { text: value(e) })}
			/><kbd>/</kbd></label
		>
		<div class="chips" role="group" aria-label="Verdict">
			${states.map(
				(state) =>
					html`<button
						class="chip ${state}"
						data-state=${state}
						aria-pressed=${filter.verdicts.includes(state)}
						@click=${() => app.filter({ verdicts: toggle(filter.verdicts, state) })}
					>
						${mark(state)}${stateWord(state)}
					</button>`,
			)}
		</div>
		${choice(app, "protocols", "Protocol", ["TCP", "UDP", "SCTP", "ICMP", "ICMPv6"].map((p) => [p, p]))}
		${text(app, "ports", "Port", "The server's: 80, 8000-8999")}
		${choice(app, "apps", "Application", [...APP_NAMES.map((a): [string, string] => [a, appWord(a)]), ["unknown", "Not known"]])}
		${choice(app, "encrypted", "Encryption", encrypted)}
		${text(app, "labels", "Label", "A label of a pod at either end: app=web, tier")}
		${filter.namespaces.map(
			(name) =>
				html`<button class="chip namespace" aria-pressed="true" title="Not only this namespace" @click=${() => app.filter({ namespaces: toggle(filter.namespaces, name) })}>
					${name}${icon("close")}
				</button>`,
		)}
		${filterSize(filter) ? html`<button class="plain" id="clear" @click=${() => app.clearFilter()}>Clear</button>` : nothing}
		<span class="space"></span>
		${tally(app)}
		${view === "table" ? nothing : grouping(app)}
	</div>`;
}
