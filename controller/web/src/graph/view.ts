// SPDX-License-Identifier: Apache-2.0
//
// The graph on the screen: puts a scene into Cytoscape by what differs, so that neither the zoom, nor
// the selection, nor anything's place is lost when the data moves on.

import cytoscape from "cytoscape";
import type { Core, EdgeSingular, ElementDefinition, EventObject, NodeSingular } from "cytoscape";
import type { Mode } from "../api/types";
import type { Selection } from "../state/url";
import type { Arc, Bend } from "./bend";
import { bendOf } from "./bend";
import { force } from "./force";
import { readPlan, writePlan } from "./memory";
import { KNOB_REACH, Overlay, pointOn } from "./overlay";
import type { Box, Plan } from "./plan";
import { CARD_HEIGHT, CARD_WIDTH, arrange, boxOf, cardAt, closedBoxOf, emptyPlan, moveCard, moveIsland } from "./plan";
import type { Card, Island, Line, Scene } from "./scene";
import { GONE } from "./scene";
import { readColours, shapeOf, stylesheet, widthOf } from "./style";

export interface GraphEvents {
	select(selection: Selection | null): void;
	toggle(namespace: string): void;
	/** What the pointer is on, and where; null for nothing. */
	hover(element: Card | Island | Line | null, x: number, y: number): void;
}

const MOST_ZOOM = 2.4;
/** A few workloads do not fill a screen: nobody needs them larger. */
const NATURAL_ZOOM = 1.15;
const FIT_PADDING = 36;
/** Pixels between what is revealed and the edge of the view. */
const SIGHT = 24;
/** From so many lines on, ordinary ones step back. */
const DENSE = 90;
const STRAIGHT: Bend = { distance: null, sign: 0.5 };

export class GraphView {
	private readonly cy: Core;
	private readonly overlay: Overlay;
	private readonly resizes: ResizeObserver;
	private scene: Scene | null = null;
	private plan: Plan = emptyPlan();
	private planName = "";
	private fitted = false;
	private fitBox: { w: number; h: number } | null = null;
	private pulses = new Map<string, number>();

	constructor(
		private readonly container: HTMLElement,
		canvas: HTMLCanvasElement,
		private readonly events: GraphEvents,
	) {
		const colours = readColours(container);
		this.cy = cytoscape({
			container,
			style: stylesheet(colours),
			minZoom: 0.06,
			maxZoom: MOST_ZOOM,
			boxSelectionEnabled: false,
			autounselectify: true,
			selectionType: "single",
			pixelRatio: "auto",
		});
		this.overlay = new Overlay(canvas, this.cy, colours);
		this.resizes = new ResizeObserver(() => this.resized());
		this.resizes.observe(container);
		this.listen();
	}

	// ---- The scene -------------------------------------------------------------------------------

	/** Shows a scene. `planName` names the map it is drawn on: another one, other places. */
	show(scene: Scene, planName: string, modes: Map<string, Mode>): void {
		if (planName !== this.planName) {
			this.planName = planName;
			this.plan = readPlan(planName);
			this.fitted = false;
		}
		this.scene = scene;
		this.place();
		this.overlay.show(scene, modes);
		const wanted = new Map<string, ElementDefinition>();
		for (const island of scene.islands) wanted.set(island.id, this.islandElement(island));
		for (const card of scene.cards) wanted.set(card.id, this.cardElement(card));
		const bends = this.bends(scene);
		const dense = scene.lines.length > DENSE;
		const tried = scene.lines.some(({ trial }) => trial !== "");
		for (const line of scene.lines) wanted.set(line.id, lineElement(line, bends.get(line.id) ?? STRAIGHT, dense, tried));
		this.cy.batch(() => this.merge(wanted));
		if (!this.fitted && wanted.size > 0) this.fit();
		this.cy.forceRender();
	}

	/** Forgets where everything was, and places it anew. */
	rearrange(): void {
		this.plan = emptyPlan();
		this.place();
		this.settle();
		this.fit();
	}

	private place(): void {
		const scene = this.scene;
		if (!scene) return;
		const cards = new Map<string, string[]>(scene.islands.map(({ id }) => [id, []]));
		for (const card of scene.cards) cards.get(card.island)?.push(card.id);
		const islands = scene.islands.map(({ id, members }) => ({ id, members, cards: cards.get(id)!.sort() }));
		islands.sort((a, b) => (a.id < b.id ? -1 : 1));
		arrange(this.plan, { islands, links: scene.lines }, force);
		writePlan(this.planName, this.plan);
	}

