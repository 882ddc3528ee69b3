// SPDX-License-Identifier: Apache-2.0
//
// What is drawn over the graph at the screen's own scale, so that it can be read at any zoom: the names
// of islands, what is wrong on them, and the signs of lines (padlocks, alerts, what a policy would change).

import type { Core, EdgeSingular, NodeSingular } from "cytoscape";
import { isStore, modeWord, plural, shorten } from "../state/format";
import type { Mode } from "../api/types";
import type { Island, Scene } from "./scene";
import type { Colours } from "./style";

const TITLE = 14;
const SMALL = 12;
/** A closed island that is narrower than this has its name above it. */
const NARROW = 122;

/** Where an island's little triangle is, on the screen. */
export interface Knob {
	id: string;
	x: number;
	y: number;
}

export const KNOB_REACH = 13;

/** A point of a line's way as it is drawn, from 0 to 1. */
export function pointOn(edge: EdgeSingular, t: number): { x: number; y: number } {
	const [from, to] = [edge.sourceEndpoint(), edge.targetEndpoint()];
	const control = edge.controlPoints()?.[0];
	if (!control || edge.isLoop()) return edge.midpoint();
	const [a, b, c] = [(1 - t) * (1 - t), 2 * t * (1 - t), t * t];
	return { x: a * from.x + b * control.x + c * to.x, y: a * from.y + b * control.y + c * to.y };
}

export class Overlay {
	knobs: Knob[] = [];
	private readonly context: CanvasRenderingContext2D;
	private scene: Scene | null = null;
	private modes = new Map<string, Mode>();
	private colours: Colours;
	private readonly fits = new Map<string, string>();

	constructor(
		private readonly canvas: HTMLCanvasElement,
		private readonly cy: Core,
		colours: Colours,
	) {
		this.context = canvas.getContext("2d")!;
		this.colours = colours;
		cy.on("render", () => this.draw());
	}

	show(scene: Scene, modes: Map<string, Mode>): void {
		this.scene = scene;
		this.modes = modes;
	}

	recolour(colours: Colours): void {
		this.fits.clear();
		this.colours = colours;
		this.draw();
	}

