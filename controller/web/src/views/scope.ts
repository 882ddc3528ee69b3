// SPDX-License-Identifier: Apache-2.0
//
// Whose graph it is: this node's, or the cluster's where the controller knows a Prometheus that
// scrapes all nodes. The controller asks it; the page asks nobody but its controller.

import type { TemplateResult } from "lit-html";
import { html, nothing } from "lit-html";
import { live as current } from "lit-html/directives/live.js";
import type { App } from "../state/app";
import { plural } from "../state/format";
import type { Scope } from "../state/url";

/** What only a node's own records have is left when all nodes are shown. */
function choose(app: App, scope: Scope): void {
	const { group, filter } = app.state.place;
	if (scope === "node") return app.go({ scope });
	app.go({
		scope,
		group: group.startsWith("label:") || group === "pod" ? "namespace" : group,
		filter: { ...filter, labels: "" },
		selection: null,
	});
}

/** Nodes that are not heard any more, and what else makes counts less than certain. */
function doubts(app: App): TemplateResult | typeof nothing {
	const { place, graph, table } = app.state;
	const window = place.view === "table" ? table : graph;
	const cluster = window?.cluster;
	if (!cluster || window.window.exact) return nothing;
	const stale = cluster.nodes.filter((node) => node.stale);
	const names = stale.map((node) => node.name || (node.instance ?? "?")).join(", ");
	return html`<span class="tally" id="cluster-doubts" role="status" title=${window.window.note ?? ""}
		>${stale.length ? `No word from ${stale.length > 3 ? plural(stale.length, "node") : names}` : "Not exact"}</span
	>`;
}

export function scopePicker(app: App): TemplateResult | typeof nothing {
	const { session, place } = app.state;
	if (!session?.cluster) return nothing;
	const { scope } = place;
	return html`<label class="field"
			><span class="hidden">Whose graph</span>
			<select
				id="scope"
				class=${scope === "cluster" ? "active" : ""}
				.value=${current(scope)}
				@change=${(event: Event) => choose(app, (event.target as HTMLSelectElement).value as Scope)}
			>
				<option value="node" ?selected=${scope === "node"}>This node</option>
				<option value="cluster" ?selected=${scope === "cluster"}>Cluster</option>
			</select></label
		>${scope === "cluster" ? doubts(app) : nothing}`;
}