	private merge(wanted: Map<string, ElementDefinition>): void {
		this.cy.elements().forEach((element) => {
			const want = wanted.get(element.id());
			const moved =
				element.isEdge() &&
				want !== undefined &&
				(element.data("source") !== want.data.source || element.data("target") !== want.data.target);
			if (!want || moved) element.remove();
		});
		const fresh: ElementDefinition[] = [];
		for (const [id, want] of wanted) {
			const element = this.cy.getElementById(id);
			if (element.empty()) {
				fresh.push(want);
				continue;
			}
			element.data(want.data);
			const keep = ["selected", "dim", "near", "named", "pulse"].filter((name) => element.hasClass(name));
			element.classes([...((want.classes as string[]) ?? []), ...keep]);
			if (element.isNode() && !element.grabbed() && want.position) element.position(want.position);
		}
		// Ends before the lines between them.
		this.cy.add(fresh.sort((a, b) => Number("source" in a.data) - Number("source" in b.data)));
	}

	private islandElement(island: Island): ElementDefinition {
		const place = this.plan.islands[island.id]!;
		const box = island.open ? boxOf(place) : closedBoxOf(place);
		const trouble = this.scene?.trouble.get(island.id);
		const classes = ["island", island.open ? "open" : "closed"];
		if (!island.title) classes.push("frameless");
		if (!island.open && trouble) classes.push(trouble.denied ? "denied" : "wouldDeny");
		return {
			data: { id: island.id, w: box.w, h: box.h },
			position: { x: box.x + box.w / 2, y: box.y + box.h / 2 },
			classes,
		};
	}

	private cardElement(card: Card): ElementDefinition {
		const trouble = this.scene?.trouble.get(card.id);
		const classes = ["card"];
		if (trouble) classes.push(trouble.denied ? "denied" : "wouldDeny");
		for (const name of ["folded", "ghost", "quarantined"] as const) if (card[name]) classes.push(name);
		return {
			data: {
				id: card.id,
				island: card.island,
				shape: shapeOf(card.kind),
				label: card.label,
				role: card.role,
			},
			position: cardAt(this.plan, card.id) ?? { x: 0, y: 0 },
			classes,
		};
	}

	// ---- Lines -----------------------------------------------------------------------------------

	private obstacles(scene: Scene): Map<string, Box> {
		const boxes = new Map<string, Box>();
		for (const island of scene.islands) {
			if (!island.open) boxes.set(island.id, closedBoxOf(this.plan.islands[island.id]!));
		}
		for (const card of scene.cards) {
			const at = cardAt(this.plan, card.id);
			if (!at) continue;
			boxes.set(card.id, {
				x: at.x - CARD_WIDTH / 2,
				y: at.y - CARD_HEIGHT / 2,
				w: CARD_WIDTH,
				h: CARD_HEIGHT,
			});
		}
		return boxes;
	}

	private bends(scene: Scene): Map<string, Bend> {
		const obstacles = this.obstacles(scene);
		const centre = (id: string) => {
			const box = obstacles.get(id);
			return box ? { x: box.x + box.w / 2, y: box.y + box.h / 2 } : null;
		};
		const ranks = new Map<string, number>();
		const bends = new Map<string, Bend>();
		for (const line of [...scene.lines].sort((a, b) => (a.id < b.id ? -1 : 1))) {
			const from = centre(line.source);
			const to = centre(line.target);
			if (!from || !to || line.source === line.target) continue;
			const pair = `${line.source}\n${line.target}`;
			const rank = ranks.get(pair) ?? 0;
			ranks.set(pair, rank + 1);
			const arc: Arc = { id: line.id, from, to, source: line.source, target: line.target, rank };
			bends.set(line.id, bendOf(arc, obstacles));
		}
		return bends;
	}

	private rebend(): void {
		if (!this.scene) return;
		const bends = this.bends(this.scene);
		this.cy.batch(() => {
			this.cy.edges().forEach((edge) => {
				const bend = bends.get(edge.id()) ?? STRAIGHT;
				edge.data({ bend: bend.distance ?? 0, sign: bend.sign });
				edge.toggleClass("straight", bend.distance === null);
			});
		});
	}

	/** Puts everything where the plan has it. */
	private settle(): void {
		this.cy.batch(() => {
			for (const island of this.scene?.islands ?? []) {
				this.cy.getElementById(island.id).position(this.islandElement(island).position!);
			}
			for (const card of this.scene?.cards ?? []) {
				this.cy.getElementById(card.id).position(cardAt(this.plan, card.id) ?? { x: 0, y: 0 });
			}
		});
		this.rebend();
	}

