// SPDX-License-Identifier: Apache-2.0
//
// What is out of the ordinary: the open alerts first, each with its evidence, the way to its line in
// the graph, and the button that says that somebody has seen to it.

import type { TemplateResult } from "lit-html";
import { html, nothing } from "lit-html";
import { repeat } from "lit-html/directives/repeat.js";
import type { Alert, Evidence, EvidenceEnd } from "../api/types";
import type { App } from "../state/app";
import { alertKind, count, plural, portWord, stateWord, workloadWord } from "../state/format";
import { isOpen, ordered } from "../state/alarm";
import { acknowledge, showAcknowledged } from "../state/watch";
import type { Part } from "../views/parts";
import { icon, mark, severity, when, workload } from "../views/parts";
import { frame } from "./panel";

/** What `count` and `distinct` count, which is another thing for each kind. */
function counted({ kind, count: n, distinct }: Alert): string {
	switch (kind) {
		case "port-scan":
			return `${plural(n, "attempt")} at ${plural(distinct, "port")}`;
		case "lateral-movement":
			return `${plural(n, "denied attempt")} at ${plural(distinct, "destination")}`;
		default:
			return `${plural(n, "connection")} at ${plural(distinct, "port")}`;
	}
}

function end({ workload: w, pod, ip }: EvidenceEnd): TemplateResult {
	const more = [pod && pod !== w.name ? pod : "", ip ?? ""].filter(Boolean).join(", ");
	return html`${workload(w)}${more ? html` <span class="muted">(${more})</span>` : nothing}`;
}

function proof(app: App, e: Evidence): TemplateResult {
	const refused = e.verdict === "refused";
	const said = html`<span class="ends">${mark(e.verdict === "refused" ? "denied" : e.verdict)}${end(e.source)}<span class="muted"> → </span>${end(e.destination)}</span>
		<span class="under">${portWord(e.protocol, e.port)} · ${refused ? "Refused" : stateWord(e.verdict as "allowed")} · ${when(e.time)}</span>`;
	const { edge } = e;
	if (!edge) return html`<li><div class="row">${said}</div></li>`;
	return html`<li>
		<button class="row" data-edge=${edge} title="Show it in the graph" @click=${() => app.seek(edge, [e.source.workload, e.destination.workload], e.time)}>${said}</button>
	</li>`;
}

function buttons(app: App, alert: Alert): Part {
	const { session, busy } = app.state;
	const reader = session?.role !== "operator";
	const shown = alert.evidence.find(({ edge }) => edge !== null);
	const show = () => {
		if (shown?.edge) app.seek(shown.edge, [shown.source.workload, shown.destination.workload], shown.time);
		else app.select({ kind: "node", id: alert.source.id });
	};
	return html`<p class="buttons">
		<button class="plain" data-show=${alert.id} @click=${show}>${icon("graph")}${shown ? "Show in graph" : "Show who"}</button>
		${isOpen(alert)
			? html`<button
					class="plain"
					data-ack=${alert.id}
					?disabled=${reader || busy === `alert ${alert.id}`}
					title=${reader ? "This token may look, not change: an operator acknowledges" : "Somebody has seen to it. It opens again when there is something new about it"}
					@click=${() => void acknowledge(app, alert)}
				>
					Acknowledge
				</button>`
			: nothing}
	</p>`;
}

