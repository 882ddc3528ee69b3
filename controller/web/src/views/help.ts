// SPDX-License-Identifier: Apache-2.0
//
// What the keys do.

import type { TemplateResult } from "lit-html";
import { html, nothing } from "lit-html";
import type { App } from "../state/app";
import type { Part } from "./parts";
import { icon } from "./parts";

const KEYS: [string, [string[], string][]][] = [
	[
		"Everywhere",
		[
			[["/"], "search"],
			[["1", "2", "3"], "graph, matrix, table"],
			[["n", "N"], "next, previous conversation that is or would be denied"],
			[["x"], "clear the filter"],
			[["p"], "hold still, follow again"],
			[["t"], "light or dark"],
			[["a"], "alerts"],
			[["w"], "what would a policy change?"],
			[["s"], "problems and losses"],
			[["Esc"], "close what is open"],
			[["?"], "this"],
		],
	],
	[
		"Graph",
		[
			[["l"], "its lines and nodes as a list"],
			[["f"], "fit all into view"],
			[["+", "−"], "zoom"],
			[["←", "→", "↑", "↓"], "move"],
			[["o", "c"], "open, close all namespaces"],
			[["r"], "arrange anew, forgetting where things were"],
			[["←", "→", "↑", "↓"], "in the matrix: from cell to cell"],
		],
	],
];

const MOUSE: [string, string][] = [
	["Click", "says why: on a line, a workload, a namespace"],
	["Click on ▸, or double click", "opens and closes a namespace in place"],
	["Drag", "moves an island, or a workload on it; the browser remembers"],
	["Wheel", "zooms"],
];

export function help(app: App): Part {
	if (!app.state.help) return nothing;
	const close = () => app.change({ help: false });
	const key = (k: string): TemplateResult => html`<kbd>${k}</kbd>`;
	return html`<div class="veil" @click=${close}>
		<section class="help" id="help" role="dialog" aria-modal="true" aria-label="Help" @click=${(e: Event) => e.stopPropagation()}>
			<button class="tool close" aria-label="Close" @click=${close}>${icon("close")}</button>
			<h2>Keys</h2>
			<div class="columns">
				${KEYS.map(
					([title, keys]) =>
						html`<div>
							<h3>${title}</h3>
							<dl>${keys.map(([names, text]) => html`<dt>${names.map(key)}</dt><dd>${text}</dd>`)}</dl>
						</div>`,
				)}
				<div>
					<h3>Mouse</h3>
					<dl class="wide">${MOUSE.map(([name, text]) => html`<dt>${name}</dt><dd>${text}</dd>`)}</dl>
				</div>
			</div>
			<p class="muted small">
				Everything shown is in the address: a link to it shows the same. Version ${app.state.session?.version ?? "–"}. <a href="/openapi.yaml">API</a> ·
				<a href="/licences.txt">Licences</a>
			</p>
		</section>
	</div>`;
}
