// SPDX-License-Identifier: Apache-2.0
//
// What the page knows and shows, in one place. Data flows one way: something changes the state, the
// state is drawn (main.ts), what people do calls a method here or in orders.ts.

import { ApiError, isAbort, post, remove } from "../api/client";
import type {
	Alert,
	Allowance,
	Baseline,
	BaselineDetail,
	Diff,
	Edge,
	EdgeList,
	Graph,
	Namespace,
	Pod,
	Policy,
	PolicyDiff,
	Readiness,
	Mode,
	Series,
	Session,
	Status,
	Suggestion,
	Why,
	Workload,
} from "../api/types";
import { Live } from "../api/live";
import type { Theme } from "../graph/memory";
import { readTheme, writeTheme } from "../graph/memory";
import { plural, stateWord } from "./format";
import { Loader } from "./load";
import type { Place, Selection, Side } from "./url";
import { NO_FILTER, filterQuery, filterSize, format, isLive, parse, reaches } from "./url";
import { merge } from "./watch";

/** What the side panel has fetched about the selection. */
export interface Panel {
	of: Selection;
	error: ApiError | null;
	/** Conversations of an edge or a node, and how many there are. */
	list: EdgeList | null;
	why: Why | null;
	series: Series | null;
}

/** An order to enforce, waiting behind what it would deny. */
export interface Gate {
	namespace: string;
	readiness: Readiness | null;
	error: string;
	busy: boolean;
}

export interface Allow {
	conversation: string;
	answer: Allowance | null;
	effect: PolicyDiff | null;
	error: string;
}

/** What a namespace's baseline holds. */
export interface Holding {
	namespace: string;
	detail: BaselineDetail | null;
	error: string;
}

/** The policies that are suggested for a namespace. */
export interface Proposal {
	namespace: string;
	answer: Suggestion | null;
	error: string;
	/** Ids that are being decided. */
	deciding: string[];
}

/** Policies that are tried on what was seen: what is typed, and what came of it. */
export interface Trial {
	text: string;
	/** What the text is called, in errors. */
	name: string;
	/** Policies that are tried to be gone: `NetworkPolicy/shop/web`. */
	removed: string[];
	answer: PolicyDiff | null;
	error: string;
	busy: boolean;
}

export type Drawer = "problems" | "losses" | "node" | null;

export interface State {
	place: Place;
	/** undefined: not asked yet; null: nobody is logged in. */
	session: Session | null | undefined;
	loginError: string;
	status: Status | null;
	namespaces: Namespace[];
	pods: Pod[];
	policies: Policy[];
	graph: Graph | null;
	diff: Diff | null;
	table: EdgeList | null;
	/** What could not be loaded, and why. */
	error: ApiError | null;
	loading: boolean;
	live: "connecting" | "live" | "broken" | "revoked";
	paused: boolean;
	panel: Panel | null;
	gate: Gate | null;
	allow: Allow | null;
	/** Open ones, and those that were acknowledged while one looked; null: this controller has none. */
	alerts: Alert[] | null;
	/** Acknowledged ones are shown too. */
	acknowledged: boolean;
	baselines: Baseline[];
	holding: Holding | null;
	proposal: Proposal | null;
	trial: Trial | null;
	/** What is to be ordered (`pod shop/web-1`, `unlock shop`), if it is said once more. */
	confirming: string | null;
	/** What is being carried out: a pod or a namespace. */
	busy: string | null;
	drawer: Drawer;
	help: boolean;
	/** On a narrow screen: the namespaces lie over the view. */
	sidebar: boolean;
	theme: Theme;
	notice: { text: string; bad: boolean } | null;
	/** For those who do not see: what happened. */
	news: string;
}

const NOTICE_FOR = 8_000;

export class App {
	state: State = {
		place: parse(location.search),
		session: undefined,
		loginError: "",
		status: null,
		namespaces: [],
		pods: [],
		policies: [],
		graph: null,
		diff: null,
		table: null,
		error: null,
		loading: true,
		live: "connecting",
		paused: false,
		panel: null,
		gate: null,
		allow: null,
		alerts: null,
		acknowledged: false,
		baselines: [],
		holding: null,
		proposal: null,
		trial: null,
		confirming: null,
		busy: null,
		drawer: null,
		help: false,
		sidebar: false,
		theme: readTheme(),
		notice: null,
		news: "",
	};
	/** A line, or a conversation whose line, is to be brought into sight once it is drawn. */
	sought: string | null = null;
	readonly loader = new Loader(this);
	/** Lines on which something happened since the last drawing. */
	readonly moved = new Set<string>();
	private readonly live: Live;
	private drawing = 0;
	private noticeTimer = 0;

