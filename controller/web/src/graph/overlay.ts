// SPDX-License-Identifier: Apache-2.0
//
// What is drawn over the graph at the screen's own scale, so that it can be read at any zoom: the names
// of islands, what is wrong on them, and the padlocks of lines.

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
		for (const edge of cy.edges()) this.padlock(edge);
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
		const room = Math.max(width - (island.namespace ? 36 : 16), 30) + (inside ? 0 : 40);
		const line = inside ? y + 17 * Math.min(1, this.cy.zoom()) + 2 : y - 9;
		const ground = inside ? this.colours.island : this.colours.canvas;
		let left = x + (inside ? 12 : 2);
		if (island.namespace) left = this.knob(island, left, line);
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

	// ---- Padlocks --------------------------------------------------------------------------------

	/** Where on the screen a line's sign stands. */
	private signOf(edge: EdgeSingular): { x: number; y: number } {
		const at = pointOn(edge, edge.data("sign") as number);
		const pan = this.cy.pan();
		const zoom = this.cy.zoom();
		return { x: at.x * zoom + pan.x, y: at.y * zoom + pan.y };
	}

	private padlock(edge: EdgeSingular): void {
		const closed = edge.data("encrypted") === "yes";
		const open = edge.data("encrypted") === "no" && isStore(edge.data("app") as string);
		if ((!closed && !open) || this.cy.zoom() < 0.4 || edge.hasClass("dim") || edge.hasClass("same")) return;
		const at = this.signOf(edge);
		const g = this.context;
		const size = this.colours.scale * Math.min(1, Math.max(0.62, this.cy.zoom() / 0.75));
		g.save();
		g.translate(at.x, at.y);
		g.scale(size, size);
		this.drawPadlock(closed);
		g.restore();
	}

	private drawPadlock(closed: boolean): void {
		const g = this.context;
		g.beginPath();
		g.arc(0, 0, 8, 0, 2 * Math.PI);
		g.fillStyle = this.colours.canvas;
		g.fill();
		g.strokeStyle = g.fillStyle = closed ? this.colours.allowed : this.colours.warn;
		g.lineWidth = 1;
		g.stroke();
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
}
