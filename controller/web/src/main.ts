// SPDX-License-Identifier: Apache-2.0
//
// The page: draws the state whenever it changed, and hands the graph its scenes.

import type { TemplateResult } from "lit-html";
import { html, nothing, render } from "lit-html";
import type { Mode } from "./api/types";
import { buildScene, linesWith } from "./graph/scene";
import type { Card, Island, Line } from "./graph/scene";
import { GraphView } from "./graph/view";
import { listenToKeys } from "./keys";
import { panel } from "./panel/panel";
import { App } from "./state/app";
import { both, bytes, plural, stateWord } from "./state/format";
import { help } from "./views/help";
import { matrix } from "./views/matrix";
import { focusOutline, outline, remarks, summary } from "./views/outline";
import { icon } from "./views/parts";
import { sidebar } from "./views/sidebar";
import { empty, login, stale, waiting } from "./views/states";
import { drawer, statusbar } from "./views/statusbar";
import { table } from "./views/table";
import { filters, header } from "./views/toolbar";

const root = document.getElementById("page")!;
const app = new App(draw);

// ---- The page ----------------------------------------------------------------------------------------

function tools(): TemplateResult {
	const tool = (name: string, title: string, act: (view: GraphView) => void) =>
		html`<button class="tool" title=${title} aria-label=${title} @click=${() => view && act(view)}>${icon(name)}</button>`;
	return html`<div class="zoom">
		${tool("plus", "Nearer (+)", (v) => v.zoomBy(1.25))} ${tool("minus", "Farther (-)", (v) => v.zoomBy(0.8))}
		${tool("fit", "Fit all into view (f)", (v) => v.fit())} ${tool("shuffle", "Arrange anew (r)", (v) => v.rearrange())}
		${tool("list", "As a list, for the keyboard (l)", () => focusOutline())}
	</div>`;
}

function page(): TemplateResult {
	const { state } = app;
	if (state.session === undefined) return waiting(app);
	if (state.session === null) return login(app);
	const { view: which } = state.place;
	const none = empty(app);
	return html`${header(app)} ${filters(app)}
		<div class="middle">
			${sidebar(app)}
			<main id="view" role="tabpanel" aria-labelledby="tab-${which}" data-view=${which} aria-busy=${state.loading}>
				${stale(app)}
				<div class="graph" ?hidden=${which !== "graph" || none !== nothing}>
					<div
						id="graph"
						role="img"
						aria-label=${summary(state.graph)}
					></div>
					<canvas id="overlay" aria-hidden="true"></canvas>
					<div id="tip" class="tip" role="tooltip" hidden></div>
					${tools()} ${which === "graph" && none === nothing ? outline(app, (id) => view?.point(id, document.getElementById("outline")!.offsetHeight)) : nothing}
				</div>
				${none} ${none === nothing && which === "matrix" ? matrix(app) : nothing} ${none === nothing && which === "table" ? table(app) : nothing}
			</main>
			${panel(app)}
		</div>
		${drawer(app)} ${statusbar(app)} ${help(app)}
		<div class="notice ${state.notice?.bad ? "bad" : ""}" role="status" aria-live="polite">
			${state.notice ? html`<p>${state.notice.text}</p>` : nothing}
		</div>
		<p class="hidden" id="news" role="log" aria-live="polite">${state.news}</p>`;
}

// ---- The graph ---------------------------------------------------------------------------------------

let view: GraphView | null = null;
let shown: unknown[] = [];

function tip(element: Card | Island | Line | null, x: number, y: number): void {
	const box = document.getElementById("tip")!;
	box.hidden = element === null;
	if (!element) return;
	const lines: string[] = [];
	if ("source" in element) {
		lines.push(`${stateWord(element.state)}: ${element.ports}`, `${plural(element.conversations, "conversation")}, ${bytes(element.bytes)}`);
		const more = remarks(element);
		if (more) lines.push(more[0]!.toUpperCase() + more.slice(1));
	} else if ("kind" in element) {
		lines.push(element.node?.namespace ? `${element.node.namespace}/${element.node.name}` : element.label, element.kind);
		if (element.node?.inside.conversations) lines.push(`${plural(element.node.inside.conversations, "conversation")} within`);
	} else {
		lines.push(element.title, plural(element.members, "workload"));
		const inside = element.node?.inside;
		if (inside?.conversations) lines.push(`${plural(inside.conversations, "conversation")} within, ${bytes(both(inside.bytes))}`);
	}
	box.replaceChildren(
		...lines.map((text) => {
			const line = document.createElement("div");
			line.textContent = text;
			return line;
		}),
	);
	const width = box.parentElement!.clientWidth;
	box.style.left = `${Math.max(8, Math.min(x + 14, width - box.offsetWidth - 8))}px`;
	box.style.top = `${y + 18}px`;
}

function drawGraph(): void {
	const container = document.getElementById("graph");
	if (!container) {
		// Logged out: its element is gone.
		view?.destroy();
		view = null;
		shown = [];
		return;
	}
	const { graph, diff, namespaces, place, session, alerts, trial } = app.state;
	if (place.view !== "graph" || !graph || container.clientWidth === 0) return;
	view ??= new GraphView(container, document.getElementById("overlay") as HTMLCanvasElement, {
		select: (selection) => app.select(selection),
		toggle: (namespace) => app.toggle(namespace),
		hover: tip,
	});
	const now = [graph, diff, namespaces, alerts, trial?.answer];
	if (now.some((part, i) => part !== shown[i])) {
		shown = now;
		const modes = new Map<string, Mode>(namespaces.map(({ name, mode }) => [name, mode]));
		view.show(buildScene(graph, diff, { alerts: alerts ?? [], trial: trial?.answer?.edges ?? null }), `${session?.node ?? ""}.${graph.group}`, modes);
	}
	const { selection } = place;
	const why = app.state.panel?.why;
	const edges = new Set(selection?.kind === "conversation" ? linesWith(graph, why?.id === selection.id ? why : selection) : []);
	view.select(selection, edges);
	if (app.sought !== null && app.sought === selection?.id && !app.state.loading) {
		for (const id of selection.kind === "edge" ? [selection.id] : [...edges].slice(0, 1)) view.reveal(id);
		app.sought = null;
	}
	if (app.moved.size > 0) {
		const lines = graph.edges.filter((edge) => edge.conversations.some(({ id }) => app.moved.has(id)));
		view.pulse(lines.map(({ id }) => id));
	}
}

let theme = "";

function draw(): void {
	render(page(), root);
	drawGraph();
	app.moved.clear();
	const now = document.documentElement.dataset.theme ?? "";
	if (now !== theme) view?.recolour();
	theme = now;
	const { session, place } = app.state;
	document.title = session ? `${place.filter.namespaces.join(", ") || "Bulkhead"} · ${session.node}` : "Bulkhead";
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
	app.applyTheme();
	app.change({});
});
listenToKeys(app, () => view);
app.change({});
void app.start();

// For the tests: where things are on the canvas, which no selector reaches.
Object.assign(window, {
	bulkhead: {
		positions: () => view?.positions() ?? {},
		screen: (id: string, t?: number) => view?.screen(id, t) ?? null,
		elements: () => view?.elements() ?? [],
	},
});
