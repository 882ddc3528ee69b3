// SPDX-License-Identifier: Apache-2.0
//
// The side panel: what is selected, and why it is so.

import type { TemplateResult } from "lit-html";
import { html, nothing } from "lit-html";
import type { App } from "../state/app";
import type { Part } from "../views/parts";
import { icon } from "../views/parts";
import { alerts } from "./alerts";
import { baseline } from "./baseline";
import { conversation } from "./why";
import { edge } from "./edge";
import { node } from "./node";
import { suggest } from "./suggest";
import { trial } from "./trial";

/** What the selection lies over, and what one comes back to. */
function behind(app: App): (() => void) | undefined {
	const { side, selection } = app.state.place;
	return side && selection ? () => app.select(null) : undefined;
}

export function frame(app: App, title: Part | string, body: Part, back: (() => void) | undefined = behind(app)): TemplateResult {
	const { side, selection } = app.state.place;
	const broad = !selection && (side?.kind === "suggest" || side?.kind === "try");
	return html`<aside class="panel ${broad ? "broad" : ""}" id="panel" aria-label="Details" tabindex="-1">
		<div class="heading">
			${back ? html`<button class="tool" aria-label="Back" title="Back" @click=${back}>${icon("back")}</button>` : nothing}
			<h2>${title}</h2>
			<button class="tool" aria-label="Close" title="Close (Esc)" @click=${() => app.close()}>${icon("close")}</button>
		</div>
		<div class="body">${body}</div>
	</aside>`;
}

export function panel(app: App): Part {
	const { panel: fetched } = app.state;
	const { selection, side } = app.state.place;
	if (!selection) {
		switch (side?.kind) {
			case "alerts":
				return alerts(app);
			case "baseline":
				return baseline(app, side.name);
			case "suggest":
				return suggest(app, side.name);
			case "try":
				return trial(app);
			default:
				return nothing;
		}
	}
	if (selection.kind === "node") return node(app, selection.id);
	if (!fetched) return frame(app, "…", html`<p class="muted">Asking …</p>`);
	if (fetched.error) {
		const text = fetched.error.missing
			? "It is not there any more, or not in this window. Choose a longer window above."
			: fetched.error.message;
		return frame(app, "Not found", html`<p>${text}</p>`);
	}
	if (fetched.why) return conversation(app, fetched.why, fetched.series);
	return edge(app, selection.id, fetched.list);
}
