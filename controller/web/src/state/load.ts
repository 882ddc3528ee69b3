// SPDX-License-Identifier: Apache-2.0
//
// Fetches what the page shows, again when something moved, never two at once, and never more often
// than the controller answers comfortably.

import { ApiError, get, isAbort } from "../api/client";
import type {
	Diff,
	EdgeList,
	Graph,
	Namespace,
	Pod,
	Policy,
	Series,
	Session,
	Status,
	Why,
} from "../api/types";
import { partyId } from "../graph/scene";
import type { App, Panel } from "./app";
import { isOpen } from "./alarm";
import { fetchSide } from "./policy";
import { addScope, addSpan, filterQuery } from "./url";
import { fetchWatch } from "./watch";

/** Nodes and edges of a graph: what one can still read. */
const LIMIT = 300;
export const TABLE_PAGE = 300;
/** Up to so many workloads everything is open at first. */
const FEW = 40;
const SOONEST = 1_500;
/** Windows that end now move on even when nothing happens. */
const AT_LEAST = 30_000;

export class Loader {
	/** Namespaces that the page opened by itself. */
	opened: string[] = [];
	/** Rows of the table that are wanted. */
	rows = TABLE_PAGE;
	private abort: AbortController | null = null;
	private panelAbort: AbortController | null = null;
	private timer = 0;
	private due = Infinity;
	private took = 0;
	private running = false;
	/** What the stream tells of alerts has a gap. */
	private unwatched = true;

	constructor(private readonly app: App) {}

	start(): void {
		this.now();
	}

	stop(): void {
		window.clearTimeout(this.timer);
		this.due = Infinity;
		this.abort?.abort();
		this.panelAbort?.abort();
	}

	/** Something moved: fetches again, in a moment. */
	soon(): void {
		if (!this.app.state.session || this.app.state.paused || document.hidden) return;
		this.plan(Math.max(SOONEST, 8 * this.took));
	}

	/** Somebody wants something else than what is shown. */
	now(): void {
		this.abort?.abort();
		this.due = Infinity;
		void this.load();
	}

	/** Alerts and baselines are fetched with the next load: the stream does not tell what was before. */
	watchAgain(): void {
		this.unwatched = true;
		this.soon();
	}

	more(): void {
		this.rows += TABLE_PAGE;
		this.now();
	}

	private plan(after: number): void {
		const due = Date.now() + after;
		if (due >= this.due) return;
		this.due = due;
		window.clearTimeout(this.timer);
		this.timer = window.setTimeout(() => {
			this.due = Infinity;
			if (this.running || document.hidden || this.app.state.paused) this.plan(AT_LEAST);
			else void this.load();
		}, after);
	}

	async session(): Promise<void> {
		try {
			this.app.change({ session: await get<Session>("session"), error: null });
		} catch (error) {
			const failure = error as ApiError;
			if (failure.status === 401) this.app.leave();
			else this.app.change({ error: failure });
		}
	}

	private async load(): Promise<void> {
		const abort = new AbortController();
		this.abort = abort;
		this.running = true;
		const began = Date.now();
		this.app.change({ loading: true });
		try {
			// The panel looks its selection up in what the view has.
			const main = this.main(abort.signal).then(() => (abort.signal.aborted ? undefined : this.panel()));
			fetchSide(this.app);
			await Promise.all([main, this.around(abort.signal)]);
			this.took = Date.now() - began;
			if (this.abort === abort) this.app.change({ error: null, loading: false });
		} catch (error) {
			if (isAbort(error) || this.abort !== abort) return;
			this.failed(error);
		} finally {
			if (this.abort === abort) {
				this.running = false;
				this.plan(AT_LEAST);
			}
		}
	}

	private failed(error: unknown): void {
		const failure = error instanceof ApiError ? error : new ApiError(-1, "page", String(error));
		if (failure.status === 401) return this.app.leave();
		this.app.change({ error: failure, loading: false });
		if (failure.status === 0 || failure.status >= 500) this.plan(3_000);
	}

	private query(): URLSearchParams {
		const { place } = this.app.state;
		return addScope(addSpan(filterQuery(place.filter), place.span), place);
	}

	private async main(signal: AbortSignal): Promise<void> {
		const { place } = this.app.state;
		const table = place.view === "table";
		const [graph, list, diff] = await Promise.all([
			table ? null : this.graph(signal),
			table && !place.before ? this.table(signal) : null,
			place.before ? this.diff(signal) : null,
		]);
		if (signal.aborted) return;
		this.app.change({
			diff,
			...(graph ? { graph } : {}),
			...(list ? { table: list } : {}),
		});
		this.app.noted(graph, list);
	}