	// ---- What people do --------------------------------------------------------------------------

	private listen(): void {
		const { cy } = this;
		cy.on("tap", (event: EventObject) => {
			const knob = this.knobUnder(event);
			if (knob) return this.events.toggle(knob);
			if (event.target === cy) return this.events.select(null);
			const id = (event.target as NodeSingular).id();
			if ((event.target as NodeSingular).isNode()) return this.events.select({ kind: "node", id });
			// What is gone is in no graph any more, but still is a conversation.
			if (id.startsWith(GONE)) return this.events.select({ kind: "conversation", id: id.slice(GONE.length) });
			return this.events.select({ kind: "edge", id });
		});
		cy.on("dbltap", "node.island", (event: EventObject) => {
			const island = this.scene?.islands.find(({ id }) => id === (event.target as NodeSingular).id());
			if (island?.folds && island.namespace && !this.knobUnder(event)) this.events.toggle(island.namespace);
		});
		cy.on("mouseover", "node, edge", (event: EventObject) => this.hovered(event));
		cy.on("mouseout", "node, edge", () => this.left());
		cy.on("tapstart viewport", () => this.events.hover(null, 0, 0));
		cy.on("drag", "node.island", (event: EventObject) => {
			const island = event.target as NodeSingular;
			moveIsland(this.plan, island.id(), island.position());
			cy.batch(() => {
				cy.nodes(".card").forEach((card) => {
					const at = card.data("island") === island.id() ? cardAt(this.plan, card.id()) : null;
					if (at) card.position(at);
				});
			});
		});
		cy.on("dragfree", "node", (event: EventObject) => {
			const node = event.target as NodeSingular;
			if (node.hasClass("card")) node.position(moveCard(this.plan, node.id(), node.position()));
			writePlan(this.planName, this.plan);
			this.rebend();
		});
	}

	private knobUnder(event: EventObject): string | null {
		const { x, y } = event.renderedPosition ?? { x: NaN, y: NaN };
		const knob = this.overlay.knobs.find((k) => Math.hypot(k.x - x, k.y - y) < KNOB_REACH);
		return (knob && this.scene?.islands.find(({ id }) => id === knob.id)?.namespace) ?? null;
	}

	private hovered(event: EventObject): void {
		const element = event.target as NodeSingular | EdgeSingular;
		const { x, y } = event.renderedPosition ?? { x: 0, y: 0 };
		const id = element.id();
		const { islands = [], cards = [], lines = [] } = this.scene ?? {};
		const known = [...cards, ...islands, ...lines].find((one) => one.id === id) ?? null;
		this.events.hover(known, x, y);
		if (element.isNode() && (element as NodeSingular).hasClass("open")) return;
		this.container.classList.add("pointing");
		const near = element.isNode() ? element.closedNeighborhood() : element.union(element.connectedNodes());
		this.cy.batch(() => {
			this.cy.elements().difference(near).not("node.open").addClass("dim");
			near.edges().addClass("near");
			if (near.edges().length <= 12) near.edges().addClass("named");
		});
	}

	private left(): void {
		this.container.classList.remove("pointing");
		this.events.hover(null, 0, 0);
		this.cy.batch(() => this.cy.elements().removeClass("dim near named"));
	}

	// ---- What the page does ----------------------------------------------------------------------

	select(selection: Selection | null, edges: Set<string>): void {
		this.cy.batch(() => {
			this.cy.elements(".selected").removeClass("selected");
			if (selection && selection.kind !== "conversation") {
				this.cy.getElementById(selection.id).addClass("selected");
			}
			for (const id of edges) this.cy.getElementById(id).addClass("selected");
		});
	}

	/** What somebody has the focus on in the list of lines stands out, as under the pointer. */
	point(id: string | null, covered = 0): void {
		this.left();
		const element = this.cy.edges().getElementById(id ?? "");
		if (element.empty()) return;
		const near = element.union(element.connectedNodes());
		this.cy.batch(() => {
			this.cy.elements().difference(near).not("node.open").addClass("dim");
			near.edges().addClass("near named");
		});
		this.reveal(element.id(), covered);
	}