	constructor(private readonly draw: () => void) {
		this.live = new Live({
			opened: () => {
				this.change({ live: "live" });
				this.loader.watchAgain();
				this.loader.soon();
			},
			closed: (final) => {
				this.change({ live: final ? "revoked" : "broken" });
				if (final) void this.loader.session();
			},
			edges: (edges) => {
				for (const { id } of edges) this.moved.add(id);
				if (isLive(this.state.place.span)) this.loader.soon();
			},
			status: (status) => {
				if (status.alerts?.baselines !== this.state.status?.alerts?.baselines) this.loader.watchAgain();
				this.change({ status });
			},
			alerts: (alerts, more) => {
				merge(this, alerts);
				if (more) this.loader.watchAgain();
			},
			lost: () => {
				this.loader.watchAgain();
				this.loader.soon();
			},
		});
		window.addEventListener("popstate", () => {
			// A field that is being typed in shows what is typed, not where one is now.
			(document.activeElement as HTMLElement | null)?.blur();
			this.state = { ...this.state, place: parse(location.search) };
			this.arrived();
		});
		document.addEventListener("visibilitychange", () => {
			if (!document.hidden) this.loader.soon();
		});
	}

	/** Changes the state and has it drawn, once, soon. */
	change(patch: Partial<State>): void {
		this.state = { ...this.state, ...patch };
		if (this.drawing) return;
		this.drawing = requestAnimationFrame(() => {
			this.drawing = 0;
			this.draw();
		});
	}

	notify(text: string, bad = false): void {
		window.clearTimeout(this.noticeTimer);
		this.change({ notice: { text, bad } });
		this.noticeTimer = window.setTimeout(() => this.change({ notice: null }), NOTICE_FOR);
	}

	/** Says something to those who do not see what changed. */
	tell(news: string): void {
		// The same twice would be said once: an invisible difference makes it another text.
		this.change({ news: news === this.state.news ? `${news}\u200b` : news });
	}

	/** Says what a view has that was not asked for before, or what came into one that was. */
	private toldOf = "";
	private toldWrong = new Set<string>();
	noted(graph: Graph | null, list: EdgeList | null): void {
		const { place } = this.state;
		const of = format({ ...place, selection: null, side: null, sort: "bytes" });
		const wrong = (graph?.edges ?? []).filter(({ state }) => state !== "allowed");
		const fresh = of === this.toldOf ? wrong.filter(({ id }) => !this.toldWrong.has(id)) : [];
		if (of !== this.toldOf) {
			const shown = graph ? graph.matched.conversations : (list?.total ?? 0);
			this.tell(`${plural(shown, "conversation")} shown${wrong.length ? `, ${plural(wrong.length, "line")} denied or to be denied` : ""}.`);
		} else if (fresh.length > 0) {
			const names = new Map(graph!.nodes.map((node) => [node.id, node.name || node.kind]));
			const [{ source, target, state }] = fresh as [Edge];
			const more = fresh.length > 1 ? `, and ${fresh.length - 1} more` : "";
			this.tell(`${stateWord(state)} now: ${names.get(source) ?? source} to ${names.get(target) ?? target}${more}.`);
		}
		this.toldOf = of;
		this.toldWrong = new Set(wrong.map(({ id }) => id));
	}

	// ---- Where one is ----------------------------------------------------------------------------

	/** Goes somewhere. With `replace` the step is none that Back would undo. */
	go(patch: Partial<Place>, replace = false): void {
		const place = { ...this.state.place, ...patch };
		const url = location.pathname + format(place);
		if (replace) history.replaceState(null, "", url);
		else if (url !== location.pathname + location.search) history.pushState(null, "", url);
		this.state = { ...this.state, place };
		this.arrived();
	}

	filter(patch: Partial<Place["filter"]>, replace = false): void {
		this.go({ filter: { ...this.state.place.filter, ...patch } }, replace);
	}

	clearFilter(): void {
		(document.activeElement as HTMLElement | null)?.blur();
		this.go({ filter: NO_FILTER });
	}

	/** Where one begins: no filter, nothing selected. */
	restart(event: Event): void {
		event.preventDefault();
		this.go(parse(""));
		this.change({ panel: null, allow: null, gate: null, trial: null });
	}

