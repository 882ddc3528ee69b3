// SPDX-License-Identifier: Apache-2.0
//
// The conversations as a table: the same filter as the graph, one line each.

import type { TemplateResult } from "lit-html";
import { html, nothing } from "lit-html";
import { repeat } from "lit-html/directives/repeat.js";
import type { Conversation, State } from "../api/types";
import type { App } from "../state/app";
import { alertKind, appWord, both, bytes, count, micros, plural, portWord, roleWord, stateWord } from "../state/format";
import { alarms } from "../state/alarm";
import { conversationKey, trialOf } from "../state/policy";
import type { Sort } from "../state/url";
import type { Part } from "./parts";
import { badge, encryption, icon, when, workload } from "./parts";

interface Row {
	conversation: Conversation;
	/** In a comparison: what is with it. */
	change: "" | "new" | "vanished" | "changed";
	before?: State;
}

const COLUMNS: [string, Sort | null, string][] = [
	["Client", "name", ""],
	["Server", null, ""],
	["Port, application", null, ""],
	["Encryption", null, ""],
	["Verdict", "denied", ""],
	["Decided by", null, "rule"],
	["Bytes", "bytes", "number"],
	["Flows", "flows", "number"],
	["Failed", null, "number"],
	["Round trip", null, "number"],
	["Last seen", "last", "number"],
];

const CHANGES = { "": "", new: "New", vanished: "Gone", changed: "Judged otherwise" };

export function rowsOf(app: App): Row[] {
	const { place, diff, table } = app.state;
	if (!place.before) return (table?.edges ?? []).map((conversation) => ({ conversation, change: "" }));
	if (!diff) return [];
	return [
		...diff.new.map((conversation): Row => ({ conversation, change: "new" })),
		...diff.changed.map((c): Row => ({ conversation: c.after, change: "changed", before: c.before })),
		...diff.vanished.map((conversation): Row => ({ conversation, change: "vanished" })),
	];
}

function heading(app: App, compare: boolean): TemplateResult {
	const { sort } = app.state.place;
	return html`<tr>
		${compare ? html`<th scope="col">Change</th>` : nothing}
		${COLUMNS.map(([text, by, kind]) =>
			by && !compare
				? html`<th scope="col" class=${kind} aria-sort=${sort === by ? (by === "name" ? "ascending" : "descending") : "none"}>
						<button @click=${() => app.go({ sort: by }, true)}>${text}${sort === by ? icon("down") : nothing}</button>
					</th>`
				: html`<th scope="col" class=${kind}>${text}</th>`,
		)}
	</tr>`;
}

/** What is said about a conversation beside its verdict: alerts, baselines, policies that are tried. */
function tags(app: App, c: Conversation): Part {
	const alarm = alarms(app.state.alerts).get(c.id);
	const change = trialOf(app).get(conversationKey(c));
	if (!alarm && !change) return nothing;
	return html`${change ? html`<span class="tag ${change}">${change === "newly-denied" ? "policy denies" : "policy allows"}</span>` : nothing}${alarm
		? html`<span class="tag ${alarm.unusual ? "unusual" : "alarm"}" title=${alarm.kinds.map(alertKind).join(", ")}>${icon("bell")}${alarm.unusual ? "not usual" : "alert"}</span>`
		: nothing}`;
}

function line(app: App, { conversation: c, change, before }: Row, compare: boolean): TemplateResult {
	const { selection } = app.state.place;
	const chosen = selection?.kind === "conversation" && selection.id === c.id;
	const select = () => app.select({ kind: "conversation", id: c.id });
	return html`<tr class="${chosen ? "selected" : ""} ${change}" data-id=${c.id} @click=${select}>
		${compare
			? html`<td><span class="change ${change}">${CHANGES[change]}</span>${before ? html`<span class="muted"> was ${stateWord(before).toLowerCase()}</span>` : nothing}</td>`
			: nothing}
		<th scope="row"><button class="link" aria-pressed=${chosen} @click=${select}>${workload(c.client)}</button></th>
		<td>${workload(c.server)}</td>
		<td title=${roleWord(c.app)}>${portWord(c.protocol, c.port)} <span class="muted">${appWord(c.app)}</span></td>
		<td title=${c.sni ? `Asked for ${c.sni}` : ""}>
			${c.encrypted === "unknown" ? html`<span class="muted">–</span>` : encryption(c)}${c.sni ? html` <span class="muted sni">${c.sni}</span>` : nothing}
		</td>
		<td class="judged">${badge(c.state)}${tags(app, c)}</td>
		<td class="rule" title=${c.text}>${c.text}</td>
		<td class="number" title="${bytes(c.bytes.fromClient)} sent, ${bytes(c.bytes.fromServer)} received">${bytes(both(c.bytes))}</td>
		<td class="number">${count(c.flows)}</td>
		<td class="number ${c.resets || c.refusals ? "attention" : ""}" title="${count(c.resets)} broken off (RST), ${c.refusals === null ? "refusals are not known" : `${count(c.refusals)} refused`}">
			${c.resets || c.refusals ? count(c.resets + (c.refusals ?? 0)) : "–"}
		</td>
		<td class="number" title=${c.roundTrip ? `At best ${micros(c.roundTrip.min)}, of ${plural(c.roundTrip.samples, "handshake")}` : "Not measured"}>${c.roundTrip ? micros(c.roundTrip.mean) : "–"}</td>
		<td class="number">${when(c.last)}</td>
	</tr>`;
}

export function table(app: App): TemplateResult {
	const rows = rowsOf(app);
	const compare = app.state.place.before !== null;
	const total = app.state.table?.total ?? 0;
	return html`<div class="scroll" tabindex="-1">
		<table class="conversations" id="conversations">
			<caption class="hidden">
				Conversations, one line each: client, server, port, verdict and who decided it
			</caption>
			<thead>
				${heading(app, compare)}
			</thead>
			<tbody>
				${repeat(
					rows,
					(row) => row.change + row.conversation.id,
					(row) => line(app, row, compare),
				)}
			</tbody>
		</table>
		${!compare && total > rows.length
			? html`<p class="more">
					${count(rows.length)} of ${plural(total, "conversation")}.
					${rows.length < 1000
						? html`<button class="plain" @click=${() => app.loader.more()}>Show more</button>`
						: "Narrow the filter, or export all as CSV."}
				</p>`
			: nothing}
	</div>`;
}