	/** Lines on which something moved just now light up for a moment. */
	pulse(ids: Iterable<string>): void {
		for (const id of ids) {
			this.cy.getElementById(id).addClass("pulse");
			window.clearTimeout(this.pulses.get(id));
			this.pulses.set(
				id,
				window.setTimeout(() => {
					this.pulses.delete(id);
					this.cy.getElementById(id).removeClass("pulse");
				}, 900),
			);
		}
	}

	fit(): void {
		this.cy.resize();
		if (this.cy.width() < 50 || this.cy.elements().empty()) return;
		this.fitted = true;
		this.cy.fit(this.cy.nodes(), FIT_PADDING);
		const most = Math.min(MOST_ZOOM, NATURAL_ZOOM * Math.max(1, this.cy.width() / 1500));
		if (this.cy.zoom() > most) {
			this.cy.zoom(most);
			this.cy.center(this.cy.nodes());
		}
		this.fitBox = { w: this.cy.width(), h: this.cy.height() };
	}

	zoomBy(factor: number): void {
		const at = { x: this.cy.width() / 2, y: this.cy.height() / 2 };
		this.cy.zoom({ level: this.cy.zoom() * factor, renderedPosition: at });
	}

	panBy(x: number, y: number): void {
		this.cy.panBy({ x, y });
	}

	/** Moves the map just so far that an element is in sight; so many pixels at the bottom are covered. */
	reveal(id: string, covered = 0): void {
		const element = this.cy.getElementById(id);
		if (element.empty()) return;
		const box = element.renderedBoundingBox();
		const shift = (low: number, high: number, most: number) =>
			high > most - SIGHT ? Math.max(most - SIGHT - high, SIGHT - low) : low < SIGHT ? SIGHT - low : 0;
		this.cy.panBy({
			x: shift(box.x1, box.x2, this.cy.width()),
			y: shift(box.y1, box.y2, this.cy.height() - covered),
		});
	}

	destroy(): void {
		this.resizes.disconnect();
		this.cy.destroy();
	}

	recolour(): void {
		const colours = readColours(this.container);
		this.cy.style(stylesheet(colours));
		this.overlay.recolour(colours);
	}

	/** Places on the map, for tests: what must not move. */
	positions(): Record<string, { x: number; y: number }> {
		const all: Record<string, { x: number; y: number }> = {};
		this.cy.nodes().forEach((node) => {
			all[node.id()] = { ...node.position() };
		});
		return all;
	}

	/** Where an element is on the screen, for tests; of a line the point at so much of its way. */
	screen(id: string, t = 0.5): { x: number; y: number } | null {
		const node = this.cy.nodes().getElementById(id);
		if (node.nonempty()) return { ...node.renderedPosition() };
		const edge = this.cy.edges().getElementById(id);
		if (edge.empty()) return null;
		const at = pointOn(edge, t);
		const pan = this.cy.pan();
		return { x: at.x * this.cy.zoom() + pan.x, y: at.y * this.cy.zoom() + pan.y };
	}

	elements(): { id: string; classes: string[]; data: Record<string, unknown> }[] {
		return this.cy.elements().map((e) => ({
			id: e.id(),
			classes: e.classes() as unknown as string[],
			data: { ...(e.data() as Record<string, unknown>) },
		}));
	}

	private resized(): void {
		this.cy.resize();
		if (!this.fitted) {
			if (this.scene) this.fit();
			return;
		}
		// The panel that opens on what was clicked must not cover it.
		for (const element of this.cy.elements(".selected").slice(0, 1)) this.reveal(element.id());
		// A window that grows much shows more.
		const { w, h } = this.fitBox ?? { w: 0, h: 0 };
		if (this.cy.width() > w * 1.5 || this.cy.height() > h * 1.5) this.fit();
	}
}

function lineElement(line: Line, bend: Bend, dense: boolean, tried: boolean): ElementDefinition {
	const classes: string[] = [];
	if (line.source === line.target) classes.push("loop");
	else if (bend.distance === null) classes.push("straight");
	if (line.change) classes.push(line.change);
	if (line.unusual) classes.push("unusual");
	if (line.trial) classes.push(line.trial);
	else if (tried) classes.push("aside");
	if (dense && line.state === "allowed" && !line.change) classes.push("quiet");
	return {
		data: {
			id: line.id,
			source: line.source,
			target: line.target,
			state: line.state,
			width: widthOf(line.bytes),
			encrypted: line.encrypted,
			app: line.app,
			ports: line.ports,
			alarm: line.alarm,
			trial: line.trial,
			bend: bend.distance ?? 0,
			sign: bend.sign,
		},
		classes,
	};
}