	private arrived(): void {
		this.listen();
		this.change({});
		if (this.state.session) this.loader.now();
	}

	select(selection: Selection | null): void {
		const { place, panel } = this.state;
		if (selection?.kind === place.selection?.kind && selection?.id === place.selection?.id) return;
		history.replaceState(null, "", location.pathname + format({ ...place, selection }));
		const keep = panel?.of.kind === selection?.kind && panel?.of.id === selection?.id;
		this.change({
			place: { ...place, selection },
			panel: keep ? panel : null,
			allow: null,
			gate: null,
			confirming: null,
			sidebar: false,
		});
		void this.loader.panel();
	}

	/** Puts something else into the side panel. */
	open(side: Side | null): void {
		this.go({ side, selection: null }, true);
		this.change({ panel: null, allow: null, gate: null, confirming: null });
	}

	/** Closes the side panel, whatever is in it. */
	close(): void {
		this.select(null);
		if (this.state.place.side) this.open(null);
	}

	/** Shows a line of the graph. */
	seekLine(id: string): void {
		this.sought = id;
		if (this.state.place.view !== "graph") this.go({ view: "graph" }, true);
		this.select({ kind: "edge", id });
	}

	/** Shows a conversation in the graph, even if it is filtered out, closed away or long ago. */
	seek(id: string, ends: Workload[], time: string | null): void {
		const { place } = this.state;
		const open = new Set([...this.openNamespaces(), ...ends.map(({ namespace }) => namespace).filter(Boolean)]);
		this.sought = id;
		this.go({
			view: "graph",
			selection: { kind: "conversation", id },
			open: [...open].sort(),
			...(filterSize(place.filter) ? { filter: NO_FILTER } : {}),
			...(reaches(place.span, time) ? {} : { span: { last: "", from: "", to: "" } }),
		});
		this.change({ panel: null, allow: null, gate: null });
	}

	/** Opens a closed namespace in place, or closes an open one. */
	toggle(namespace: string): void {
		const open = new Set(this.openNamespaces());
		if (!open.delete(namespace)) open.add(namespace);
		this.go({ open: [...open].sort() }, true);
	}

	openNamespaces(): string[] {
		return this.state.place.open ?? this.loader.opened;
	}

	openAll(): void {
		this.go({ open: this.state.namespaces.map(({ name }) => name).sort() }, true);
	}

	closeAll(): void {
		this.go({ open: [] }, true);
	}

	edge(id: string): Edge | undefined {
		return this.state.graph?.edges.find((edge) => edge.id === id);
	}

	// ---- Coming and going ------------------------------------------------------------------------

	async start(): Promise<void> {
		this.applyTheme();
		await this.loader.session();
		if (this.state.session) this.begin();
		else if (this.state.session === undefined) window.setTimeout(() => void this.start(), 3_000);
	}

	private begin(): void {
		this.listen();
		this.loader.start();
	}

	async login(token: string): Promise<void> {
		try {
			const session = await post<Session>("session", { token });
			this.change({ session, loginError: "", error: null, loading: true });
			this.begin();
		} catch (error) {
			if (isAbort(error)) return;
			const { status, message } = error as ApiError;
			this.change({ loginError: status === 401 ? "That token is not known here." : message });
		}
	}

	async logout(): Promise<void> {
		await remove("session").catch(() => null);
		this.leave();
	}

	/** Nobody is logged in (any more). */
	leave(): void {
		this.live.stop();
		this.loader.stop();
		this.change({
			session: null,
			graph: null,
			diff: null,
			table: null,
			panel: null,
			status: null,
			pods: [],
			policies: [],
			namespaces: [],
			alerts: null,
			baselines: [],
			holding: null,
			proposal: null,
			trial: null,
		});
	}

	private listen(): void {
		if (!this.state.session) return;
		if (this.state.paused) this.live.stop();
		else this.live.listen(filterQuery(this.state.place.filter));
	}

	pause(paused: boolean): void {
		this.change({ paused, live: "connecting" });
		this.listen();
		if (!paused) this.loader.soon();
	}

	// ---- Light and dark --------------------------------------------------------------------------

	isDark(): boolean {
		const { theme } = this.state;
		return theme === "dark" || (theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
	}

	switchTheme(): void {
		const theme: Theme = this.isDark() ? "light" : "dark";
		writeTheme(theme);
		this.change({ theme });
		this.applyTheme();
	}

	applyTheme(): void {
		document.documentElement.dataset.theme = this.isDark() ? "dark" : "light";
	}
}

export type { Mode };