	private async graph(signal: AbortSignal): Promise<Graph> {
		const { place } = this.app.state;
		const ask = (open: string[]) => {
			const q = this.query();
			q.set("group", place.group);
			q.set("limit", String(LIMIT));
			if (place.group === "namespace" && open.length) q.set("expand", open.join(","));
			return get<Graph>("graph", q, signal);
		};
		const graph = await ask(place.open ?? this.opened);
		if (place.open || place.group !== "namespace") return graph;
		const names = graph.nodes.filter((node) => node.type === "namespace").map((node) => node.name);
		const wanted = graph.matched.workloads <= FEW ? names : [];
		if (wanted.join() === this.opened.join()) return graph;
		this.opened = wanted;
		return ask(wanted);
	}

	private table(signal: AbortSignal): Promise<EdgeList> {
		const q = this.query();
		q.set("sort", this.app.state.place.sort);
		q.set("limit", String(Math.min(this.rows, 1000)));
		return get<EdgeList>("edges", q, signal);
	}

	private diff(signal: AbortSignal): Promise<Diff> {
		const { before } = this.app.state.place;
		const q = this.query();
		q.set("limit", "1000");
		if (before?.from) q.set("beforeFrom", before.from);
		if (before?.to) q.set("beforeTo", before.to);
		return get<Diff>("graph/diff", q, signal);
	}

	/** What stands around the view: namespaces, pods, policies, and the status while nothing tells it. */
	private async around(signal: AbortSignal): Promise<void> {
		const watched = this.unwatched || this.app.state.live !== "live";
		const [namespaces, pods, policies, status, watch] = await Promise.all([
			get<{ namespaces: Namespace[] }>("namespaces", undefined, signal),
			get<{ pods: Pod[] }>("pods", undefined, signal),
			get<{ policies: Policy[] }>("policies", undefined, signal),
			this.app.state.live === "live" && this.app.state.status
				? this.app.state.status
				: get<Status>("status", undefined, signal),
			watched ? fetchWatch(signal) : null,
		]);
		if (signal.aborted) return;
		this.app.change({ ...namespaces, ...pods, ...policies, status });
		if (!watch) return;
		this.unwatched = false;
		// Acknowledged ones that somebody looks at are not among those that were fetched.
		const told = new Set(watch.alerts?.map(({ id }) => id));
		const seen = (this.app.state.alerts ?? []).filter((alert) => !isOpen(alert) && !told.has(alert.id));
		this.app.change({ baselines: watch.baselines, alerts: watch.alerts && [...watch.alerts, ...seen] });
	}

	/** What the side panel shows of the selection. */
	async panel(): Promise<void> {
		this.panelAbort?.abort();
		const of = this.app.state.place.selection;
		if (!of || !this.app.state.session) return;
		const abort = new AbortController();
		this.panelAbort = abort;
		const panel: Panel = { of, error: null, list: null, why: null, series: null };
		try {
			const edge = of.kind === "edge" ? this.app.edge(of.id) : undefined;
			const single = edge?.aggregate.conversations === 1 ? edge.conversations[0]?.id : undefined;
			if (of.kind === "conversation") await this.conversation(panel, of.id, abort.signal);
			else if (single) await this.conversation(panel, single, abort.signal);
			else if (edge) panel.list = await this.between(this.nodeOf(edge.source), this.nodeOf(edge.target), edge.state, abort.signal);
			else if (of.kind === "node") panel.list = null;
		} catch (error) {
			if (isAbort(error) || abort.signal.aborted) return;
			panel.error = error instanceof ApiError ? error : new ApiError(-1, "page", String(error));
			if (panel.error.status === 401) return this.app.leave();
		}
		const still = this.app.state.place.selection;
		if (abort.signal.aborted || still?.id !== of.id || still.kind !== of.kind) return;
		this.app.change({ panel });
	}

	private async conversation(panel: Panel, id: string, signal: AbortSignal): Promise<void> {
		const { place } = this.app.state;
		const span = addSpan(new URLSearchParams(), place.span);
		const q = addScope(new URLSearchParams(span), place);
		const path = `edges/${encodeURIComponent(id)}`;
		const before = this.app.state.panel;
		const [why, series] = await Promise.all([
			get<Why>(path, q, signal),
			// A chart is no reason to show nothing.
			get<Series>(`${path}/series`, q, signal).catch((error: unknown) => {
				if (isAbort(error)) throw error;
				return before?.series?.id === id ? before.series : null;
			}),
		]);
		panel.why = why;
		panel.series = series;
	}

	/** Conversations are between workloads: a pod's are those of its workload. */
	private nodeOf(id: string): string {
		if (!id.startsWith("pod:")) return id;
		const pod = this.app.state.pods.find((one) => `pod:${one.namespace}/${one.name}` === id);
		return pod ? partyId(pod.workload) : "";
	}

	private between(client: string, server: string, state: string, signal: AbortSignal): Promise<EdgeList> {
		const q = this.query();
		if (client) q.set("client", client);
		if (server) q.set("server", server);
		q.set("verdict", state);
		q.set("sort", "bytes");
		q.set("limit", "100");
		return get<EdgeList>("edges", q, signal);
	}
}
