// SPDX-License-Identifier: Apache-2.0
//
// What this browser remembers between visits: the map, and light or dark. A browser that refuses
// storage, or has no room, forgets; nothing else happens.

import type { Plan } from "./plan";
import { emptyPlan } from "./plan";

function read(name: string): string | null {
	try {
		return localStorage.getItem(name);
	} catch {
		return null;
	}
}

function write(name: string, value: string): void {
	try {
		localStorage.setItem(name, value);
	} catch {
		// No storage, no memory.
	}
}

const finite = (...values: unknown[]) => values.every((v) => typeof v === "number" && Number.isFinite(v));
const small = (...values: unknown[]) => values.every((v) => Number.isInteger(v) && (v as number) >= 0 && (v as number) < 1000);

/** What was stored may be of another version, or mangled: only what makes sense is taken. */
export function readPlan(name: string): Plan {
	const plan = emptyPlan();
	try {
		const stored = JSON.parse(read(`bulkhead.map.${name}`) ?? "null") as Partial<Plan> | null;
		for (const [id, p] of Object.entries(stored?.islands ?? {})) {
			if (finite(p.x, p.y) && small(p.columns, p.rows) && p.columns > 0 && p.rows > 0) {
				plan.islands[id] = { x: p.x, y: p.y, columns: p.columns, rows: p.rows };
			}
		}
		for (const [id, c] of Object.entries(stored?.cards ?? {})) {
			if (!plan.islands[c.island] || !small(c.column, c.row)) continue;
			plan.cards[id] = { island: c.island, column: c.column, row: c.row };
			if (c.at && finite(c.at.x, c.at.y)) plan.cards[id].at = { x: c.at.x, y: c.at.y };
		}
	} catch {
		return emptyPlan();
	}
	return plan;
}

export function writePlan(name: string, plan: Plan): void {
	write(`bulkhead.map.${name}`, JSON.stringify(plan));
}

export type Theme = "auto" | "light" | "dark";

export function readTheme(): Theme {
	const theme = read("bulkhead.theme");
	return theme === "light" || theme === "dark" ? theme : "auto";
}

export function writeTheme(theme: Theme): void {
	write("bulkhead.theme", theme);
}