function row(app: App, alert: Alert): TemplateResult {
	const open = isOpen(alert);
	return html`<li class="alert ${open ? alert.severity : "seen"}" data-alert=${alert.id}>
		<details>
			<summary>
				<span class="kind">${severity(alert.severity)}<b>${alertKind(alert.kind)}</b><span class="muted when">${when(alert.last)}</span></span>
				<span class="ends"
					>${workload(alert.source)}<span class="muted"> → </span>${alert.target ? workload(alert.target) : html`<span class="muted">many</span>`}</span
				>
				<span class="under">${counted(alert)}${alert.reopened ? `, opened again ${plural(alert.reopened, "time")}` : ""}</span>
			</summary>
			<p class="says">${alert.text}</p>
			<h4>Evidence</h4>
			<ul class="rows">
				${alert.evidence.map((e) => proof(app, e))}
			</ul>
			${alert.evidenceMore ? html`<p class="muted small">and ${count(alert.evidenceMore)} more that are not kept one by one.</p>` : nothing}
			<p class="muted small">
				First ${when(alert.first)}, last ${when(alert.last)}.${open ? "" : html` Acknowledged ${when(alert.acknowledged)} by ${alert.acknowledgedBy ?? "nobody knows whom"}.`}
			</p>
		</details>
		${buttons(app, alert)}
	</li>`;
}

/** Of the namespaces that are filtered for, if any. */
function concerning(app: App, alerts: Alert[]): Alert[] {
	const { namespaces } = app.state.place.filter;
	return namespaces.length ? alerts.filter((alert) => alert.namespaces.some((name) => namespaces.includes(name))) : alerts;
}

export function alerts(app: App): TemplateResult {
	const { alerts: known, acknowledged, status, place } = app.state;
	if (!known) return frame(app, "Alerts", html`<p class="muted">This controller raises no alerts.</p>`);
	const mine = ordered(concerning(app, known));
	const open = mine.filter(isOpen);
	const seen = mine.filter((alert) => !isOpen(alert));
	const elsewhere = (status?.alerts?.open ?? 0) - open.length;
	return frame(
		app,
		html`Alerts <span class="muted">${count(open.length)} open</span>`,
		html`${open.length
				? html`<ul class="alerts" id="alerts">
						${repeat(
							open,
							({ id }) => id,
							(alert) => row(app, alert),
						)}
					</ul>`
				: html`<section class="calm" id="no-alerts">
						<p>${icon("check")}Nothing is out of the ordinary.</p>
						<p class="muted small">
							Port scans, lateral movement and plain text to a database are noticed by themselves. New conversations are, in namespaces whose baseline is locked: choose a
							namespace at the left, then <b>Lock what was seen</b>.
						</p>
					</section>`}
			${elsewhere > 0
				? html`<p class="muted small">
						${plural(elsewhere, "more open one")}${place.filter.namespaces.length
							? html` of other namespaces. <button class="link" @click=${() => app.filter({ namespaces: [] })}>Show all</button>`
							: ", which are not listed."}
					</p>`
				: nothing}
			${status?.alerts?.dropped ? html`<p class="note">${icon("warn")}${plural(status.alerts.dropped, "alert")} had to be given up: there were too many at once.</p>` : nothing}
			<h3>
				<button class="link" id="acknowledged" aria-expanded=${acknowledged} @click=${() => void showAcknowledged(app, !acknowledged)}>
					${icon(acknowledged ? "down" : "right")}Acknowledged ${status?.alerts?.acknowledged ? count(status.alerts.acknowledged) : ""}
				</button>
			</h3>
			${acknowledged
				? html`<ul class="alerts">
						${repeat(
							seen,
							({ id }) => id,
							(alert) => row(app, alert),
						)}
					</ul>`
				: nothing}`,
	);
}

/** What open alerts say about a workload or a namespace: a way to them from its panel. */
export function alertsAbout(app: App, concerns: (alert: Alert) => boolean): Part {
	const open = (app.state.alerts ?? []).filter((alert) => isOpen(alert) && concerns(alert));
	if (open.length === 0) return nothing;
	const worst = ordered(open)[0]!;
	return html`<button class="flag ${worst.severity}" data-alerts @click=${() => app.open({ kind: "alerts", name: "" })}>
		${icon("bell")}<span><b>${plural(open.length, "open alert")}</b>: ${alertKind(worst.kind).toLowerCase()} of ${workloadWord(worst.source)}</span>
	</button>`;
}
