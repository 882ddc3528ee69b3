// SPDX-License-Identifier: Apache-2.0
//
// Lines are arcs, each bent so that it runs through as few cards and closed islands as possible, and
// so that lines between the same two do not cover each other. Pure.

import type { Box, Point } from "./plan";

export interface Arc {
	id: string;
	from: Point;
	to: Point;
	source: string;
	target: string;
	/** Its place among the lines between the same two, from 0. */
	rank: number;
}

const STEPS = 12;
const MARGIN = 5;
const SIGNS = [0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74];
const FACTORS = [0.09, -0.09, 0.2, -0.2, 0.33, -0.33, 0.5, -0.5];

/** A point of the quadratic curve that Cytoscape draws for one control point. */
function at(arc: Arc, bend: number, t: number): Point {
	const dx = arc.to.x - arc.from.x;
	const dy = arc.to.y - arc.from.y;
	const length = Math.hypot(dx, dy) || 1;
	const cx = (arc.from.x + arc.to.x) / 2 - (dy / length) * bend;
	const cy = (arc.from.y + arc.to.y) / 2 + (dx / length) * bend;
	const a = (1 - t) * (1 - t);
	const b = 2 * t * (1 - t);
	const c = t * t;
	return { x: a * arc.from.x + b * cx + c * arc.to.x, y: a * arc.from.y + b * cy + c * arc.to.y };
}

function within(p: Point, box: Box | undefined, margin: number): boolean {
	return (
		box !== undefined &&
		p.x > box.x - margin &&
		p.x < box.x + box.w + margin &&
		p.y > box.y - margin &&
		p.y < box.y + box.h + margin
	);
}

function covered(arc: Arc, bend: number, obstacles: [string, Box][]): number {
	let hits = 0;
	for (let step = 1; step < STEPS; step++) {
		const p = at(arc, bend, step / STEPS);
		for (const [id, box] of obstacles) {
			// Running into its ends is what it is for.
			if (id === arc.source || id === arc.target) continue;
			if (within(p, box, MARGIN)) {
				hits++;
				break;
			}
		}
	}
	return hits;
}

/** How a line is drawn. */
export interface Bend {
	/** In the units of the map; positive to the right of its way. Null: no arc fits between its ends. */
	distance: number | null;
	/** Where on its way a sign can stand without covering a card, from 0 to 1. */
	sign: number;
}

export function bendOf(arc: Arc, obstacles: Map<string, Box>): Bend {
	const length = Math.hypot(arc.to.x - arc.from.x, arc.to.y - arc.from.y);
	const reach = length * 0.5 + 20;
	const left = Math.min(arc.from.x, arc.to.x) - reach;
	const right = Math.max(arc.from.x, arc.to.x) + reach;
	const top = Math.min(arc.from.y, arc.to.y) - reach;
	const bottom = Math.max(arc.from.y, arc.to.y) + reach;
	const nearby = [...obstacles].filter(
		([, b]) => b.x < right && b.x + b.w > left && b.y < bottom && b.y + b.h > top,
	);
	let best: number | null = null;
	let least = Infinity;
	for (const factor of FACTORS) {
		const sign = Math.sign(factor);
		const bend = sign * Math.max(12, Math.abs(factor) * Math.min(length, 500)) + sign * arc.rank * 26;
		// Cytoscape draws nothing at all if the control point lies on an end.
		const control = at(arc, bend * 2, 0.5);
		if (within(control, obstacles.get(arc.source), 2) || within(control, obstacles.get(arc.target), 2)) continue;
		const cost = covered(arc, bend, nearby) + Math.abs(factor) * 2;
		if (cost < least - 0.001) [best, least] = [bend, cost];
	}
	const free = (t: number) => nearby.every(([, box]) => !within(at(arc, best ?? 0, t), box, 8));
	return { distance: best, sign: SIGNS.find(free) ?? 0.5 };
}