	private draw(): void {
		const { canvas, context: g, cy, scene } = this;
		const ratio = window.devicePixelRatio || 1;
		const width = cy.width();
		const height = cy.height();
		if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
			canvas.width = Math.round(width * ratio);
			canvas.height = Math.round(height * ratio);
		}
		g.setTransform(ratio, 0, 0, ratio, 0, 0);
		g.clearRect(0, 0, width, height);
		this.knobs = [];
		if (!scene) return;
		for (const card of cy.nodes(".card")) this.card(card);
		for (const edge of cy.edges()) this.signs(edge);
		for (const island of scene.islands) {
			const node = cy.getElementById(island.id);
			if (node.nonempty() && island.title) this.island(island, node);
		}
	}

	// ---- Islands ---------------------------------------------------------------------------------

	private island(island: Island, node: NodeSingular): void {
		const box = node.renderedBoundingBox({ includeLabels: false, includeOverlays: false });
		const width = box.x2 - box.x1;
		if (box.x2 < 0 || box.y2 < 0 || box.x1 > this.cy.width() || box.y1 > this.cy.height() || width < 24) return;
		const g = this.context;
		g.save();
		g.globalAlpha = node.hasClass("dim") ? 0.5 : 1;
		const above = island.open || width < NARROW * this.colours.scale;
		if (above) this.title(island, box.x1, box.y1, width);
		if (!island.open) this.face(island, node, box.x1, box.y1, width, box.y2 - box.y1, !above);
		g.restore();
	}

	/** An open island has its name on its upper edge. */
	private title(island: Island, x: number, y: number, width: number): void {
		const inside = island.open && this.cy.zoom() > 0.72;
		const room = Math.max(width - (island.folds ? 36 : 16), 30) + (inside ? 0 : 40);
		const line = inside ? y + 17 * Math.min(1, this.cy.zoom()) + 2 : y - 9;
		const ground = inside ? this.colours.island : this.colours.canvas;
		let left = x + (inside ? 12 : 2);
		if (island.folds) left = this.knob(island, left, line);
		const after = this.text(island.title, left, line, room, TITLE, "600", this.colours.text, ground);
		const mode = island.namespace ? this.modes.get(island.namespace) : undefined;
		const rest = x + width - after - 10;
		if (mode && rest > 48) this.text(modeWord(mode), after + 9, line, rest, SMALL, "400", this.colours.muted, ground);
	}

	/** A closed one says in its middle what is on it. */
	private face(island: Island, node: NodeSingular, x: number, y: number, width: number, height: number, named: boolean): void {
		const trouble = this.scene?.trouble.get(island.id);
		const lines: [string, string][] = [[plural(island.members, "workload"), this.colours.muted]];
		const mode = island.namespace ? this.modes.get(island.namespace) : undefined;
		if (mode && height > 84) lines.push([modeWord(mode), this.colours.muted]);
		if (trouble?.denied) lines.push([`${trouble.denied} denied`, this.colours.denied]);
		if (trouble?.wouldDeny) lines.push([`${trouble.wouldDeny} would be denied`, this.colours.warn]);
		const step = 17 * this.colours.scale;
		const fits = Math.max(0, Math.min(lines.length, Math.floor((height - step - 13) / step)));
		const shown = lines.slice(lines.length - fits);
		let line = y + height / 2 - (shown.length * step) / 2;
		const g = this.context;
		g.font = `600 ${TITLE * this.colours.scale}px ${this.colours.font}`;
		const name = this.fit(island.title, width - 34);
		const half = (g.measureText(name).width + 18) / 2;
		g.globalAlpha *= 0.86;
		g.fillStyle = this.colours.surface;
		g.fillRect(x + 3, line - 12, width - 6, shown.length * step + 22);
		g.globalAlpha = node.hasClass("dim") ? 0.5 : 1;
		if (named) {
			const left = this.knob(island, x + width / 2 - half, line);
			this.text(name, left, line, width - 34, TITLE, "600", this.colours.text, this.colours.surface);
		} else {
			line -= step / 2;
		}
		for (const [text, colour] of shown) {
			line += step;
			g.font = `400 ${SMALL * this.colours.scale}px ${this.colours.font}`;
			const fitted = this.fit(text, width - 16);
			this.text(fitted, x + width / 2 - g.measureText(fitted).width / 2, line, width, SMALL, "400", colour, this.colours.surface);
		}
	}

	/** The triangle that opens and closes; returns where the text may begin. */
	private knob(island: Island, x: number, y: number): number {
		const g = this.context;
		g.fillStyle = this.colours.muted;
		g.beginPath();
		if (island.open) {
			g.moveTo(x, y - 3);
			g.lineTo(x + 10, y - 3);
			g.lineTo(x + 5, y + 4);
		} else {
			g.moveTo(x + 1, y - 5);
			g.lineTo(x + 8, y);
			g.lineTo(x + 1, y + 5);
		}
		g.closePath();
		g.fill();
		this.knobs.push({ id: island.id, x: x + 5, y });
		return x + 17;
	}

	private fit(text: string, room: number): string {
		const g = this.context;
		let most = 60;
		let fitted = shorten(text, most);
		while (most > 4 && g.measureText(fitted).width > room) fitted = shorten(text, --most);
		return fitted;
	}

	private text(
		text: string,
		x: number,
		y: number,
		room: number,
		size: number,
		weight: string,
		colour: string,
		ground: string,
	): number {
		const g = this.context;
		g.font = `${weight} ${size * this.colours.scale}px ${this.colours.font}`;
		g.textBaseline = "middle";
		const fitted = this.fit(text, room);
		// An outline in the ground's colour keeps a line behind the text from eating it.
		g.lineWidth = 4;
		g.lineJoin = "round";
		g.strokeStyle = ground;
		g.strokeText(fitted, x, y);
		g.fillStyle = colour;
		g.fillText(fitted, x, y);
		return x + g.measureText(fitted).width;
	}

	// ---- Signs of lines ---------------------------------------------------------------------------

	/** Where on the screen a line's signs stand. */
	private signOf(edge: EdgeSingular): { x: number; y: number } {
		const at = pointOn(edge, edge.data("sign") as number);
		const pan = this.cy.pan();
		const zoom = this.cy.zoom();
		return { x: at.x * zoom + pan.x, y: at.y * zoom + pan.y };
	}

	/** What a line has to say beside its colour, side by side. */
	private signs(edge: EdgeSingular): void {
		if (edge.hasClass("dim")) return;
		const { encrypted, app, alarm, trial } = edge.data() as { encrypted: string; app: string; alarm: string; trial: string };
		const quiet = edge.hasClass("same") || edge.hasClass("aside") || this.cy.zoom() < 0.4;
		const drawn: (() => void)[] = [];
		if (!quiet && encrypted === "yes") drawn.push(() => this.drawPadlock(true));
		if (!quiet && encrypted === "no" && isStore(app)) drawn.push(() => this.drawPadlock(false));
		if (alarm && !edge.hasClass("aside")) drawn.push(() => this.drawAlarm(alarm === "high"));
		if (trial) drawn.push(() => this.drawTrial(trial));
		if (drawn.length === 0) return;
		const at = this.signOf(edge);
		const g = this.context;
		const size = this.colours.scale * Math.min(1, Math.max(0.62, this.cy.zoom() / 0.75));
		drawn.forEach((draw, i) => {
			g.save();
			g.translate(at.x + (i - (drawn.length - 1) / 2) * 19 * size, at.y);
			g.scale(size, size);
			draw();
			g.restore();
		});
	}

	private disc(edge: string, ground = this.colours.canvas): CanvasRenderingContext2D {
		const g = this.context;
		g.beginPath();
		g.arc(0, 0, 8, 0, 2 * Math.PI);
		g.fillStyle = ground;
		g.fill();
		g.strokeStyle = edge;
		g.lineWidth = 1;
		g.stroke();
		g.fillStyle = edge;
		g.lineCap = g.lineJoin = "round";
		return g;
	}

	private drawPadlock(closed: boolean): void {
		const g = this.disc(closed ? this.colours.allowed : this.colours.warn);
		g.lineWidth = 1.4;
		g.beginPath();
		g.rect(-3.6, -0.8, 7.2, 5);
		g.fill();
		g.beginPath();
		if (closed) {
			g.arc(0, -1, 2.4, Math.PI, 0);
		} else {
			// The shackle swung aside: plain text to something that stores or forwards data.
			g.arc(3, -2.2, 2.4, Math.PI, -0.2);
		}
		g.stroke();
	}

	/** A bell: an open alert is about it. */
	private drawAlarm(high: boolean): void {
		const colour = high ? this.colours.denied : this.colours.warn;
		const g = this.disc(colour, high ? colour : this.colours.canvas);
		g.fillStyle = g.strokeStyle = high ? this.colours.canvas : colour;
		g.beginPath();
		g.moveTo(-4.4, 2.6);
		g.quadraticCurveTo(-3, 1, -3, -1.2);
		g.arc(0, -1.4, 3, Math.PI, 0);
		g.quadraticCurveTo(3, 1, 4.4, 2.6);
		g.closePath();
		g.fill();
		g.beginPath();
		g.arc(0, 3.8, 1.3, 0, Math.PI);
		g.fill();
	}

	/** What policies that are tried would do to it: a cross, a hook, or both. */
	private drawTrial(trial: string): void {
		const denies = trial !== "newly-allowed";
		const g = this.disc(this.colours.canvas, denies ? this.colours.denied : this.colours.fresh);
		g.strokeStyle = this.colours.canvas;
		g.lineWidth = 2;
		g.beginPath();
		if (denies) {
			g.moveTo(-3, -3);
			g.lineTo(3, 3);
			g.moveTo(3, -3);
			g.lineTo(-3, 3);
		} else {
			g.moveTo(-3.6, 0.4);
			g.lineTo(-1, 3);
			g.lineTo(3.8, -3);
		}
		g.stroke();
	}

	// ---- What somebody is ------------------------------------------------------------------------

	/** Its name, no smaller than one can read, and what it is. */
	private card(card: NodeSingular): void {
		const zoom = this.cy.zoom();
		const { x, y } = card.renderedPosition();
		const half = (card.width() / 2) * zoom;
		if (zoom < 0.3 || x + half < 0 || y < -40 || x - half > this.cy.width() || y > this.cy.height() + 40) return;
		const { label, role, shape } = card.data() as { label: string; role: string; shape: string };
		const g = this.context;
		g.save();
		g.globalAlpha = card.hasClass("dim") ? 0.2 : 1;
		const size = Math.max(12.5 * zoom, Math.min(10.5, 15 * zoom)) * (zoom < 1 ? this.colours.scale : 1);
		const sign = role && zoom >= 0.45 ? 11 * zoom : 0;
		g.font = `400 ${size}px ${this.colours.font}`;
		g.textBaseline = "middle";
		g.textAlign = "center";
		g.fillStyle = card.hasClass("folded") || card.hasClass("ghost") ? this.colours.muted : this.colours.text;
		g.fillText(this.fitted(label, 2 * half - (shape.endsWith("hexagon") ? 36 : 12) * zoom - 2 * sign, size), x + sign / 2, y + 0.5);
		if (sign) {
			g.translate(x - half + 13 * zoom, y);
			g.scale(zoom, zoom);
			this.drawRole(role);
		}
		g.restore();
	}

	/** As fit(), remembered: names do not change from one frame to the next. */
	private fitted(text: string, room: number, size: number): string {
		const key = `${Math.round(room)} ${Math.round(size * 4)} ${text}`;
		const known = this.fits.get(key);
		if (known !== undefined) return known;
		if (this.fits.size > 4000) this.fits.clear();
		const made = this.fit(text, room);
		this.fits.set(key, made);
		return made;
	}

	/** A drum for what stores data, bars for what queues it. */
	private drawRole(role: string): void {
		const g = this.context;
		g.strokeStyle = g.fillStyle = this.colours.muted;
		g.lineWidth = 1.3;
		g.beginPath();
		if (role === "queue") {
			for (const x of [-4, 0, 4]) g.rect(x - 1, -4.5, 2, 9);
			g.fill();
			return;
		}
		g.ellipse(0, -3.6, 4.6, 1.9, 0, 0, 2 * Math.PI);
		g.moveTo(-4.6, -3.6);
		g.lineTo(-4.6, 3.8);
		g.ellipse(0, 3.8, 4.6, 1.9, 0, Math.PI, 0, true);
		g.lineTo(4.6, -3.6);
		g.stroke();
		if (role !== "database") return;
		// What keeps data on a disk has a second ring.
		g.beginPath();
		g.ellipse(0, 0, 4.6, 1.9, 0, Math.PI, 0, true);
		g.stroke();
	}
}
