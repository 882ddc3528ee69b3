// SPDX-License-Identifier: Apache-2.0
//
// What is shown when there is nothing to show: each says why, and what to do.

import type { TemplateResult } from "lit-html";
import { html, nothing } from "lit-html";
import type { App } from "../state/app";
import { filterSize } from "../state/url";
import { icon } from "./parts";
import type { Part } from "./parts";

export function login(app: App): TemplateResult {
	const submit = (event: SubmitEvent) => {
		event.preventDefault();
		const field = (event.target as HTMLFormElement).elements.namedItem("token") as HTMLInputElement;
		const token = field.value.trim();
		if (token) void app.login(token);
		else field.focus();
	};
	return html`<main class="lonely">
		<form class="login" id="login" @submit=${submit}>
			<h1>Bulkhead</h1>
			<label for="token">Token</label>
			<input id="token" name="token" type="password" autocomplete="current-password" spellcheck="false" autofocus aria-describedby="where" />
			${app.state.loginError ? html`<p class="bad" role="alert">${app.state.loginError}</p>` : nothing}
			<button class="primary" type="submit">Log in</button>
			<p class="muted small" id="where">
				The first token was made when the controller first started: on the node, root reads it in <code>/var/lib/bulkhead/operator.token</code> (with another
				<code>--run-dir</code>: in its folder <code>state</code>; the log names the file). <code>bulkhead token create</code> makes others. The browser keeps no token, only a
				session of twelve hours.
			</p>
		</form>
	</main>`;
}

export function waiting(app: App): TemplateResult {
	const { error } = app.state;
	return html`<main class="lonely">
		<section>
			<h1>Bulkhead</h1>
			${error
				? html`<p role="alert">${error.message}.</p>
						<p class="muted">Is it running? <code>systemctl status bulkhead</code>, or <code>bulkhead status</code> on the node. This page tries again by itself.</p>`
				: html`<p class="muted">Asking the controller …</p>`}
		</section>
	</main>`;
}

function notice(id: string, title: string, body: TemplateResult): TemplateResult {
	return html`<section class="empty" id=${id}>
		<h2>${title}</h2>
		${body}
	</section>`;
}

/** What stands in the place of the view, if it has nothing in it. */
export function empty(app: App): Part {
	const { graph, table, diff, place, error, loading } = app.state;
	const asked = place.view === "table" ? (place.before ? diff : table) : graph;
	if (error && error.status === 400) {
		return notice(
			"refused",
			"The filter makes no sense to the controller",
			html`<p>${error.message}</p>
				<p><button class="primary" @click=${() => app.clearFilter()}>Clear the filter</button></p>`,
		);
	}
	if (!asked) {
		if (error) {
			return notice(
				"failed",
				"Nothing could be fetched",
				html`<p>${error.message}.</p>
					<p class="muted">It is tried again by itself. <code>bulkhead status</code> on the node says what is wrong.</p>
					<p><button class="primary" @click=${() => app.loader.now()}>Try again</button></p>`,
			);
		}
		return loading ? notice("loading", "", html`<p class="muted">Asking …</p>`) : nothing;
	}
	if (place.before && diff) {
		const { total } = diff;
		if (place.view === "table" && total.new + total.vanished + total.changed === 0) {
			return notice("same", "Nothing differs", html`<p>Both windows saw the same conversations, and they were judged alike.</p>`);
		}
		if (total.vanished > 0) return nothing;
	}
	const found = place.view === "table" ? (place.before ? 1 : (table?.total ?? 0)) : (graph?.edges.length ?? 0) + (graph?.nodes.length ?? 0);
	if (found > 0) return nothing;
	if (filterSize(place.filter) > 0) {
		return notice(
			"nothing-matches",
			"Nothing matches the filter",
			html`<p>No conversation of this window is let through.</p>
				<p>
					<button class="primary" @click=${() => app.clearFilter()}>Clear the filter</button>
					<button class="plain" @click=${() => app.go({ span: { last: "", from: "", to: "" } })}>Look at everything known</button>
				</p>`,
		);
	}
	if (place.span.last || place.span.from) {
		return notice(
			"nothing-here",
			"No conversation in this window",
			html`<p>Nobody spoke, or nobody was watched. What happens from now on appears here by itself.</p>
				<p><button class="primary" @click=${() => app.go({ span: { last: "", from: "", to: "" } })}>Look at everything known</button></p>`,
		);
	}
	return notice(
		"nothing-yet",
		"Nothing was seen yet",
		html`<p>As soon as a pod of this node speaks, it appears here by itself.</p>
			<p class="muted">If that should have happened: <code>bulkhead pods</code> says which pods are watched, <code>bulkhead doctor</code> what is in the way.</p>`,
	);
}

/** Over a view that is there but old. */
export function stale(app: App): Part {
	const { error, graph, table } = app.state;
	if (!error || error.status === 400 || (!graph && !table)) return nothing;
	return html`<p class="banner" role="alert" id="stale">
		${icon("warn")}<span>${error.message}. What you see is as it was; it is tried again by itself.</span>
		<button class="plain" @click=${() => app.loader.now()}>Try now</button>
	</p>`;
}
