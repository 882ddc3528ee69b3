// SPDX-License-Identifier: Apache-2.0
//
// The keyboard. views/help.ts tells people about it.

import type { GraphView } from "./graph/view";
import type { App } from "./state/app";
import type { Selection } from "./state/url";
import { focusOutline } from "./views/outline";
import { rowsOf } from "./views/table";

const STEP = 80;

function inField(event: KeyboardEvent): boolean {
	const target = event.target as HTMLElement;
	return target.matches("input, select, textarea, [contenteditable]");
}

/** What is or would be denied, in the order it is shown. */
function wrongs(app: App): Selection[] {
	if (app.state.place.view === "table") {
		return rowsOf(app)
			.filter(({ conversation }) => conversation.state !== "allowed")
			.map(({ conversation }) => ({ kind: "conversation", id: conversation.id }));
	}
	const rank = { denied: 0, "would-deny": 1, allowed: 2 };
	return (app.state.graph?.edges ?? [])
		.filter(({ state }) => state !== "allowed")
		.sort((a, b) => rank[a.state] - rank[b.state] || (a.id < b.id ? -1 : 1))
		.map(({ id }) => ({ kind: "edge", id }));
}

function step(app: App, graph: GraphView | null, by: number): void {
	const all = wrongs(app);
	if (all.length === 0) return app.notify("Nothing here is or would be denied.");
	const { selection } = app.state.place;
	const at = all.findIndex(({ kind, id }) => kind === selection?.kind && id === selection.id);
	const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : (at + by + all.length) % all.length]!;
	app.select(next);
	if (next.kind === "edge") graph?.reveal(next.id);
	else document.querySelector(`tr[data-id="${CSS.escape(next.id)}"]`)?.scrollIntoView({ block: "nearest" });
}

/** Closes what lies on top, one thing at a time. */
function escape(app: App): void {
	const { state } = app;
	const menu = document.querySelector<HTMLDetailsElement>("details.menu[open]");
	if (menu) menu.open = false;
	else if (state.help) app.change({ help: false });
	else if (state.confirming) app.change({ confirming: null });
	else if (state.gate) app.change({ gate: null });
	else if (state.drawer) app.change({ drawer: null });
	else if (document.activeElement?.closest("#outline")) (document.activeElement as HTMLElement).blur();
	else if (state.place.selection) app.select(null);
	else if (state.place.side) app.open(null);
	else (document.activeElement as HTMLElement | null)?.blur();
}

export function listenToKeys(app: App, graph: () => GraphView | null): void {
	document.addEventListener("click", (event) => {
		for (const menu of document.querySelectorAll<HTMLDetailsElement>("details.menu[open]")) {
			if (!menu.contains(event.target as globalThis.Node)) menu.open = false;
		}
	});
	document.addEventListener("keydown", (event) => {
		if (!app.state.session || event.ctrlKey || event.metaKey || event.altKey) return;
		if (event.key === "Escape") {
			if (inField(event)) (event.target as HTMLElement).blur();
			else escape(app);
			return;
		}
		if (inField(event) || app.state.help) {
			if (app.state.help && event.key === "?") app.change({ help: false });
			return;
		}
		const view = app.state.place.view === "graph" ? graph() : null;
		const onButton = (event.target as HTMLElement).matches("button, a, summary");
		const actions: Record<string, (() => void) | undefined> = {
			"/": () => document.getElementById("search")?.focus(),
			"?": () => app.change({ help: true }),
			"1": () => app.go({ view: "graph" }),
			"2": () => app.go({ view: "matrix" }),
			"3": () => app.go({ view: "table" }),
			n: () => step(app, view, 1),
			N: () => step(app, view, -1),
			x: () => app.clearFilter(),
			p: () => app.pause(!app.state.paused),
			t: () => app.switchTheme(),
			a: () => app.state.alerts && app.open(app.state.place.side?.kind === "alerts" ? null : { kind: "alerts", name: "" }),
			w: () => app.open(app.state.place.side?.kind === "try" ? null : { kind: "try", name: "" }),
			s: () => app.change({ drawer: app.state.drawer ? null : "problems" }),
			o: () => app.openAll(),
			c: () => app.closeAll(),
			l: view ? () => focusOutline() : undefined,
			f: view ? () => view.fit() : undefined,
			r: view ? () => view.rearrange() : undefined,
			"+": view ? () => view.zoomBy(1.25) : undefined,
			"=": view ? () => view.zoomBy(1.25) : undefined,
			"-": view ? () => view.zoomBy(0.8) : undefined,
			ArrowLeft: view && !onButton ? () => view.panBy(STEP, 0) : undefined,
			ArrowRight: view && !onButton ? () => view.panBy(-STEP, 0) : undefined,
			ArrowUp: view && !onButton ? () => view.panBy(0, STEP) : undefined,
			ArrowDown: view && !onButton ? () => view.panBy(0, -STEP) : undefined,
		};
		const action = actions[event.key];
		if (!action) return;
		event.preventDefault();
		action();
	});
}
